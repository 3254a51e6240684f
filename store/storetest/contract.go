package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"example.com/h5im/store"
)

var contractCases = []testCase{
	{"the store has an identity", infoIdentity},
	{"the version grows with every change", infoVersion},
	{"what breaks the contract is invalid, and stores nothing", invalid},
	{"a value of MaxValueBytes is kept and a greater one refused", values},
	{"a cancelled context ends every method", cancelled},
	{"after Close every method says so", closed},
	{"Close waits for writes that it accepted", closeWhileWriting},
	{"arguments and results belong to the caller", ownership},
	{"ids are bytes and none is a prefix of another", prefixes},
	{"no items are no work", appendNothing},
}

// method calls one method with arguments that are valid where the conversation
// "c" with the member "ann" and one message exists.
type method struct {
	name string
	call func(ctx context.Context) error
}

func (e *env) methods() []method {
	keep := func(*store.Settings) error { return nil }
	return []method{
		{"Info", func(ctx context.Context) error { _, err := e.Info(ctx); return err }},
		{"Create", func(ctx context.Context) error {
			_, err := e.Create(ctx, store.NewConversation{ID: "new", Kind: store.Group})
			return err
		}},
		{"Conversation", func(ctx context.Context) error { _, _, err := e.Conversation(ctx, "c", "ann"); return err }},
		{"Configure", func(ctx context.Context) error { _, err := e.Configure(ctx, "c", keep); return err }},
		{"Append", func(ctx context.Context) error {
			_, err := e.Append(ctx, []store.Append{e.item("c", "ann", "x")})
			return err
		}},
		{"Lookup", func(ctx context.Context) error {
			_, err := e.Lookup(ctx, "ann", "client-1", fingerprint("client-1"))
			return err
		}},
		{"Amend", func(ctx context.Context) error {
			_, err := e.Amend(ctx, "c", 1, func(*store.Message) error { return nil })
			return err
		}},
		{"Prune", func(ctx context.Context) error {
			_, err := e.Prune(ctx, store.PruneQuery{Conversation: "c", Limit: 1})
			return err
		}},
		{"Conversations", func(ctx context.Context) error { _, err := e.Conversations(ctx, "", 1); return err }},
		{"Messages", func(ctx context.Context) error {
			_, err := e.Messages(ctx, store.MessagesQuery{Conversation: "c", Limit: 1})
			return err
		}},
		{"Changes", func(ctx context.Context) error {
			_, err := e.Changes(ctx, store.ChangesQuery{Conversation: "c", Limit: 1})
			return err
		}},
		{"ChangeMembers", func(ctx context.Context) error {
			_, err := e.ChangeMembers(ctx, store.MembersChange{Conversation: "c", Time: now, Add: []store.NewMember{{User: "ben"}}})
			return err
		}},
		{"Members", func(ctx context.Context) error {
			_, err := e.Members(ctx, store.MembersQuery{Conversation: "c", Limit: 1})
			return err
		}},
		{"Mark", func(ctx context.Context) error {
			_, err := e.Mark(ctx, store.Mark{Conversation: "c", User: "ann", Read: 9})
			return err
		}},
		{"SetOwn", func(ctx context.Context) error {
			_, err := e.SetOwn(ctx, "c", "ann", func(*store.OwnSettings) error { return nil })
			return err
		}},
		{"Sync", func(ctx context.Context) error {
			_, err := e.Sync(ctx, store.SyncQuery{User: "ann", Limit: 1})
			return err
		}},
		{"Acquainted", func(ctx context.Context) error { _, err := e.Acquainted(ctx, "ann", []string{"ben"}); return err }},
		{"Feed", func(ctx context.Context) error { _, err := e.Feed(ctx, 0, 1); return err }},
		{"WriteRecords", func(ctx context.Context) error {
			_, err := e.WriteRecords(ctx, []store.RecordWrite{{Namespace: "n", Key: "k"}})
			return err
		}},
		{"GetRecord", func(ctx context.Context) error { _, err := e.GetRecord(ctx, "n", "k", 0); return err }},
		{"ListRecords", func(ctx context.Context) error {
			_, err := e.ListRecords(ctx, store.RecordsQuery{Namespace: "n", Limit: 1})
			return err
		}},
	}
}

func (e *env) methodsSetup() {
	e.group("c", "ann")
	e.say("c", "ann")
	for _, m := range e.methods() {
		if err := m.call(e.ctx); err != nil {
			e.Fatalf("%s, as the cases call it: %v", m.name, err)
		}
	}
}

