package storetest

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"example.com/h5im/store"
)

// Rule: empty and overlong ids, limits below 1 and negative numbers are
// ErrInvalid everywhere, huge numbers are none; nothing of it panics.
func invalid(e *env) {
	e.methodsSetup()
	long := strings.Repeat("x", 129)
	before := e.version()
	keepSettings := func(*store.Settings) error { return nil }
	keepOwn := func(*store.OwnSettings) error { return nil }
	keepMessage := func(*store.Message) error { return nil }
	check := func(what string, err error) {
		e.Helper()
		e.wantErr(what, err, store.ErrInvalid)
	}
	messages := func(q store.MessagesQuery) { _, err := e.Messages(e.ctx, q); check(fmt.Sprintf("%+v", q), err) }
	changes := func(q store.ChangesQuery) { _, err := e.Changes(e.ctx, q); check(fmt.Sprintf("%+v", q), err) }
	members := func(q store.MembersQuery) { _, err := e.Members(e.ctx, q); check(fmt.Sprintf("%+v", q), err) }
	syncs := func(q store.SyncQuery) { _, err := e.Sync(e.ctx, q); check(fmt.Sprintf("%+v", q), err) }
	for _, id := range []string{"", long} {
		_, _, err := e.Conversation(e.ctx, id, "")
		check("Conversation", err)
		_, err = e.Configure(e.ctx, id, keepSettings)
		check("Configure", err)
		_, err = e.Amend(e.ctx, id, 1, keepMessage)
		check("Amend", err)
		_, err = e.SetOwn(e.ctx, id, "ann", keepOwn)
		check("SetOwn", err)
		_, err = e.SetOwn(e.ctx, "c", id, keepOwn)
		check("SetOwn", err)
		_, err = e.Mark(e.ctx, store.Mark{Conversation: id, User: "ann"})
		check("Mark", err)
		_, err = e.Mark(e.ctx, store.Mark{Conversation: "c", User: id})
		check("Mark", err)
		_, err = e.Lookup(e.ctx, "ann", id, store.Fingerprint{})
		check("Lookup", err)
		_, err = e.Prune(e.ctx, store.PruneQuery{Conversation: id, Limit: 1})
		check("Prune", err)
		_, err = e.Acquainted(e.ctx, id, nil)
		check("Acquainted", err)
		_, err = e.Acquainted(e.ctx, "ann", []string{"ben", id})
		check("Acquainted", err)
		messages(store.MessagesQuery{Conversation: id, Limit: 1})
		changes(store.ChangesQuery{Conversation: id, Limit: 1})
		members(store.MembersQuery{Conversation: id, Limit: 1})
		members(store.MembersQuery{Conversation: "c", Users: []string{id}})
		syncs(store.SyncQuery{User: id, Limit: 1})
	}
	for _, limit := range []int{0, -1, math.MinInt} {
		messages(store.MessagesQuery{Conversation: "c", Limit: limit})
		changes(store.ChangesQuery{Conversation: "c", Limit: limit})
		members(store.MembersQuery{Conversation: "c", Limit: limit})
		syncs(store.SyncQuery{User: "ann", Limit: limit})
		_, err := e.Feed(e.ctx, 0, limit)
		check("Feed", err)
		_, err = e.Conversations(e.ctx, "", limit)
		check("Conversations", err)
		_, err = e.Prune(e.ctx, store.PruneQuery{Conversation: "c", Limit: limit})
		check("Prune", err)
		_, err = e.ListRecords(e.ctx, store.RecordsQuery{Namespace: "n", Limit: limit})
		check("ListRecords", err)
	}
	for _, n := range []int64{-1, math.MinInt64} {
		messages(store.MessagesQuery{Conversation: "c", Anchor: store.Before, Seq: n, Limit: 1})
		messages(store.MessagesQuery{Conversation: "c", Anchor: store.After, Seq: n, Limit: 1})
		messages(store.MessagesQuery{Conversation: "c", Anchor: store.Around, Seq: n, Limit: 1})
		changes(store.ChangesQuery{Conversation: "c", Rev: n, Limit: 1})
		changes(store.ChangesQuery{Conversation: "c", Within: []store.SeqRange{{From: n, To: 1}}, Limit: 1})
		members(store.MembersQuery{Conversation: "c", Since: n, Limit: 1})
		members(store.MembersQuery{Conversation: "c", AfterRev: n, Limit: 1})
		syncs(store.SyncQuery{User: "ann", From: n, Limit: 1})
		syncs(store.SyncQuery{User: "ann", To: n, Limit: 1})
		syncs(store.SyncQuery{User: "ann", AfterVersion: n, Limit: 1})
		_, err := e.Prune(e.ctx, store.PruneQuery{Conversation: "c", Before: store.Millis(n), Limit: 1})
		check("Prune", err)
		_, err = e.Prune(e.ctx, store.PruneQuery{Conversation: "c", Forget: store.Millis(n), Limit: 1})
		check("Prune", err)
		_, err = e.Feed(e.ctx, store.Position(n), 1)
		check("Feed", err)
		_, err = e.Amend(e.ctx, "c", n, keepMessage)
		check("Amend", err)
		_, err = e.Mark(e.ctx, store.Mark{Conversation: "c", User: "ann", Read: n})
		check("Mark", err)
		_, err = e.Mark(e.ctx, store.Mark{Conversation: "c", User: "ann", Delivered: n})
		check("Mark", err)
	}
	_, err := e.Amend(e.ctx, "c", 0, keepMessage)
	check("Amend", err)
	messages(store.MessagesQuery{Conversation: "c", Anchor: store.Around + 1, Limit: 1})
	e.invalidWrites(check)
	equal(e, "version", e.version(), before)
}

