package storetest

import (
	"strings"

	"example.com/h5im/store"
)

var amendCases = []testCase{
	{"an amendment takes a rev and keeps what names the message", amendFields},
	{"a recall leaves a tombstone that counts", amendTombstone},
	{"concurrent amendments lose no update", amendConcurrently},
	{"what does not exist cannot be amended", amendUnknown},
	{"an amendment leaves a valid message", amendValid},
}

// Rule: an amendment takes the next rev, stamps row and head, and cannot touch
// what receipts, order and counts rest on.
func amendFields(e *env) {
	e.group("c", "ann")
	e.say("c", "ann")
	before := e.say("c", "ann").Message
	want := before
	want.Rev = 3
	want.Type, want.Content, want.Ext = "card", []byte(`{"edited":true}`), []byte(`{"x":1}`)
	want.Mentions, want.MentionAll, want.ReplyTo, want.Flags = []string{"ann"}, true, 1, store.NoUnread
	want.EditedAt, want.ExpiresAt = now+5, now+50
	amended, err := e.Amend(e.ctx, "c", 2, func(m *store.Message) error {
		same(e, "message inside", *m, before)
		*m = want
		m.Conversation, m.Seq, m.Rev, m.Born, m.Count, m.AllCount = "other", 9, 9, 9, 9, 9
		m.ID, m.From, m.ClientID, m.Time = "other", "eve", "other", 9
		return nil
	})
	e.must(err)
	same(e, "answer", amended, store.Amended{Message: want, Conversation: e.head("c")})
	same(e, "stored", e.all("c")[1], want)
	head := e.head("c")
	equal(e, "rev of the head", head.Rev, int64(3))
	equal(e, "version of the head", head.Version, e.version())
	equal(e, "seq of the head", head.Seq, int64(2))
	equal(e, "Count of the head", head.Count, int64(2))
	equal(e, "rev of the neighbour", e.all("c")[0].Rev, int64(1))
	want.Rev = 4
	same(e, "a second amendment", e.edit("c", 2, `{"edited":true}`).Message, want)
}

// Rule: a recalled message keeps its row, its seq and its place in the counts.
func amendTombstone(e *env) {
	e.group("c", "ann", "ben")
	for range 3 {
		e.say("c", "ann")
	}
	e.recall("c", 2)
	stored := e.all("c")
	equal(e, "rows", len(stored), 3)
	same(e, "recall", stored[1].Recalled, &store.Recall{By: "ann", At: now + 2, Reason: "typo"})
	equal(e, "content", len(stored[1].Content), 0)
	head, row := e.head("c"), e.member("c", "ben")
	equal(e, "unread", row.Unread(&head), int64(3))
	equal(e, "Count of the next", e.say("c", "ann").Message.Count, int64(4))
}

// Rule: change is called on the present state inside the transaction.
func amendConcurrently(e *env) {
	const writers, each = 16, 4
	e.group("c", "ann")
	e.send(e.item("c", "ann", ""))
	e.edit("c", 1, "")
	e.fan(writers, func(int) error {
		for range each {
			_, err := e.Amend(e.ctx, "c", 1, func(m *store.Message) error {
				m.Content = append(m.Content, 'x')
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	equal(e, "content", string(e.all("c")[0].Content), strings.Repeat("x", writers*each))
	equal(e, "rev", e.head("c").Rev, int64(2+writers*each))
}

// Rule: ErrNotFound for an unknown conversation and for a seq beyond the head.
func amendUnknown(e *env) {
	e.group("c", "ann")
	e.say("c", "ann")
	called := func(*store.Message) error {
		e.Error("change was called for nothing")
		return nil
	}
	_, err := e.Amend(e.ctx, "c", 2, called)
	e.wantErr("beyond the head", err, store.ErrNotFound)
	_, err = e.Amend(e.ctx, "c", 1<<62, called)
	e.wantErr("far beyond the head", err, store.ErrNotFound)
	_, err = e.Amend(e.ctx, "none", 1, called)
	e.wantErr("unknown conversation", err, store.ErrNotFound)
}

// Rule: an amendment that breaks the limits of a message is ErrInvalid and
// stores nothing.
func amendValid(e *env) {
	e.group("c", "ann")
	before := e.say("c", "ann").Message
	for what, change := range map[string]func(*store.Message){
		"no type":          func(m *store.Message) { m.Type = "" },
		"long type":        func(m *store.Message) { m.Type = strings.Repeat("t", store.MaxTypeBytes+1) },
		"negative expiry":  func(m *store.Message) { m.ExpiresAt = -1 },
		"nobody mentioned": func(m *store.Message) { m.Mentions = []string{""} },
	} {
		_, err := e.Amend(e.ctx, "c", 1, func(m *store.Message) error {
			change(m)
			return nil
		})
		e.wantErr(what, err, store.ErrInvalid)
	}
	same(e, "message", e.all("c")[0], before)
	equal(e, "rev", e.head("c").Rev, int64(1))
}
