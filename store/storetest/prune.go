package storetest

import (
	"fmt"
	"math"
	"slices"

	"example.com/h5im/store"
)

var pruneCases = []testCase{
	{"what is old goes from the beginning, up to the first that is not", pruneBegins},
	{"no read finds what was pruned, and every read what was not", pruneReads},
	{"neither rev nor versions nor counters move", pruneCounters},
	{"what was pruned is not unread", pruneUnread},
	{"a tombstone answers a repetition, until it is forgotten", pruneRepetition},
	{"a conversation of which nothing is left goes on", pruneEverything},
	{"a limit prunes in steps what no limit prunes at once", pruneLimit},
	{"an unknown conversation is not found", pruneUnknown},
	{"conversations are listed once, by id", conversationsListed},
}

func (e *env) prune(q store.PruneQuery) store.Pruned {
	e.Helper()
	if q.Limit == 0 {
		q.Limit = math.MaxInt
	}
	p, err := e.Prune(e.ctx, q)
	e.must(err)
	return p
}

// history sends n messages to the new group "c" of ann and ben, one a
// millisecond; every seventh is edited.
func (e *env) history(n int) []store.Append {
	e.Helper()
	e.group("c", "ann", "ben")
	items := make([]store.Append, n)
	for i := range items {
		items[i] = e.item("c", "ann", fmt.Sprint("message ", i))
		items[i].Message.Time = now + store.Millis(i)
		items[i].Message.MentionAll = i%3 == 0
		if i%5 == 0 {
			items[i].Message.Flags = store.NoUnread
		}
		e.send(items[i])
		if i%7 == 0 {
			e.edit("c", int64(i+1), `{"edited":true}`)
		}
	}
	return items
}

// Rule: Before is exclusive, and a message that is not old saves all after it.
func pruneBegins(e *env) {
	e.group("c", "ann")
	for _, at := range []store.Millis{now, now + 1, now + 5, now + 2, now + 9} {
		item := e.item("c", "ann", "x")
		item.Message.Time = at
		e.send(item)
	}
	for _, c := range []struct {
		before store.Millis
		pruned int64
	}{{0, 0}, {now, 0}, {now + 1, 1}, {now + 1, 1}, {now + 3, 2}, {now + 5, 2}, {now + 6, 4}, {now, 4}, {now + 9, 4}, {now + 10, 5}} {
		was := e.head("c").Pruned
		p := e.prune(store.PruneQuery{Conversation: "c", Before: c.before})
		what := fmt.Sprint("before ", c.before-now)
		equal(e, what, p.Conversation.Pruned, c.pruned)
		equal(e, what+": messages", int64(p.Messages), c.pruned-was)
		equal(e, what+": more", p.More, false)
		same(e, what+": head", e.head("c"), p.Conversation)
	}
}

