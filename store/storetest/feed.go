package storetest

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"example.com/h5im/store"
)

var feedCases = []testCase{
	{"every change is there once, in order", feedKinds},
	{"a change carries the state of now", feedCurrent},
	{"paging at every limit gives the same", feedPages},
	{"a reader between concurrent writers skips nothing", feedConcurrent},
}

// pointer tells what a change points to.
func pointer(c *store.Change) string {
	switch {
	case c.Message != nil:
		return fmt.Sprintf("%s %d %d", c.Conversation, c.Kind, c.Message.Seq)
	case c.Member != nil:
		return fmt.Sprintf("%s %d %s", c.Conversation, c.Kind, c.Member.User)
	}
	return fmt.Sprintf("%s %d", c.Conversation, c.Kind)
}

func (e *env) feed() []store.Change {
	e.Helper()
	changes, err := e.Feed(e.ctx, 0, math.MaxInt)
	e.must(err)
	return changes
}

// Rule: appends, amendments, settings, creations and member rows are changes;
// duplicates, markers, own settings, records and what changed nothing are none.
func feedKinds(e *env) {
	equal(e, "changes of an empty store", len(e.feed()), 0)
	e.group("c", "ann", "ben")
	item := e.item("c", "ann", "x")
	e.send(item)
	e.send(item)
	e.title("c", "new")
	e.title("c", "new")
	e.edit("c", 1, "edited")
	e.read("c", "ben", 1)
	_, err := e.SetOwn(e.ctx, "c", "ben", func(o *store.OwnSettings) error {
		o.Starred = true
		return nil
	})
	e.must(err)
	_, err = e.WriteRecords(e.ctx, []store.RecordWrite{{Namespace: "n", Key: "k"}})
	e.must(err)
	e.change(store.MembersChange{
		Conversation: "c", Time: now, Add: []store.NewMember{{User: "zoe"}, {User: "cat"}, {User: "ann"}}, Remove: []string{"ben"},
	})
	opening := e.item("d", "ann", "hi")
	opening.Open = &[2]string{"ann", "ben"}
	e.send(opening)

	changes := e.feed()
	var got []string
	last := store.Position(0)
	for i := range changes {
		c := &changes[i]
		got = append(got, pointer(c))
		if c.Position <= last {
			e.Errorf("position %d after %d", c.Position, last)
		}
		last = c.Position
		if c.Head == nil {
			e.Fatalf("%s has no head", got[i])
		}
		same(e, "head", *c.Head, e.head(c.Conversation))
	}
	same(e, "changes", got, []string{
		fmt.Sprint("c ", store.ConversationCreated),
		fmt.Sprint("c ", store.MessageAppended, " 1"),
		fmt.Sprint("c ", store.ConversationConfigured),
		fmt.Sprint("c ", store.MessageAmended, " 1"),
		fmt.Sprint("c ", store.MemberChanged, " zoe"),
		fmt.Sprint("c ", store.MemberChanged, " cat"),
		fmt.Sprint("c ", store.MemberChanged, " ben"),
		fmt.Sprint("d ", store.ConversationCreated),
		fmt.Sprint("d ", store.MessageAppended, " 1"),
	})
	info, err := e.Info(e.ctx)
	e.must(err)
	equal(e, "position of the store", info.Position, last)
	for _, after := range []store.Position{last, last + 1, math.MaxInt64} {
		rest, err := e.Feed(e.ctx, after, 1)
		e.must(err)
		equal(e, fmt.Sprint("changes after ", after), len(rest), 0)
	}
}

// Rule: an old entry yields its object as it is now, expired or not.
func feedCurrent(e *env) {
	e.group("c", "ann", "ben")
	item := e.item("c", "ann", "first")
	item.Message.ExpiresAt = 1
	e.send(item)
	e.remove("c", "ben")
	e.edit("c", 1, "edited")
	e.add("c", "ben")
	e.title("c", "last")
	for _, c := range e.feed() {
		same(e, "head", *c.Head, e.head("c"))
		if c.Message != nil {
			same(e, "message", *c.Message, e.all("c")[0])
		}
		if c.Member != nil {
			same(e, "member", *c.Member, e.member("c", "ben"))
		}
	}
}

// Rule: a position is a place: reading on from any of them, by any number, is
// reading the same list.
func feedPages(e *env) {
	e.group("c", "ann")
	for i := range 9 {
		e.say("c", "ann")
		e.edit("c", int64(i/2+1), fmt.Sprint(i))
	}
	all := e.feed()
	equal(e, "changes", len(all), 19)
	for limit := 1; limit <= len(all)+1; limit++ {
		var got []store.Change
		for after := store.Position(0); ; {
			changes, err := e.Feed(e.ctx, after, limit)
			e.must(err)
			if len(changes) > limit {
				e.Fatalf("%d changes, limit %d", len(changes), limit)
			}
			if len(changes) == 0 {
				break
			}
			got = append(got, changes...)
			after = changes[len(changes)-1].Position
		}
		same(e, fmt.Sprint("by ", limit), got, all)
	}
}

// Rule: positions become visible in their order: a reader that goes on from
// the last one that he saw has, in the end, everything, and of a conversation
// the appends in the order of seq.
func feedConcurrent(e *env) {
	const writers, each, conversations = 16, 12, 3
	for c := range conversations {
		e.group(fmt.Sprint("c", c), users(writers)...)
		e.say(fmt.Sprint("c", c), users(writers)[0])
	}
	var writing atomic.Int32
	writing.Store(writers)
	var got []store.Change
	e.fan(writers+1, func(w int) error {
		if w < writers {
			defer writing.Add(-1)
			for n := range each {
				id := fmt.Sprint("c", (w+n)%conversations)
				other := fmt.Sprint("c", (w+n+1)%conversations)
				results, err := e.Append(e.ctx, []store.Append{
					e.item(id, users(writers)[w], "x"), e.item(other, users(writers)[w], "x"),
				})
				if err == nil {
					err = errors.Join(results[0].Err, results[1].Err)
				}
				if err == nil && n%3 == 0 {
					_, err = e.Amend(e.ctx, id, 1, func(m *store.Message) error {
						m.Content = fmt.Appendf(nil, "%d", w)
						return nil
					})
				}
				if err != nil {
					return err
				}
			}
			return nil
		}
		after := store.Position(0)
		for limit, last := 1, false; ; limit = limit%20 + 1 {
			changes, err := e.Feed(e.ctx, after, limit)
			if err != nil {
				return err
			}
			for _, c := range changes {
				if c.Position <= after {
					return fmt.Errorf("position %d after %d", c.Position, after)
				}
				after = c.Position
			}
			got = append(got, changes...)
			if len(changes) == 0 {
				if last {
					return nil
				}
				last = writing.Load() == 0
			}
		}
	})
	all := e.feed()
	if len(got) != len(all) {
		e.Fatalf("the reader has %d changes of %d", len(got), len(all))
	}
	next := map[string]int64{}
	appended := 0
	for i := range got {
		if got[i].Position != all[i].Position || pointer(&got[i]) != pointer(&all[i]) {
			e.Fatalf("change %d: %d %s, want %d %s", i, got[i].Position, pointer(&got[i]), all[i].Position, pointer(&all[i]))
		}
		if c := &got[i]; c.Kind == store.MessageAppended {
			appended++
			next[c.Conversation]++
			equal(e, "seq in "+c.Conversation, c.Message.Seq, next[c.Conversation])
		}
	}
	equal(e, "messages appended", appended, conversations+writers*each*2)
}