func (e *env) invalidWrites(check func(string, error)) {
	for what, spoil := range map[string]func(*store.Append){
		"no conversation":     func(a *store.Append) { a.Message.Conversation = "" },
		"long conversation":   func(a *store.Append) { a.Message.Conversation = strings.Repeat("x", 129) },
		"nobody":              func(a *store.Append) { a.Message.From = "" },
		"long user":           func(a *store.Append) { a.Message.From = strings.Repeat("x", 129) },
		"no clientId":         func(a *store.Append) { a.Message.ClientID = "" },
		"long clientId":       func(a *store.Append) { a.Message.ClientID = strings.Repeat("x", 65) },
		"no id":               func(a *store.Append) { a.Message.ID = "" },
		"long id":             func(a *store.Append) { a.Message.ID = strings.Repeat("x", 33) },
		"no type":             func(a *store.Append) { a.Message.Type = "" },
		"long type":           func(a *store.Append) { a.Message.Type = strings.Repeat("x", 65) },
		"nobody mentioned":    func(a *store.Append) { a.Message.Mentions = []string{"ben", ""} },
		"reply to -1":         func(a *store.Append) { a.Message.ReplyTo = -1 },
		"time before 1970":    func(a *store.Append) { a.Message.Time = -1 },
		"negative expiry":     func(a *store.Append) { a.Message.ExpiresAt = -1 },
		"unknown access":      func(a *store.Append) { a.As = store.AsHost + 1 },
		"opened for nobody":   func(a *store.Append) { a.Open = &[2]string{"ann", ""} },
		"record without name": func(a *store.Append) { a.Records = []store.RecordWrite{{Namespace: "n"}} },
	} {
		item := e.item("c", "ann", "x")
		spoil(&item)
		_, err := e.try(item)
		check("Append: "+what, err)
	}
	for what, n := range map[string]store.NewConversation{
		"no id":                  {Kind: store.Group},
		"no kind":                {ID: "x"},
		"unknown kind":           {ID: "x", Kind: "crowd"},
		"direct with one":        {ID: "x", Kind: store.Direct, Members: []store.NewMember{{User: "ann"}}},
		"direct with three":      {ID: "x", Kind: store.Direct, Members: []store.NewMember{{User: "a"}, {User: "b"}, {User: "c"}}},
		"nobody":                 {ID: "x", Kind: store.Group, Members: []store.NewMember{{}}},
		"unknown role":           {ID: "x", Kind: store.Group, Members: []store.NewMember{{User: "ann", Role: "king"}}},
		"long clientId":          {ID: "x", Kind: store.Group, ClientID: strings.Repeat("x", 65)},
		"created before 1970":    {ID: "x", Kind: store.Group, Time: -1},
		"created by a long user": {ID: "x", Kind: store.Group, Creator: strings.Repeat("x", 129)},
	} {
		_, err := e.Create(e.ctx, n)
		check("Create: "+what, err)
	}
	for what, c := range map[string]store.MembersChange{
		"no time":           {Add: []store.NewMember{{User: "zoe"}}},
		"nobody added":      {Time: now, Add: []store.NewMember{{User: "zoe"}, {}}},
		"nobody removed":    {Time: now, Remove: []string{""}},
		"unknown role":      {Time: now, Add: []store.NewMember{{User: "zoe", Role: "king"}}},
		"added and removed": {Time: now, Add: []store.NewMember{{User: "zoe"}}, Remove: []string{"zoe"}},
	} {
		c.Conversation = "c"
		_, err := e.ChangeMembers(e.ctx, c)
		check("ChangeMembers: "+what, err)
	}
	for what, w := range map[string]store.RecordWrite{
		"no namespace":     {Key: "k"},
		"no key":           {Namespace: "n"},
		"long namespace":   {Namespace: strings.Repeat("n", 65), Key: "k"},
		"long key":         {Namespace: "n", Key: strings.Repeat("k", 513)},
		"unknown revision": {Namespace: "n", Key: "k", If: store.NoRecord - 1},
		"negative expiry":  {Namespace: "n", Key: "k", ExpiresAt: -1},
	} {
		_, err := e.WriteRecords(e.ctx, []store.RecordWrite{w})
		check("WriteRecords: "+what, err)
		if w.If == 0 && w.ExpiresAt == 0 {
			_, err = e.GetRecord(e.ctx, w.Namespace, w.Key, 0)
			check("GetRecord: "+what, err)
		}
	}
	_, err := e.ListRecords(e.ctx, store.RecordsQuery{Limit: 1})
	check("ListRecords: no namespace", err)
}

