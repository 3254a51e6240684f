package storetest

import (
	"fmt"
	"math"

	"example.com/h5im/store"
)

var messagesCases = []testCase{
	{"every anchor answers what a plain slice would", messagesAnchors},
	{"paging either way sees every message once", messagesPaging},
	{"an empty conversation has an empty page", messagesEmpty},
	{"an expired message is absent from every read", messagesExpiry},
	{"an unknown conversation is not found", messagesUnknown},
}

var anchorNames = map[store.Anchor]string{
	store.Newest: "Newest", store.Before: "Before", store.After: "After", store.Around: "Around",
}

// Rule: for each anchor, at, inside and beyond both ends and with any limit,
// the page is the part of the list that the anchor names; From and To are its
// ends, and More tells of what lies in its direction.
func messagesAnchors(e *env) {
	const n = 13
	e.group("c", "ann")
	for range n {
		e.say("c", "ann")
	}
	list := e.all("c")
	for anchor, name := range anchorNames {
		for _, limit := range []int{1, 2, 3, 4, 5, 12, 13, 14, math.MaxInt} {
			for _, seq := range []int64{0, 1, 2, 6, 7, 12, 13, 14, 15, 1 << 40, math.MaxInt64} {
				page, err := e.Messages(e.ctx, store.MessagesQuery{
					Conversation: "c", Anchor: anchor, Seq: seq, Limit: limit, Now: now,
				})
				e.must(err)
				from, to := naiveSpan(anchor, seq, limit, n)
				what := fmt.Sprintf("%s %d, limit %d", name, seq, limit)
				same(e, what, page.Messages, list[from:to])
				equal(e, what+": head", page.Conversation.Seq, int64(n))
				if from == to {
					equal(e, what+": empty", page.From > page.To, true)
					equal(e, what+": More", page.More, false)
					continue
				}
				equal(e, what+": From", page.From, int64(from+1))
				equal(e, what+": To", page.To, int64(to))
				older, newer := from > 0, to < n
				more := older
				if anchor == store.After {
					more = newer
				} else if anchor == store.Around {
					more = older || newer
				}
				equal(e, what+": More", page.More, more)
			}
		}
	}
}

// naiveSpan is the part [from:to] of a slice of n messages, whose seqs are
// 1 to n, that a query asks for.
func naiveSpan(anchor store.Anchor, seq int64, limit, n int) (from, to int) {
	switch anchor {
	case store.Before:
		for to < n && int64(to+1) < seq {
			to++
		}
		for from = to; from > 0 && to-from < limit; from-- {
		}
	case store.After:
		for from < n && int64(from+1) <= seq {
			from++
		}
		for to = from; to < n && to-from < limit; to++ {
		}
	case store.Around:
		// Grow from the nearest message, an older one first, as far as either
		// side has any.
		from = int(min(max(seq, 1), int64(n))) - 1
		to = from + 1
		if seq > int64(n) {
			from, to = n, n
		}
		for older := true; to-from < limit && (from > 0 || to < n); older = !older {
			if older && from > 0 || to == n {
				from--
			} else {
				to++
			}
		}
	default:
		for from, to = n, n; from > 0 && to-from < limit; from-- {
		}
	}
	return from, to
}

// Rule: Before the From of a page, and After the To of one, is the next page.
func messagesPaging(e *env) {
	const n = 17
	e.group("c", "ann")
	for range n {
		e.say("c", "ann")
	}
	list := e.all("c")
	for limit := 1; limit <= n+1; limit++ {
		var up, down []store.Message
		q := store.MessagesQuery{Conversation: "c", Anchor: store.After, Limit: limit, Now: now}
		for more := true; more; {
			page, err := e.Messages(e.ctx, q)
			e.must(err)
			up = append(up, page.Messages...)
			q.Seq, more = page.To, page.More
		}
		same(e, fmt.Sprint("upwards by ", limit), up, list)
		q.Anchor = store.Newest
		for more := true; more; {
			page, err := e.Messages(e.ctx, q)
			e.must(err)
			down = append(append([]store.Message{}, page.Messages...), down...)
			q.Anchor, q.Seq, more = store.Before, page.From, page.More
		}
		same(e, fmt.Sprint("downwards by ", limit), down, list)
	}
}

