package storetest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"example.com/h5im/store"
)

var changesCases = []testCase{
	{"a message amended fifty times comes once, last", changesCompacted},
	{"every query answers what a plain filter would, at every limit", changesNaive},
	{"nothing is lost where rows change between pages", changesBetweenPages},
	{"a reader between concurrent writers ends up equal", changesConcurrent},
	{"changed settings are told until they are read", changesSettings},
	{"a reader ahead of the head gets the head's rev", changesAhead},
}

// changes reads all pages of a query, checks what every page promises, and
// answers the messages and the last page.
func (e *env) changes(q store.ChangesQuery) ([]store.Message, store.ChangesPage) {
	e.Helper()
	var messages []store.Message
	for {
		page, err := e.Changes(e.ctx, q)
		e.must(err)
		if len(page.Messages) > q.Limit {
			e.Fatalf("%d changes, limit %d", len(page.Messages), q.Limit)
		}
		for _, m := range page.Messages {
			if m.Rev <= q.Rev {
				e.Fatalf("rev %d after %d", m.Rev, q.Rev)
			}
			q.Rev = m.Rev
		}
		messages = append(messages, page.Messages...)
		if !page.More {
			equal(e, "rev of the last page", page.Rev, page.Conversation.Rev)
			return messages, page
		}
		if len(page.Messages) == 0 || page.Rev != q.Rev {
			e.Fatalf("page with More: rev %d, %d messages, the last of rev %d", page.Rev, len(page.Messages), q.Rev)
		}
	}
}

// Rule: Changes are compacted, with Within and without.
func changesCompacted(e *env) {
	e.group("c", "ann")
	for range 4 {
		e.say("c", "ann")
	}
	for i := range 50 {
		e.edit("c", 2, fmt.Sprint(i))
		if i == 20 {
			e.edit("c", 1, "between")
		}
	}
	stored := e.all("c")
	for _, c := range []struct {
		rev    int64
		within []store.SeqRange
		want   []int64
	}{
		{0, nil, []int64{3, 4, 1, 2}},
		{4, nil, []int64{1, 2}},
		{30, nil, []int64{2}},
		{55, nil, nil},
		{4, []store.SeqRange{{From: 2, To: 3}}, []int64{2}},
		{0, []store.SeqRange{{From: 2, To: 3}, {From: 3, To: 3}, {From: 2, To: 2}}, []int64{3, 2}},
		{0, []store.SeqRange{{From: 3, To: 2}}, nil},
		{0, []store.SeqRange{}, nil},
		{0, []store.SeqRange{{From: 0, To: math.MaxInt64}}, []int64{3, 4, 1, 2}},
	} {
		messages, _ := e.changes(store.ChangesQuery{Conversation: "c", Rev: c.rev, Within: c.within, Limit: 10, Now: now})
		same(e, fmt.Sprintf("since %d within %v", c.rev, c.within), seqs(messages), c.want)
		for _, m := range messages {
			same(e, "state", m, stored[m.Seq-1])
		}
	}
}

// Rule: the answer is the rows with a greater rev in ascending order, and its
// pages at any limit make up the same.
func changesNaive(e *env) {
	r := e.random()
	e.group("c", "ann")
	for range 40 {
		e.say("c", "ann")
		for r.IntN(2) == 0 {
			e.edit("c", 1+r.Int64N(e.head("c").Seq), fmt.Sprint(r.Uint32()))
		}
		if r.IntN(8) == 0 {
			e.title("c", fmt.Sprint(r.Uint32()))
		}
	}
	head, stored := e.head("c"), e.all("c")
	slices.SortFunc(stored, func(a, b store.Message) int { return cmp.Compare(a.Rev, b.Rev) })
	for range 30 {
		q := store.ChangesQuery{Conversation: "c", Rev: r.Int64N(head.Rev + 1), Now: now}
		for range r.IntN(4) {
			from := r.Int64N(head.Seq) + 1
			q.Within = append(q.Within, store.SeqRange{From: from, To: from + r.Int64N(10)})
		}
		var want []int64
		for _, m := range stored {
			in := q.Within == nil || slices.ContainsFunc(q.Within, func(w store.SeqRange) bool {
				return w.From <= m.Seq && m.Seq <= w.To
			})
			if m.Rev > q.Rev && in {
				want = append(want, m.Seq)
			}
		}
		for _, q.Limit = range []int{1, 2, 3, 5, max(len(want)-1, 1), max(len(want), 1), len(want) + 1, math.MaxInt} {
			messages, page := e.changes(q)
			same(e, fmt.Sprintf("%+v", q), seqs(messages), want)
			equal(e, "Settings", page.Settings, head.SettingsRev > messageRev(messages, q.Rev, page))
		}
	}
}

// messageRev is the Rev that the last page was asked for with.
func messageRev(messages []store.Message, rev int64, last store.ChangesPage) int64 {
	if n := len(messages) - len(last.Messages); n > 0 {
		return messages[n-1].Rev
	}
	return rev
}

