package storetest

import (
	"errors"
	"fmt"

	"example.com/h5im/store"
)

var conversationCases = []testCase{
	{"a created conversation is what was asked for", createFields},
	{"a direct conversation is made once", createDirect},
	{"an id that exists conflicts", createConflict},
	{"of a member named twice the first counts", createTwice},
	{"reading a conversation tells of its member", conversationRead},
	{"settings change with a rev, and only if they change", configure},
	{"a change that errs stores nothing", configureErrs},
	{"concurrent configurations lose no update", configureConcurrently},
}

// Rule: a creation stores what was asked for, counts from zero, with its
// members at memberRev 1.
func createFields(e *env) {
	want := store.Conversation{
		ID: "c", Kind: store.Group, Settings: store.Settings{Title: "語", Ext: []byte(`{"k":1}`)},
		Creator: "ann", CreatedAt: now, MemberRev: 1, Members: 3,
	}
	created, err := e.Create(e.ctx, store.NewConversation{
		ID: want.ID, Kind: want.Kind, Settings: want.Settings, Creator: want.Creator, Time: now,
		Members: []store.NewMember{{User: "ann", Role: store.Owner}, {User: "ben", Role: store.Admin}, {User: "cat"}},
	})
	e.must(err)
	want.Version = e.version()
	same(e, "answer", created, store.Created{Conversation: want})
	same(e, "head", e.head("c"), want)
	for user, role := range map[string]store.Role{"ann": store.Owner, "ben": store.Admin, "cat": store.PlainMember} {
		equal(e, "row", e.member("c", user), store.Member{
			Conversation: "c", User: user, Role: role, JoinedAt: now, Rev: 1, Version: want.Version,
		})
	}
}

// Rule: two users have one direct conversation, however often and however
// simultaneously it is created.
func createDirect(e *env) {
	const times = 32
	created := make([]store.Created, times)
	e.fan(times, func(i int) (err error) {
		created[i], err = e.Create(e.ctx, store.NewConversation{
			ID: "d", Kind: store.Direct, Creator: "ann", Time: now, ClientID: fmt.Sprint(i),
			Members: []store.NewMember{{User: "ann"}, {User: "ben"}},
		})
		return err
	})
	firsts := 0
	for _, c := range created {
		if !c.Duplicate {
			firsts++
		}
	}
	equal(e, "creations", firsts, 1)
	equal(e, "members", e.head("d").Members, 2)
	e.say("d", "ben")
	again, err := e.Create(e.ctx, store.NewConversation{
		ID: "d", Kind: store.Direct, Members: []store.NewMember{{User: "ben"}, {User: "ann"}},
	})
	e.must(err)
	same(e, "later answer", again, store.Created{Conversation: e.head("d"), Duplicate: true})
}

// Rule: only a direct conversation is idempotent by its id.
func createConflict(e *env) {
	before := e.group("c", "ann")
	e.create(store.Direct, "d", "ann", "ben")
	for _, n := range []store.NewConversation{
		{ID: "c", Kind: store.Group},
		{ID: "c", Kind: store.Room},
		{ID: "c", Kind: store.Direct, Members: []store.NewMember{{User: "ann"}, {User: "ben"}}},
		{ID: "d", Kind: store.Group},
	} {
		n.Settings.Title, n.ClientID = "second", "made"
		_, err := e.Create(e.ctx, n)
		e.wantErr(fmt.Sprintf("%s over %q", n.Kind, n.ID), err, store.ErrConflict)
	}
	same(e, "head", e.head("c"), before)
	_, err := e.Lookup(e.ctx, "", "made", store.Fingerprint{})
	e.wantErr("receipt of a failed creation", err, store.ErrNotFound)
}

// Rule: a user is a member once.
func createTwice(e *env) {
	created, err := e.Create(e.ctx, store.NewConversation{
		ID: "c", Kind: store.Group,
		Members: []store.NewMember{{User: "ann", Role: store.Owner}, {User: "ben"}, {User: "ann"}},
	})
	e.must(err)
	equal(e, "members", created.Conversation.Members, 2)
	equal(e, "role", e.member("c", "ann").Role, store.Owner)
}

// Rule: the row is nil for who never was a member, ended for who left.
func conversationRead(e *env) {
	e.group("c", "ann", "ben")
	e.remove("c", "ben")
	_, never, err := e.Conversation(e.ctx, "c", "eve")
	e.must(err)
	if never != nil {
		e.Errorf("row of who never was a member: %+v", never)
	}
	equal(e, "LeftAt", e.member("c", "ben").LeftAt, now+1)
	_, _, err = e.Conversation(e.ctx, "none", "ann")
	e.wantErr("unknown id", err, store.ErrNotFound)
}

// Rule: a real change of Title or Ext takes one rev, which is SettingsRev; none
// takes nothing and stamps nothing.
func configure(e *env) {
	e.group("c", "ann")
	e.say("c", "ann")
	head := e.title("c", "first")
	equal(e, "rev", head.Rev, int64(2))
	equal(e, "SettingsRev", head.SettingsRev, int64(2))
	equal(e, "version", head.Version, e.version())
	e.say("c", "ann")
	before := e.head("c")
	equal(e, "SettingsRev after a message", before.SettingsRev, int64(2))
	same(e, "head after no change", e.title("c", "first"), before)
	same(e, "head", e.head("c"), before)

	head, err := e.Configure(e.ctx, "c", func(s *store.Settings) error {
		equal(e, "title inside", s.Title, "first")
		s.Ext = []byte(`{"k":1}`)
		return nil
	})
	e.must(err)
	equal(e, "SettingsRev", head.SettingsRev, int64(4))
	same(e, "settings", e.head("c").Settings, store.Settings{Title: "first", Ext: []byte(`{"k":1}`)})
	_, err = e.Configure(e.ctx, "none", func(*store.Settings) error { return nil })
	e.wantErr("unknown id", err, store.ErrNotFound)
}

var errChange = errors.New("storetest: the change's own error")

// Rule: the error of a change is returned as it is, and what the change did to
// its argument is forgotten.
func configureErrs(e *env) {
	e.group("c", "ann")
	e.say("c", "ann")
	head, row, message := e.head("c"), e.member("c", "ann"), e.all("c")[0]
	_, err := e.Configure(e.ctx, "c", func(s *store.Settings) error {
		s.Title = "changed"
		return errChange
	})
	equal(e, "error of Configure", err, errChange)
	_, err = e.SetOwn(e.ctx, "c", "ann", func(o *store.OwnSettings) error {
		o.Draft = "changed"
		return errChange
	})
	equal(e, "error of SetOwn", err, errChange)
	_, err = e.Amend(e.ctx, "c", 1, func(m *store.Message) error {
		m.Type, m.Content[0] = "changed", 'X'
		return errChange
	})
	equal(e, "error of Amend", err, errChange)
	same(e, "head", e.head("c"), head)
	equal(e, "row", e.member("c", "ann"), row)
	same(e, "message", e.all("c")[0], message)
}

// Rule: a change is made to the present state, so that none overwrites another.
func configureConcurrently(e *env) {
	const writers, each = 16, 4
	e.group("c", "ann")
	e.fan(writers, func(int) error {
		for range each {
			_, err := e.Configure(e.ctx, "c", func(s *store.Settings) error {
				s.Title += "x"
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	head := e.head("c")
	equal(e, "length of the title", len(head.Title), writers*each)
	equal(e, "SettingsRev", head.SettingsRev, int64(writers*each))
}