// Rule: at every place of the end, tombstones or not, each read answers what a
// list without the pruned messages would.
func pruneReads(e *env) {
	const n = 200 // in more than three blocks of any index of 64
	e.history(n)
	list := e.all("c")
	edited, _ := e.changes(store.ChangesQuery{Conversation: "c", Limit: 50, Now: now})
	pruned := func(seq int64) bool { return seq <= e.head("c").Pruned }
	for _, step := range []struct{ before, forget int }{
		{0, 0}, {1, 0}, {2, 1}, {63, 10}, {64, 64}, {65, 63}, {66, 65}, {128, 127}, {130, 130}, {199, 128}, {200, 199}, {200, 200},
	} {
		e.prune(store.PruneQuery{Conversation: "c", Before: now + store.Millis(step.before), Forget: now + store.Millis(step.forget)})
		what := fmt.Sprintf("before %d, forget %d: ", step.before, step.forget)
		gone := int64(step.before)
		equal(e, what+"pruned", e.head("c").Pruned, gone)
		left := list[gone:]
		for anchor, name := range anchorNames {
			for _, limit := range []int{1, 2, 50, math.MaxInt} {
				for _, seq := range []int64{0, 1, gone - 1, gone, gone + 1, gone + 2, 150, n, n + 1, math.MaxInt64} {
					if seq < 0 {
						continue
					}
					page, err := e.Messages(e.ctx, store.MessagesQuery{Conversation: "c", Anchor: anchor, Seq: seq, Limit: limit, Now: now})
					e.must(err)
					from, to := 0, 0
					if len(left) > 0 {
						from, to = naiveSpan(anchor, max(0, seq-gone), limit, len(left))
					}
					what := fmt.Sprintf("%s%s %d, limit %d", what, name, seq, limit)
					same(e, what, page.Messages, left[from:to])
					equal(e, what+": covers", page.To-page.From+1, int64(to-from))
					if from < to {
						equal(e, what+": From", page.From, gone+int64(from)+1)
					}
				}
			}
		}
		want := slices.DeleteFunc(slices.Clone(edited), func(m store.Message) bool { return pruned(m.Seq) })
		for _, limit := range []int{1, 7, 300} {
			got, page := e.changes(store.ChangesQuery{Conversation: "c", Limit: limit, Now: now})
			same(e, what+"changes", got, want)
			equal(e, what+"rev", page.Rev, e.head("c").Rev)
		}
		for _, rev := range []int64{gone, 2 * gone, 120} {
			got, _ := e.changes(store.ChangesQuery{Conversation: "c", Rev: rev, Limit: 300, Now: now})
			same(e, what+"changes since", got, slices.DeleteFunc(slices.Clone(want), func(m store.Message) bool { return m.Rev <= rev }))
		}
		within := []store.SeqRange{{From: max(1, gone-5), To: gone + 5}}
		got, _ := e.changes(store.ChangesQuery{Conversation: "c", Within: within, Limit: 300, Now: now})
		same(e, what+"changes within", got, slices.DeleteFunc(slices.Clone(want), func(m store.Message) bool { return m.Seq > gone+5 }))
		for _, c := range e.feed() {
			if c.Message != nil && pruned(c.Message.Seq) {
				e.Errorf("%sthe feed has message %d", what, c.Message.Seq)
			}
		}
		changes, err := e.Feed(e.ctx, 0, 3)
		e.must(err)
		equal(e, what+"changes of a feed with limit 3", len(changes), min(3, len(e.feed())))
		rows, err := e.Sync(e.ctx, store.SyncQuery{User: "ben", Limit: 1, Now: now})
		e.must(err)
		equal(e, what+"the list has the newest message", rows.Rows[0].Last != nil, gone < n)
		if gone > 0 {
			_, err := e.Amend(e.ctx, "c", gone, func(*store.Message) error { return nil })
			e.wantErr(what+"Amend", err, store.ErrNotFound)
		}
		if gone < n {
			e.must(amendNothing(e, gone+1))
			list = append(make([]store.Message, gone), e.all("c")...)
			edited, _ = e.changes(store.ChangesQuery{Conversation: "c", Limit: 50, Now: now})
		}
	}
}

func amendNothing(e *env, seq int64) error {
	_, err := e.Amend(e.ctx, "c", seq, func(*store.Message) error { return nil })
	return err
}

// Rule: pruning is no change that a member's device has to learn of.
func pruneCounters(e *env) {
	e.history(20)
	e.read("c", "ben", 20)
	head, version, rows := e.head("c"), e.version(), e.sync("ben", 0)
	p := e.prune(store.PruneQuery{Conversation: "c", Before: now + 10, Forget: now + 5})
	equal(e, "version of the store grows", e.version() > version, true)
	equal(e, "rows of sync since", len(e.sync("ben", version)), 0)
	head.Pruned = 10
	same(e, "head", p.Conversation, head)
	rows[0].Conversation.Pruned = 10
	same(e, "sync", e.sync("ben", 0), rows)
	version = e.version()
	e.prune(store.PruneQuery{Conversation: "c", Before: now + 10, Forget: now + 5})
	equal(e, "version after a call with nothing to do", e.version(), version)
}

// Rule: unread counts what is there: a marker among the pruned ones has seen
// them all, whoever the member is, and one behind them counts on.
func pruneUnread(e *env) {
	e.history(20)
	e.read("c", "ben", 3)
	count := func(from int64) (n, all int64) {
		for _, m := range e.all("c") {
			if m.Seq > from && m.Flags&store.NoUnread == 0 {
				n++
				if m.MentionAll {
					all++
				}
			}
		}
		return n, all
	}
	check := func(what string) {
		e.Helper()
		head, ben := e.head("c"), e.member("c", "ben")
		n, all := count(ben.Read)
		equal(e, what+": unread", ben.Unread(&head), n)
		equal(e, what+": mentions of all", head.AllCount-ben.SeenAll, all)
		rows := e.sync("ben", 0)
		same(e, what+": in sync", rows[0].Member, ben)
		same(e, what+": in the list", e.members(store.MembersQuery{Conversation: "c", Limit: 9})[1], ben)
	}
	check("before")
	for _, before := range []store.Millis{2, 9, 10} {
		e.prune(store.PruneQuery{Conversation: "c", Before: now + before, Forget: now + before/2})
		check(fmt.Sprint("pruned ", before))
	}
	marked := e.read("c", "ben", 5) // which is no more
	equal(e, "marker", marked.Member.Read, int64(5))
	check("marked among the pruned")
	e.read("c", "ben", 15)
	check("marked behind them")
	e.prune(store.PruneQuery{Conversation: "c", Before: now + 18})
	e.add("c", "cat")
	e.say("c", "ann")
	check("and later")
	head, cat := e.head("c"), e.member("c", "cat")
	equal(e, "unread of one who joined", cat.Unread(&head), int64(1))
}