// Rule: a row that is amended while a reader pages moves behind the boundary
// and comes there, in its new state; no row is missed, none goes back.
func changesBetweenPages(e *env) {
	r := e.random()
	for limit := 1; limit <= 7; limit++ {
		id := fmt.Sprint("c", limit)
		e.group(id, "ann")
		for range 12 {
			e.say(id, "ann")
		}
		mine := map[int64]store.Message{}
		q := store.ChangesQuery{Conversation: id, Limit: limit, Now: now}
		for moves := 20; ; moves-- {
			page, err := e.Changes(e.ctx, q)
			e.must(err)
			for _, m := range page.Messages {
				if old, ok := mine[m.Seq]; ok && old.Rev >= m.Rev {
					e.Fatalf("seq %d came at rev %d and again at %d", m.Seq, old.Rev, m.Rev)
				}
				mine[m.Seq] = m
			}
			q.Rev = page.Rev
			if !page.More {
				break
			}
			if moves > 0 {
				e.edit(id, 1+r.Int64N(e.head(id).Seq), fmt.Sprint(moves))
			}
		}
		for _, m := range e.all(id) {
			same(e, fmt.Sprintf("limit %d: what the reader has", limit), mine[m.Seq], m)
		}
	}
}

// Rule: "give me what is greater than mine, and I keep the newer" converges
// whatever is written meanwhile.
func changesConcurrent(e *env) {
	const writers, each = 8, 12
	r := e.random()
	e.group("c", users(writers)...)
	e.say("c", users(1)[0])
	var writing atomic.Int32
	writing.Store(writers)
	mine := map[int64]store.Message{}
	var title string
	e.fan(writers+1, func(w int) error {
		if w < writers {
			defer writing.Add(-1)
			for n := range each {
				_, err := e.try(e.item("c", users(writers)[w], "x"))
				if err == nil {
					_, err = e.Amend(e.ctx, "c", int64(1+n), func(m *store.Message) error {
						m.Content = fmt.Appendf(nil, "%d", w)
						return nil
					})
				}
				if err == nil && n%4 == 0 {
					_, err = e.Configure(e.ctx, "c", func(s *store.Settings) error {
						s.Title = fmt.Sprint(w, n)
						return nil
					})
				}
				if err != nil {
					return err
				}
			}
			return nil
		}
		q := store.ChangesQuery{Conversation: "c", Now: now}
		for last := false; ; {
			q.Limit = 1 + r.IntN(9)
			page, err := e.Changes(e.ctx, q)
			if err != nil {
				return err
			}
			for _, m := range page.Messages {
				if m.Rev <= q.Rev || m.Rev <= mine[m.Seq].Rev {
					return fmt.Errorf("seq %d of rev %d came after %d", m.Seq, m.Rev, q.Rev)
				}
				mine[m.Seq] = m
			}
			if page.Settings {
				title = page.Conversation.Title
			}
			q.Rev = page.Rev
			if !page.More {
				if last {
					return nil
				}
				last = writing.Load() == 0
			}
		}
	})
	stored := e.all("c")
	equal(e, "messages", len(mine), len(stored))
	for _, m := range stored {
		same(e, "what the reader has", mine[m.Seq], m)
	}
	equal(e, "title", title, e.head("c").Title)
}

// Rule: Settings says so for as long as the reader's rev is older than the
// change, also where no message changed, and not for a new conversation.
func changesSettings(e *env) {
	e.group("c", "ann")
	e.say("c", "ann")
	page := func(rev int64, limit int) store.ChangesPage {
		page, err := e.Changes(e.ctx, store.ChangesQuery{Conversation: "c", Rev: rev, Limit: limit, Now: now})
		e.must(err)
		return page
	}
	equal(e, "before any change", page(0, 9).Settings, false)
	e.title("c", "new")
	p := page(1, 9)
	if !p.Settings || p.Conversation.Title != "new" || p.Rev != 2 || len(p.Messages) > 0 || p.More {
		e.Errorf("after the change: %+v", p)
	}
	equal(e, "for who has it", page(2, 9).Settings, false)
	e.say("c", "ann")
	equal(e, "on a page with messages", page(1, 9).Settings, true)
	equal(e, "beyond it", page(2, 9).Settings, false)
}

// Rule: a reader with a rev that the head never had learns the head's.
func changesAhead(e *env) {
	e.group("c", "ann")
	e.say("c", "ann")
	for _, rev := range []int64{1, 2, math.MaxInt64} {
		page, err := e.Changes(e.ctx, store.ChangesQuery{Conversation: "c", Rev: rev, Limit: math.MaxInt, Now: now})
		e.must(err)
		if len(page.Messages) > 0 || page.Settings || page.More || page.Rev != 1 {
			e.Errorf("since %d: %+v", rev, page)
		}
	}
}
