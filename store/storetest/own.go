package storetest

import (
	"fmt"
	"math"

	"example.com/h5im/store"
)

var ownCases = []testCase{
	{"markers move forward, up to the head", markClamped},
	{"a marker that does not move changes nothing", markIdle},
	{"concurrent marks end at the highest", markConcurrently},
	{"a marker stamps the head of a small conversation only", markStamps},
	{"an own message is seen, and read where all before it was", ownSend},
	{"own settings take an own where they differ", setOwn},
}

// Rule: markers are monotonic and clamped to the head; read implies delivered;
// each call that moves one takes one own.
func markClamped(e *env) {
	e.group("c", "ann", "ben")
	for range 5 {
		e.say("c", "ann")
	}
	for i, step := range []struct {
		read, delivered         int64
		wantRead, wantDelivered int64
		own                     int64
	}{
		{0, 2, 0, 2, 1},
		{1, 0, 1, 2, 2},
		{3, 1, 3, 3, 3},
		{2, 2, 3, 3, 3},
		{0, 4, 3, 4, 4},
		{math.MaxInt64, 0, 5, 5, 5},
		{math.MaxInt64, math.MaxInt64, 5, 5, 5},
	} {
		was := e.member("c", "ben")
		r, err := e.Mark(e.ctx, store.Mark{Conversation: "c", User: "ben", Read: step.read, Delivered: step.delivered})
		e.must(err)
		what := fmt.Sprint("step ", i)
		equal(e, what+": read", r.Member.Read, step.wantRead)
		equal(e, what+": delivered", r.Member.Delivered, step.wantDelivered)
		equal(e, what+": own", r.Member.Own, step.own)
		equal(e, what+": seen", r.Member.Seen, step.wantRead)
		equal(e, what+": moved", r.Moved, step.own > was.Own)
		equal(e, what+": stored row", e.member("c", "ben"), r.Member)
		same(e, what+": head", e.head("c"), r.Conversation)
	}
	equal(e, "rev", e.head("c").Rev, int64(5))
	equal(e, "delivered beyond the head does not wait", e.say("c", "ann").Conversation.Seq, int64(6))
	equal(e, "marker after a new message", e.member("c", "ben").Delivered, int64(5))
}

// Rule: without a move there is no own and no new version on row or head.
func markIdle(e *env) {
	e.group("c", "ann", "ben")
	e.say("c", "ann")
	e.read("c", "ben", 1)
	head, row := e.head("c"), e.member("c", "ben")
	for _, m := range []store.Mark{{}, {Read: 1}, {Delivered: 1}, {Read: 9, Delivered: 9}} {
		m.Conversation, m.User = "c", "ben"
		r, err := e.Mark(e.ctx, m)
		e.must(err)
		same(e, "answer", r, store.Marked{Member: row, Conversation: head})
	}
	same(e, "head", e.head("c"), head)
	equal(e, "row", e.member("c", "ben"), row)
}

// Rule: the order in which marks arrive does not matter.
func markConcurrently(e *env) {
	const seq = 24
	e.group("c", "ann", "ben")
	for range seq {
		e.say("c", "ann")
	}
	moved := make([]bool, seq)
	e.fan(seq, func(i int) error {
		r, err := e.Mark(e.ctx, store.Mark{Conversation: "c", User: "ben", Read: int64(i + 1)})
		moved[i] = r.Moved
		if err == nil && r.Member.Read < int64(i+1) {
			err = fmt.Errorf("marked %d, answered %d", i+1, r.Member.Read)
		}
		return err
	})
	m := e.member("c", "ben")
	equal(e, "read", m.Read, int64(seq))
	equal(e, "seen", m.Seen, int64(seq))
	moves := int64(0)
	for _, moved := range moved {
		if moved {
			moves++
		}
	}
	equal(e, "own", m.Own, moves)
}