// Rule: an epoch and 32 secret bytes of its own, that stay; an empty store is
// at version and position 0.
func infoIdentity(e *env) {
	info, err := e.Info(e.ctx)
	e.must(err)
	if info.Epoch == "" || len(info.Key) != 32 || info.Version != 0 || info.Position != 0 {
		e.Errorf("empty store: %+v", info)
	}
	key := slices.Clone(info.Key)
	clear(info.Key)
	again, err := e.Info(e.ctx)
	e.must(err)
	equal(e, "epoch", again.Epoch, info.Epoch)
	same(e, "key", again.Key, key)

	other := setup(e.T, e.harness)
	info, err = other.Info(e.ctx)
	e.must(err)
	if info.Epoch == again.Epoch || string(info.Key) == string(again.Key) {
		e.Error("two stores have one identity")
	}
}

// Rule: what changes something ends at a version that no earlier one had.
func infoVersion(e *env) {
	last := e.version()
	for _, c := range []struct {
		what string
		do   func()
	}{
		{"Create", func() { e.group("c", "ann", "ben") }},
		{"Append", func() { e.say("c", "ann") }},
		{"Amend", func() { e.edit("c", 1, "x") }},
		{"Configure", func() { e.title("c", "x") }},
		{"ChangeMembers", func() { e.add("c", "cat") }},
		{"Mark", func() { e.read("c", "ben", 1) }},
	} {
		c.do()
		version := e.version()
		if version <= last {
			e.Errorf("%s: version %d after %d", c.what, version, last)
		}
		equal(e, c.what+": version of the head", e.head("c").Version, version)
		last = version
	}
}

// Rule: a context that has ended is the method's error.
func cancelled(e *env) {
	e.methodsSetup()
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	for _, m := range e.methods() {
		e.wantErr(m.name, m.call(ctx), context.Canceled)
	}
}

// Rule: a closed store answers ErrClosed, and closing it again does nothing.
func closed(e *env) {
	e.methodsSetup()
	e.must(e.Close())
	for _, m := range e.methods() {
		e.wantErr(m.name, m.call(e.ctx), store.ErrClosed)
	}
	e.must(e.Close())
}

// Rule: a write that races with Close is done, and is there when the store is
// opened again, or is refused with ErrClosed and is not; no method hangs or
// answers anything else.
func closeWhileWriting(e *env) {
	const writers = 16
	e.group("c", users(writers)...)
	begun := make(chan struct{}, writers)
	var done atomic.Int64
	e.fan(writers+1, func(w int) error {
		if w == writers {
			<-begun
			return e.Close()
		}
		for {
			_, err := e.try(e.item("c", users(writers)[w], "x"))
			if errors.Is(err, store.ErrClosed) {
				return nil
			}
			if err != nil {
				return err
			}
			done.Add(1)
			select {
			case begun <- struct{}{}:
			default:
			}
		}
	})
	if e.harness.Reopen != nil {
		e.reopen()
		equal(e, "messages", e.head("c").Seq, done.Load())
	}
}