// Rule: whatever is accepted can be read again. What has no limit of its own
// may have MaxValueBytes; one byte more is ErrInvalid and leaves nothing.
func values(e *env) {
	e.group("c", "ann")
	for _, size := range []int{store.MaxValueBytes + 1, store.MaxValueBytes} {
		fill := func(other int) []byte { return bytes.Repeat([]byte("v"), size-other) }
		check := func(what string, err error) {
			e.Helper()
			if size > store.MaxValueBytes {
				e.wantErr(what, err, store.ErrInvalid)
			} else if err != nil {
				e.Errorf("%s: %v", what, err)
			}
		}
		item := e.item("c", "ann", "")
		item.Message.Content = fill(len("ext") + len("ben") + len("ann") + len("why"))
		item.Message.Ext, item.Message.Mentions = []byte("ext"), []string{"ben"}
		item.Message.Recalled = &store.Recall{By: "ann", Reason: "why"}
		_, err := e.try(item)
		check("Append", err)
		_, err = e.Create(e.ctx, store.NewConversation{
			ID: fmt.Sprint(size), Kind: store.Group, Settings: store.Settings{Title: "title", Ext: fill(len("title"))},
		})
		check("Create", err)
		_, err = e.Configure(e.ctx, "c", func(s *store.Settings) error {
			s.Title, s.Ext = "title", fill(len("title"))
			return nil
		})
		check("Configure", err)
		_, err = e.SetOwn(e.ctx, "c", "ann", func(o *store.OwnSettings) error {
			o.Draft = string(fill(0))
			return nil
		})
		check("SetOwn", err)
		_, err = e.WriteRecords(e.ctx, []store.RecordWrite{{Namespace: "n", Key: "k", Value: fill(0)}})
		check("WriteRecords", err)
		if size > store.MaxValueBytes {
			same(e, "settings", e.head("c").Settings, store.Settings{})
			equal(e, "seq", e.head("c").Seq, 0)
			continue
		}
		_, err = e.Amend(e.ctx, "c", 1, func(m *store.Message) error {
			m.Recalled.Reason += "?"
			return nil
		})
		e.wantErr("Amend", err, store.ErrInvalid)
	}
	equal(e, "content", len(e.all("c")[0].Content), store.MaxValueBytes-len("extbenannwhy"))
	equal(e, "title and ext", len(e.head("c").Ext), store.MaxValueBytes-len("title"))
	equal(e, "draft", len(e.member("c", "ann").Draft), store.MaxValueBytes)
	equal(e, "value", len(e.record(now).Value), store.MaxValueBytes)
	equal(e, "changes in the feed", len(e.feed()), 4)
}