// Rule: the clientId of a pruned message is answered with the first receipt and
// conflicts with another request; once it is forgotten it is new.
func pruneRepetition(e *env) {
	items := e.history(10)
	var receipts []store.Receipt
	for _, item := range items {
		receipts = append(receipts, e.send(item).Receipt)
	}
	e.prune(store.PruneQuery{Conversation: "c", Before: now + 6, Forget: now + 2})
	for i, item := range items[2:] {
		i += 2
		what := fmt.Sprint("message ", i+1)
		r := e.send(item)
		equal(e, what+": duplicate", r.Duplicate, true)
		same(e, what+": receipt", r.Receipt, receipts[i])
		equal(e, what+": content", len(r.Message.Content) > 0, i >= 6)
		equal(e, what+": mentions all", r.Message.MentionAll, i >= 6 && i%3 == 0)
		got, err := e.Lookup(e.ctx, "ann", item.Message.ClientID, item.Fingerprint)
		e.must(err)
		same(e, what+": lookup", got, receipts[i])
		item.Fingerprint[0]++
		_, err = e.try(item)
		e.wantErr(what+", another request", err, store.ErrConflict)
	}
	for i, item := range items[:2] {
		_, err := e.Lookup(e.ctx, "ann", item.Message.ClientID, item.Fingerprint)
		e.wantErr("lookup of what is forgotten", err, store.ErrNotFound)
		r := e.send(item)
		equal(e, "what is forgotten is no duplicate", r.Duplicate, false)
		equal(e, "its seq", r.Receipt.Seq, int64(11+i))
	}
}

// Rule: seq and rev go on where they were, also when all is forgotten.
func pruneEverything(e *env) {
	for _, n := range []int{1, 63, 64, 65} {
		id := fmt.Sprint("c", n)
		e.group(id, "ann", "ben")
		for range n {
			e.say(id, "ann")
		}
		p := e.prune(store.PruneQuery{Conversation: id, Before: now + 1, Forget: now + 1})
		equal(e, "pruned", p.Messages, n)
		equal(e, "left", len(e.all(id)), 0)
		page, err := e.Messages(e.ctx, store.MessagesQuery{Conversation: id, Limit: 5})
		e.must(err)
		equal(e, "a page is empty", page.From > page.To && !page.More, true)
		head, ben := e.head(id), e.member(id, "ben")
		equal(e, "unread", ben.Unread(&head), int64(0))
		for i := range 70 {
			equal(e, "seq", e.say(id, "ann").Receipt.Seq, int64(n+i+1))
		}
		equal(e, "left and new", len(e.all(id)), 70)
		equal(e, "Rev", e.head(id).Rev, int64(n+70))
	}
}

// Rule: the limit bounds the work of one call, tombstones that go included.
func pruneLimit(e *env) {
	e.history(30)
	e.prune(store.PruneQuery{Conversation: "c", Before: now + 10})
	worked := 0
	for more := true; more; {
		p := e.prune(store.PruneQuery{Conversation: "c", Before: now + 25, Forget: now + 15, Limit: 4})
		more = p.More
		worked++
	}
	// 10 tombstones to forget, 15 messages to prune.
	equal(e, "calls", worked, 25/4+1)
	equal(e, "pruned", e.head("c").Pruned, int64(25))
	equal(e, "left", len(e.all("c")), 5)
}

// Rule: as for every method.
func pruneUnknown(e *env) {
	_, err := e.Prune(e.ctx, store.PruneQuery{Conversation: "none", Limit: 1})
	e.wantErr("Prune", err, store.ErrNotFound)
}

// Rule: ascending by the bytes of the id, each once, whatever the limit.
func conversationsListed(e *env) {
	ids := []string{"\x00", "a", "a\x00", "ab", "b", "\xff", "\xff\xff"}
	for _, id := range ids[1:] {
		e.group(id, "ann")
	}
	e.group(ids[0], "ann")
	e.say("a", "ann")
	for limit := 1; limit <= len(ids)+1; limit++ {
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			heads, err := e.Conversations(e.ctx, after, limit)
			e.must(err)
			for _, h := range heads {
				same(e, "head", h, e.head(h.ID))
				got = append(got, h.ID)
			}
			if len(heads) < limit {
				break
			}
		}
		same(e, fmt.Sprint("ids, limit ", limit), got, ids)
	}
}