// Rule: the store keeps no argument and gives nothing away that it keeps: what
// a caller does to either afterwards has no effect.
func ownership(e *env) {
	title := []byte(`{"ext":1}`)
	_, err := e.Create(e.ctx, store.NewConversation{
		ID: "c", Kind: store.Group, Settings: store.Settings{Ext: title}, Members: []store.NewMember{{User: "ann"}, {User: "ben"}},
	})
	e.must(err)
	clear(title)
	item := e.item("c", "ann", "x")
	item.Message.Ext, item.Message.Mentions = []byte(`{"ext":2}`), []string{"ben"}
	item.Message.Recalled = &store.Recall{By: "ann"}
	item.Records = []store.RecordWrite{{Namespace: "n", Key: "k", Value: []byte("value")}}
	want := text(item.Message.Content) + text(item.Message.Ext) + text(item.Message.Mentions) + text(item.Message.Recalled)
	spoil := func(m *store.Message) {
		clear(m.Content)
		clear(m.Ext)
		clear(m.Mentions)
		m.Recalled.By = "spoilt"
	}
	check := func(after string) {
		e.Helper()
		m := e.all("c")[0]
		same(e, "settings after "+after, string(e.head("c").Ext), `{"ext":1}`)
		equal(e, "message after "+after, text(m.Content)+text(m.Ext)+text(m.Mentions)+text(m.Recalled), want)
		r, err := e.GetRecord(e.ctx, "n", "k", 0)
		e.must(err)
		equal(e, "record after "+after, string(r.Value), "value")
	}
	appended := e.send(item)
	check("Append")
	spoil(&item.Message)
	clear(item.Records[0].Value)
	check("spoiling the arguments of Append")
	spoil(&appended.Message)
	clear(appended.Conversation.Ext)
	check("spoiling its results")

	page, err := e.Messages(e.ctx, store.MessagesQuery{Conversation: "c", Limit: 1})
	e.must(err)
	spoil(&page.Messages[0])
	clear(page.Conversation.Ext)
	check("spoiling Messages")
	changes, err := e.Changes(e.ctx, store.ChangesQuery{Conversation: "c", Limit: 1})
	e.must(err)
	spoil(&changes.Messages[0])
	clear(changes.Conversation.Ext)
	check("spoiling Changes")
	rows := e.sync("ben", 0)
	spoil(rows[0].Last)
	clear(rows[0].Conversation.Ext)
	check("spoiling Sync")
	for _, c := range e.feed() {
		if c.Message != nil {
			spoil(c.Message)
		}
		clear(c.Head.Ext)
	}
	check("spoiling Feed")
	records, err := e.ListRecords(e.ctx, store.RecordsQuery{Namespace: "n", Limit: 1})
	e.must(err)
	clear(records[0].Value)
	record, err := e.GetRecord(e.ctx, "n", "k", 0)
	e.must(err)
	clear(record.Value)
	check("spoiling records")
	_, m, err := e.Conversation(e.ctx, "c", "ben")
	e.must(err)
	m.User = "spoilt"
	equal(e, "row", e.member("c", "ben").User, "ben")

	var kept *store.Message
	amended, err := e.Amend(e.ctx, "c", 1, func(m *store.Message) error {
		kept = m
		return nil
	})
	e.must(err)
	spoil(kept)
	spoil(&amended.Message)
	var settings *store.Settings
	configured, err := e.Configure(e.ctx, "c", func(s *store.Settings) error {
		settings = s
		s.Title = "t"
		return nil
	})
	e.must(err)
	clear(settings.Ext)
	clear(configured.Ext)
	check("spoiling what a change was given")
}

// Rule: rows of ids that begin alike, or hold any byte, do not mix.
func prefixes(e *env) {
	long := strings.Repeat("語", 42)
	ids := []string{"a", "ab", "a\x00", "a\x00b", "\x00", "\xff", "\xff\xff", long, long + "xy"}
	for i, id := range ids {
		e.group(id, append([]string{"everybody"}, ids[:i+1]...)...)
		for n := range i + 1 {
			e.say(id, ids[n])
		}
		e.edit(id, 1, "edited")
	}
	for i, id := range ids {
		equal(e, "seq", e.head(id).Seq, int64(i+1))
		stored := e.all(id)
		equal(e, "messages", len(stored), i+1)
		for n, m := range stored {
			equal(e, "conversation of the message", m.Conversation, id)
			equal(e, "sender", m.From, ids[n])
		}
		changes, _ := e.changes(store.ChangesQuery{Conversation: id, Limit: 2, Now: now})
		equal(e, "changes", len(changes), i+1)
		listed := e.members(store.MembersQuery{Conversation: id, Limit: 2})
		equal(e, "members", len(listed), i+2)
		equal(e, "members are in byte order", slices.IsSortedFunc(listed, func(a, b store.Member) int {
			return strings.Compare(a.User, b.User)
		}), true)
		rows := rowIDs(e.sync(id, 0))
		slices.Sort(rows)
		want := slices.Clone(ids[i:])
		slices.Sort(want)
		same(e, fmt.Sprintf("conversations of %q", id), rows, want)
		for limit := 1; limit <= 3; limit++ {
			paged, _, err := e.walk(store.SyncQuery{User: id, Limit: limit, Now: now}, nil)
			e.must(err)
			equal(e, "conversations in pages", len(paged), len(want))
		}
	}
	known, err := e.Acquainted(e.ctx, ids[0], append([]string{"b", "abc"}, ids...))
	e.must(err)
	same(e, "acquainted", known, ids)
}

// Rule: an empty call is answered with nothing and changes nothing.
func appendNothing(e *env) {
	results, err := e.Append(e.ctx, nil)
	e.must(err)
	equal(e, "results", len(results), 0)
	equal(e, "version", e.version(), 0)
}
