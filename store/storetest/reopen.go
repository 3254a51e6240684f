package storetest

import (
	"fmt"
	"math"
	"strings"

	"example.com/h5im/store"
)

// reopenCases run only where the harness can open the same data again.
var reopenCases = []testCase{
	{"everything is there again", reopenAll},
	{"a repetition is known again", reopenRepetition},
	{"every counter goes on", reopenCounters},
}

// furnish stores some of everything.
func (e *env) furnish() {
	e.group("c", "ann", "ben", "cat")
	for i := range 20 {
		item := e.item("c", []string{"ann", "ben"}[i%2], fmt.Sprint(i))
		item.Message.Mentions = users(i % 3)
		item.Message.MentionAll = i%4 == 0
		item.Message.ExpiresAt = store.Millis(i%5) * now
		e.send(item)
	}
	e.edit("c", 3, `{"text":"edited"}`)
	e.recall("c", 4)
	e.title("c", "語")
	e.read("c", "ben", 9)
	_, err := e.SetOwn(e.ctx, "c", "cat", func(o *store.OwnSettings) error {
		*o = store.OwnSettings{Starred: true, MuteUntil: store.MuteForever, Draft: "語"}
		return nil
	})
	e.must(err)
	e.remove("c", "cat")
	e.add("c", "dan")
	opening := e.item("d", "ann", "hi")
	opening.Open = &[2]string{"ann", "ben"}
	opening.Records = []store.RecordWrite{{Namespace: "n", Key: "k", Value: []byte("v"), ExpiresAt: now}}
	e.send(opening)
	e.group("big", users(store.SmallConversation+1)...)
}

// dump renders everything that can be read.
func (e *env) dump() string {
	e.Helper()
	var b strings.Builder
	add := func(v any, err error) {
		e.Helper()
		e.must(err)
		b.WriteString(text(v) + "\n")
	}
	add(e.Info(e.ctx))
	add(e.Feed(e.ctx, 0, math.MaxInt))
	add(e.ListRecords(e.ctx, store.RecordsQuery{Namespace: "n", Limit: math.MaxInt}))
	for _, id := range []string{"c", "d", "big"} {
		add(e.Messages(e.ctx, store.MessagesQuery{Conversation: id, Limit: math.MaxInt}))
		add(e.Changes(e.ctx, store.ChangesQuery{Conversation: id, Limit: math.MaxInt}))
		add(e.Members(e.ctx, store.MembersQuery{Conversation: id, Limit: math.MaxInt}))
		add(e.Members(e.ctx, store.MembersQuery{Conversation: id, Since: 1, Limit: math.MaxInt}))
	}
	for _, user := range []string{"ann", "ben", "cat", "dan", "eve"} {
		add(e.Sync(e.ctx, store.SyncQuery{User: user, Limit: math.MaxInt, Now: now}))
		add(e.Sync(e.ctx, store.SyncQuery{User: user, From: 1, Limit: math.MaxInt, Now: now}))
		add(e.Acquainted(e.ctx, user, []string{"ann", "ben", "cat", "dan"}))
	}
	return b.String()
}

// Rule: a store opened again is the same store: epoch, key, version, position,
// rows, indexes.
func reopenAll(e *env) {
	empty, err := e.Info(e.ctx)
	e.must(err)
	e.reopen()
	info, err := e.Info(e.ctx)
	e.must(err)
	same(e, "an empty store", info, empty)
	e.furnish()
	before := e.dump()
	e.reopen()
	if after := e.dump(); after != before {
		e.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// Rule: receipts outlive the process.
func reopenRepetition(e *env) {
	e.group("c", "ann", "ben")
	item := e.item("c", "ben", "x")
	first := e.send(item)
	made := store.NewConversation{
		ID: "made", Kind: store.Group, Creator: "ann", Time: now, ClientID: "made", Fingerprint: fingerprint("made"),
	}
	_, err := e.Create(e.ctx, made)
	e.must(err)
	e.recall("c", 1)
	e.remove("c", "ben")
	e.reopen()
	r, err := e.Lookup(e.ctx, "ben", item.Message.ClientID, item.Fingerprint)
	e.must(err)
	equal(e, "Lookup", r, first.Receipt)
	again := e.send(item)
	equal(e, "Append", again.Receipt, first.Receipt)
	equal(e, "duplicate", again.Duplicate, true)
	equal(e, "recalled", again.Message.Recalled != nil, true)
	created, err := e.Create(e.ctx, made)
	e.must(err)
	equal(e, "duplicate creation", created.Duplicate, true)
	item.Fingerprint[0] ^= 1
	_, err = e.try(item)
	e.wantErr("another request", err, store.ErrConflict)
}

// Rule: no counter begins again or leaves a hole: seq, rev, memberRev, version,
// position, and the revision of a record that was deleted.
func reopenCounters(e *env) {
	e.group("c", "ann")
	e.say("c", "ann")
	revision := e.put(store.RecordWrite{Namespace: "n", Key: "k"})
	e.put(store.RecordWrite{Namespace: "n", Key: "k", Delete: true})
	before, err := e.Info(e.ctx)
	e.must(err)
	e.reopen()
	again := e.put(store.RecordWrite{Namespace: "n", Key: "k"})
	if again <= revision {
		e.Errorf("revision %d after %d", again, revision)
	}
	r := e.say("c", "ann")
	equal(e, "seq", r.Receipt.Seq, int64(2))
	equal(e, "rev", r.Receipt.Rev, int64(2))
	equal(e, "memberRev", e.add("c", "ben").Conversation.MemberRev, int64(2))
	after, err := e.Info(e.ctx)
	e.must(err)
	if after.Version <= before.Version || after.Position <= before.Position {
		e.Errorf("before: %+v, after: %+v", before, after)
	}
	equal(e, "changes since", len(e.feed()), 4)
}