// Rule: up to SmallConversation members a moved marker stamps the head, so that
// a sender who was away learns of it; above, only the row.
func markStamps(e *env) {
	all := users(store.SmallConversation + 1)
	e.group("c", all...)
	e.say("c", all[0])
	e.say("c", all[0])
	version := e.head("c").Version
	r := e.read("c", all[1], 1)
	equal(e, "version of a large head", r.Conversation.Version, version)
	equal(e, "version of the row", r.Member.Version, e.version())

	e.remove("c", all[store.SmallConversation])
	r = e.read("c", all[1], 2)
	equal(e, "version of a small head", r.Conversation.Version, e.version())
	equal(e, "version of the stored head", e.head("c").Version, e.version())
	equal(e, "version of the row", e.member("c", all[1]).Version, e.version())
	page, err := e.Sync(e.ctx, store.SyncQuery{User: all[0], From: e.version() - 1, Limit: 9, Now: now})
	e.must(err)
	equal(e, "rows for the sender", len(page.Rows), 1)
}

// Rule: wherever the sender is a member, his own message is no unread one to
// him; Read follows only from right behind; it takes no own.
func ownSend(e *env) {
	e.group("c", "ann", "ben")
	e.say("c", "ann") // 1
	e.say("c", "ann") // 2
	row := e.member("c", "ann")
	if row.Read != 2 || row.Delivered != 2 || row.Seen != 2 || row.Own != 0 {
		e.Errorf("row of who read all: %+v", row)
	}
	item := e.item("c", "ben", "as the host") // 3
	item.As, item.Message.MentionAll = store.AsHost, true
	e.send(item)
	row = e.member("c", "ben")
	if row.Read != 0 || row.Delivered != 0 || row.Seen != 3 || row.SeenAll != 1 || row.Own != 0 {
		e.Errorf("row of who had not read all: %+v", row)
	}
	head := e.head("c")
	equal(e, "unread of the sender", row.Unread(&head), int64(0))
	row = e.member("c", "ann")
	equal(e, "unread of the other", row.Unread(&head), int64(1))
	equal(e, "mentions of all unread by the other", head.AllCount-row.SeenAll, int64(1))

	row = e.read("c", "ben", 1).Member
	if row.Read != 1 || row.Seen != 3 || row.SeenAll != 1 {
		e.Errorf("an older marker takes back what was seen: %+v", row)
	}
	e.remove("c", "ben")
	before := e.member("c", "ben")
	item = e.item("c", "ben", "after a leave")
	item.As = store.AsHost
	e.send(item)
	equal(e, "row of who left", e.member("c", "ben"), before)
}

// Rule: own settings are kept per member; only a difference takes an own and
// stamps the row, and the head never.
func setOwn(e *env) {
	e.group("c", "ann", "ben")
	head := e.head("c")
	want := store.OwnSettings{Starred: true, Archived: true, MuteUntil: store.MuteForever, Draft: "語\x00"}
	set := func() store.Member {
		m, err := e.SetOwn(e.ctx, "c", "ben", func(o *store.OwnSettings) error {
			*o = want
			return nil
		})
		e.must(err)
		return m
	}
	m := set()
	equal(e, "settings", m.OwnSettings, want)
	equal(e, "own", m.Own, int64(1))
	equal(e, "version", m.Version, e.version())
	equal(e, "stored row", e.member("c", "ben"), m)
	equal(e, "row after no difference", set(), m)
	equal(e, "stored row after no difference", e.member("c", "ben"), m)
	want = store.OwnSettings{Draft: "x"}
	m = set()
	equal(e, "settings", m.OwnSettings, want)
	equal(e, "own", m.Own, int64(2))
	same(e, "head", e.head("c"), head)
	equal(e, "settings of the other", e.member("c", "ann").OwnSettings, store.OwnSettings{})
	_, err := e.SetOwn(e.ctx, "c", "eve", func(*store.OwnSettings) error { return nil })
	e.wantErr("a stranger", err, store.ErrNotMember)
}