// Rule: nothing is there to be had, at any anchor: From > To, no More.
func messagesEmpty(e *env) {
	e.group("c", "ann")
	for anchor, name := range anchorNames {
		for _, seq := range []int64{0, 1, 5, math.MaxInt64} {
			page, err := e.Messages(e.ctx, store.MessagesQuery{
				Conversation: "c", Anchor: anchor, Seq: seq, Limit: math.MaxInt, Now: now,
			})
			e.must(err)
			if len(page.Messages) > 0 || page.From <= page.To || page.More {
				e.Errorf("%s %d: %+v", name, seq, page)
			}
		}
	}
}

// Rule: from ExpiresAt on a message is absent from Messages, Changes and the
// Last of Sync, by the reader's clock; it takes no rev, its seq stays covered
// and the counts stay.
func messagesExpiry(e *env) {
	e.group("c", "ann", "ben")
	for i := range 6 {
		item := e.item("c", "ann", "x")
		if i%2 == 1 {
			item.Message.ExpiresAt = now + 100 // seqs 2, 4 and 6
		}
		e.send(item)
	}
	before := e.head("c")
	for _, c := range []struct {
		at      store.Millis
		present []int64
	}{
		{0, []int64{1, 2, 3, 4, 5, 6}},
		{now + 99, []int64{1, 2, 3, 4, 5, 6}},
		{now + 100, []int64{1, 3, 5}},
		{now + 101, []int64{1, 3, 5}},
	} {
		what := fmt.Sprint("at ", c.at-now)
		page, err := e.Messages(e.ctx, store.MessagesQuery{Conversation: "c", Limit: 6, Now: c.at})
		e.must(err)
		same(e, what+": Messages", seqs(page.Messages), c.present)
		equal(e, what+": From", page.From, int64(1))
		equal(e, what+": To", page.To, int64(6))

		for limit := 1; limit <= 7; limit++ {
			messages, last := e.changes(store.ChangesQuery{Conversation: "c", Limit: limit, Now: c.at})
			same(e, what+": Changes", seqs(messages), c.present)
			equal(e, what+": rev after Changes", last.Rev, int64(6))
		}

		rows, err := e.Sync(e.ctx, store.SyncQuery{User: "ben", Limit: 1, Now: c.at})
		e.must(err)
		last := rows.Rows[0].Last
		equal(e, what+": Last is absent", last == nil, len(c.present) == 3)
		if last != nil {
			equal(e, what+": Last", last.Seq, int64(6))
		}
	}
	same(e, "head", e.head("c"), before)
}

// Rule: reads of what does not exist are ErrNotFound.
func messagesUnknown(e *env) {
	_, err := e.Messages(e.ctx, store.MessagesQuery{Conversation: "none", Limit: 1})
	e.wantErr("Messages", err, store.ErrNotFound)
	_, err = e.Changes(e.ctx, store.ChangesQuery{Conversation: "none", Limit: 1})
	e.wantErr("Changes", err, store.ErrNotFound)
	_, err = e.Members(e.ctx, store.MembersQuery{Conversation: "none", Limit: 1})
	e.wantErr("Members", err, store.ErrNotFound)
	_, err = e.ChangeMembers(e.ctx, store.MembersChange{Conversation: "none", Time: now})
	e.wantErr("ChangeMembers", err, store.ErrNotFound)
	_, err = e.Mark(e.ctx, store.Mark{Conversation: "none", User: "ann"})
	e.wantErr("Mark", err, store.ErrNotFound)
	_, err = e.SetOwn(e.ctx, "none", "ann", func(*store.OwnSettings) error { return nil })
	e.wantErr("SetOwn", err, store.ErrNotFound)
}

func seqs(messages []store.Message) []int64 {
	var list []int64
	for _, m := range messages {
		list = append(list, m.Seq)
	}
	return list
}
