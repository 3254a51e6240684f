package im_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/transport"
)

func TestSend(t *testing.T) {
	t.Run("a message reaches the other user with what its receipt says", func(t *testing.T) { // [P45] [P56] [P57] [P88]
		srv := setup(t, im.Config{})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		r := send(t, alice, im.ToUser("bob"), "c1", "hello")
		var m im.MessageView
		bob.Decode(bob.Event("message"), &m)
		if m.Conversation != r.Conversation || m.Seq != 1 || r.Seq != 1 || m.Rev != r.Rev || m.Count != r.Count || m.ID != r.ID || m.Time != r.Time {
			t.Errorf("event %+v differs from receipt %+v", m, r)
		}
		if m.From != "alice" || m.ClientID != "c1" || string(m.Content) != `{"text":"hello"}` || m.Type != "text" {
			t.Errorf("event %+v is not what was sent", m)
		}
		if r.Message != nil || r.Duplicate {
			t.Errorf("nobody rewrote it, and the receipt has %+v", r)
		}
		if r.Conversation != im.DirectID("bob", "alice") {
			t.Errorf("the direct conversation of two users has one id, got %s", r.Conversation)
		}
	})

	t.Run("the sending session gets its receipt and no event, the sender's other sessions the event", func(t *testing.T) { // [P29] [P94]
		srv := setup(t, im.Config{})
		first, second := srv.Connect("alice"), srv.Connect("alice")
		send(t, first, im.ToUser("bob"), "c1", "hello")
		second.Event("message")
		must(t, first.Call("ping", nil, nil))
		for _, e := range first.Events() {
			if e.Name == "message" {
				t.Error("the sending session got an event for its own message")
			}
		}
	})

	t.Run("a repetition answers the first receipt and publishes the event again", func(t *testing.T) { // [P95] [P100]
		srv := setup(t, im.Config{})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		first := send(t, alice, im.ToUser("bob"), "c1", "hello")
		bob.Event("message")
		again := send(t, srv.Connect("alice"), im.ToUser("bob"), "c1", "hello")
		if !again.Duplicate {
			t.Error("the repetition is not marked as a duplicate")
		}
		again.Duplicate = false
		if first != again {
			t.Errorf("first %+v, again %+v", first, again)
		}
		var m im.MessageView
		bob.Decode(bob.Event("message"), &m)
		if m.Seq != 1 {
			t.Errorf("published again as seq %d", m.Seq)
		}
	})

	t.Run("the same clientId for another request is a conflict", func(t *testing.T) { // [P102]
		srv := setup(t, im.Config{})
		alice := srv.Connect("alice")
		send(t, alice, im.ToUser("bob"), "c1", "hello")
		for _, p := range []im.SendParams{
			{To: im.ToUser("bob"), ClientID: "c1", Content: im.Text("other")},
			{To: im.ToUser("carol"), ClientID: "c1", Content: im.Text("hello")},
			{To: im.ToUser("bob"), ClientID: "c1", Content: im.Text("hello"), ReplyTo: 1},
		} {
			refused(t, alice.Call("message.send", p, nil), im.ErrConflict)
		}
		refused(t, alice.Call("conversation.create", im.CreateParams{Kind: "group", ClientID: "c1"}, nil), im.ErrConflict)
	})

	t.Run("a repetition in the other codec is the same request", func(t *testing.T) { // [P103]
		srv := setup(t, im.Config{})
		params := im.SendParams{To: im.ToUser("bob"), ClientID: "c1", Content: im.Content(`{"text":"hi","n":[1,2.5,{"b":1,"a":"é"}]}`)}
		first := srv.Connect("alice")
		var a, b im.SendResult
		must(t, first.Call("message.send", params, &a))
		second := srv.Dial(transport.Msgpack)
		must(t, second.Open("alice", "other"))
		must(t, second.Call("message.send", params, &b))
		if !b.Duplicate || a.Seq != b.Seq {
			t.Errorf("json %+v, msgpack %+v", a, b)
		}
	})

	t.Run("a repetition is answered after a leave", func(t *testing.T) { // [P101]
		srv := setup(t, im.Config{})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		g := group(t, alice, "bob")
		first := send(t, bob, im.ToConversation(g.ID), "c1", "hello")
		must(t, bob.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"bob"}}, nil))
		again := send(t, bob, im.ToConversation(g.ID), "c1", "hello")
		if again.Seq != first.Seq || !again.Duplicate {
			t.Errorf("first %+v, again %+v", first, again)
		}
	})

	t.Run("a refused message names its field and stores nothing", func(t *testing.T) { // [P37] [P42] [P43] [P46] [P59] [P62]
		srv := setup(t, im.Config{Limits: im.Limits{ContentBytes: 100, Mentions: 2}})
		alice := srv.Connect("alice")
		many := make([]string, 3)
		for i := range many {
			many[i] = fmt.Sprint("u", i)
		}
		long := im.Text(string(make([]byte, 0)) + "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789")
		for name, c := range map[string]struct {
			params any
			want   *im.Error
			field  string
		}{
			"empty text":           {im.SendParams{To: im.ToUser("bob"), ClientID: "x", Content: im.Text("")}, im.ErrInvalidArgument, "content.text"},
			"too large":            {im.SendParams{To: im.ToUser("bob"), ClientID: "x", Content: long}, im.ErrTooLarge, "content"},
			"ext counts as well":   {im.SendParams{To: im.ToUser("bob"), ClientID: "x", Content: im.Text("a"), Ext: im.Object(`{"a":"` + strings.Repeat("x", 90) + `"}`)}, im.ErrTooLarge, "content"},
			"no clientId":          {im.SendParams{To: im.ToUser("bob"), Content: im.Text("a")}, im.ErrInvalidArgument, "clientId"},
			"clientId not ASCII":   {im.SendParams{To: im.ToUser("bob"), ClientID: "é", Content: im.Text("a")}, im.ErrInvalidArgument, "clientId"},
			"unknown type":         {im.SendParams{To: im.ToUser("bob"), ClientID: "x", Type: "nope", Content: im.Text("a")}, im.ErrInvalidArgument, "type"},
			"system type":          {im.SendParams{To: im.ToUser("bob"), ClientID: "x", Type: "system", Content: im.Text("a")}, im.ErrInvalidArgument, "type"},
			"to himself":           {im.SendParams{To: im.ToUser("alice"), ClientID: "x", Content: im.Text("a")}, im.ErrInvalidArgument, "to"},
			"user id with control": {im.SendParams{To: im.ToUser("a\x01b"), ClientID: "x", Content: im.Text("a")}, im.ErrInvalidArgument, "to"},
			"too many mentions":    {im.SendParams{To: im.ToUser("bob"), ClientID: "x", Content: im.Text("a"), Mentions: im.Mentions{Users: many}}, im.ErrTooLarge, "mentions"},
			"nobody mentioned":     {im.SendParams{To: im.ToUser("bob"), ClientID: "x", Content: im.Text("a"), Mentions: im.Mentions{Users: []string{"bob", ""}}}, im.ErrInvalidArgument, "mentions[1]"},
			"unknown flag":         {im.SendParams{To: im.ToUser("bob"), ClientID: "x", Content: im.Text("a"), Flags: []string{"loud"}}, im.ErrInvalidArgument, "flags[0]"},
			"no target":            {map[string]any{"clientId": "x", "content": "a"}, im.ErrInvalidArgument, "to"},
			"no content":           {map[string]any{"to": "bob", "clientId": "x"}, im.ErrInvalidArgument, ""},
			"text in capitals":     {map[string]any{"to": "bob", "clientId": "x", "content": map[string]any{"Text": "a"}}, im.ErrInvalidArgument, "content.text"},
			"text that is a list":  {map[string]any{"to": "bob", "clientId": "x", "content": map[string]any{"text": []string{"a"}}}, im.ErrInvalidArgument, "content.text"},
			"content of no kind":   {map[string]any{"to": "bob", "clientId": "x", "content": 5}, im.ErrInvalidArgument, "content"},
		} {
			err := srv.As(im.Identity{User: "alice"}).Call(ctx, "message.send", c.params, nil)
			if e := refused(t, err, c.want); c.field != "" && e.Field != c.field {
				t.Errorf("%s: field %q, want %q", name, e.Field, c.field)
			}
		}
		var page im.SyncResult
		must(t, alice.Call("sync", nil, &page))
		if len(page.Conversations) != 0 {
			t.Errorf("something was stored: %+v", page.Conversations)
		}
	})

	t.Run("a reply names a message of the same conversation", func(t *testing.T) {
		srv := setup(t, im.Config{})
		alice := srv.Connect("alice")
		send(t, alice, im.ToUser("bob"), "c1", "hello")
		must(t, alice.Call("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: "c2", Content: im.Text("re"), ReplyTo: 1}, nil))
		refused(t, alice.Call("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: "c3", Content: im.Text("re"), ReplyTo: 9}, nil), im.ErrInvalidArgument)
	})

	t.Run("new direct peers are limited by the hour, known ones are not", func(t *testing.T) { // [P42] [P62]
		clock := imtest.NewClock(time.Date(2030, 1, 2, 3, 40, 0, 0, time.UTC))
		srv := setup(t, im.Config{Now: clock.Now, Limits: im.Limits{NewDirectPeersPerHour: 2}})
		alice := srv.Connect("alice")
		send(t, alice, im.ToUser("bob"), "c1", "1")
		send(t, alice, im.ToUser("carol"), "c2", "2")
		err := alice.Call("message.send", im.SendParams{To: im.ToUser("dave"), ClientID: "c3", Content: im.Text("3")}, nil)
		if e := refused(t, err, im.ErrRateLimited); e.RetryAfter != 20*time.Minute || e.Max != 2 {
			t.Errorf("the refusal says neither when nor how many: %+v", e)
		}
		send(t, alice, im.ToUser("bob"), "c4", "4")
		for i := range 5 {
			p := im.SendParams{To: im.ToUser(fmt.Sprint("u", i)), ClientID: fmt.Sprint(i), Content: im.Text("from the host")}
			must(t, srv.System().Call(ctx, "message.send", p, nil))
		}
		send(t, srv.Connect("bob"), im.ToUser("dave"), "c5", "another's")
		clock.Advance(20 * time.Minute)
		send(t, alice, im.ToUser("dave"), "c6", "an hour later")
	})
}

func TestDirectory(t *testing.T) {
	known := directory{"alice": {Name: "Alice"}, "bob": {Name: "Bob", Avatar: "https://example.com/bob.png"}}
	srv := setup(t, im.Config{Directory: known})
	alice := srv.Connect("alice")
	t.Run("an unknown user is not found", func(t *testing.T) {
		refused(t, alice.Call("message.send", im.SendParams{To: im.ToUser("nobody"), ClientID: "c1", Content: im.Text("1")}, nil), im.ErrNotFound)
		refused(t, alice.Call("conversation.create", im.CreateParams{Kind: "direct", Members: []string{"nobody"}}, nil), im.ErrNotFound)
		e := refused(t, alice.Call("conversation.create", im.CreateParams{Kind: "group", Members: []string{"bob", "nobody"}}, nil), im.ErrNotFound)
		if e.Field != "members[1]" {
			t.Errorf("field %q", e.Field)
		}
	})
	t.Run("adding an unknown user is told per user", func(t *testing.T) {
		g := group(t, alice)
		var r im.MemberResults
		must(t, alice.Call("member.add", im.MemberParams{Conversation: g.ID, Users: []string{"bob", "nobody"}}, &r))
		if !r.Results[0].Changed || r.Results[1].Changed || r.Results[1].Reason != "not_found" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("profiles are told of people who share a conversation", func(t *testing.T) { // [P55]
		var r im.UsersResult
		must(t, srv.As(im.Identity{User: "eve"}).Call(ctx, "user.get", im.UsersParams{Users: []string{"bob", "alice"}}, &r))
		if len(r.Profiles) != 0 {
			t.Errorf("a stranger sees %+v", r.Profiles)
		}
		for want, n := range map[*im.Error]int{im.ErrInvalidArgument: 0, im.ErrTooLarge: 101} {
			if e := refused(t, alice.Call("user.get", im.UsersParams{Users: make([]string, n)}, nil), want); e.Field != "users" {
				t.Errorf("%d users: %+v", n, e)
			}
		}
		must(t, alice.Call("user.get", im.UsersParams{Users: []string{"bob", "nobody"}}, &r))
		if len(r.Profiles) != 1 || r.Profiles[0].Name != "Bob" {
			t.Errorf("%+v", r.Profiles)
		}
	})
}

// What a host tells wrongly must not break the frame that carries it.
func TestDirectoryThatTellsNonsense(t *testing.T) {
	srv := setup(t, im.Config{Directory: directory{
		"alice": {Name: "Alice", Ext: []byte(`{"team": 1}`)}, "bob": {Name: "B\xffb", Ext: []byte(`{"team":`)},
	}})
	alice := srv.Connect("alice")
	g := group(t, alice, "bob")
	var r im.MemberListResult
	must(t, alice.Call("member.list", im.MemberListParams{Conversation: g.ID}, &r))
	if a := r.Members[0].Profile; a.Name != "Alice" || string(a.Ext) != `{"team":1}` {
		t.Errorf("%+v", a)
	}
	if b := r.Members[1].Profile; b.Name != "B\ufffdb" || b.Ext != nil {
		t.Errorf("%+v", b)
	}
}

type directory map[string]im.Profile

func (d directory) Profiles(_ context.Context, ids []string) (map[string]im.Profile, error) {
	found := map[string]im.Profile{}
	for _, id := range ids {
		if p, ok := d[id]; ok {
			found[id] = p
		}
	}
	return found, nil
}

// [promise 3] 64 concurrent senders: every viewer sees the same contiguous order.
func TestEveryViewerSeesTheSameOrder(t *testing.T) { // [P89]
	srv := setup(t, im.Config{})
	const senders, each, viewers = 64, 20, 4
	var names []string
	for i := range senders {
		names = append(names, fmt.Sprint("sender", i))
	}
	owner := srv.Connect("owner")
	g := group(t, owner, append(names, "viewer")...)
	var watching []*imtest.Client
	for range viewers {
		watching = append(watching, srv.Connect("viewer"))
	}
	var wg sync.WaitGroup
	own := make([][]im.SendResult, senders)
	for i, name := range names {
		c := srv.Connect(name)
		wg.Go(func() {
			var ids []int64
			for n := range each { // pipelined: the order of one session is kept
				ids = append(ids, c.Start("message.send", im.SendParams{To: im.ToConversation(g.ID), ClientID: fmt.Sprintf("%s-%d", name, n), Content: im.Text("x")}))
			}
			own[i] = make([]im.SendResult, each)
			for n, id := range ids {
				if err := c.Await(id, &own[i][n]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var reference []string
	for v, c := range watching {
		var order []string
		for seq := int64(1); seq <= senders*each; seq++ {
			var m im.MessageView
			c.Decode(c.Event("message"), &m)
			if m.Seq != seq || m.Rev != seq {
				t.Fatalf("viewer %d got seq %d rev %d, want %d", v, m.Seq, m.Rev, seq)
			}
			order = append(order, m.ClientID)
		}
		if reference == nil {
			reference = order
		}
		for i := range order {
			if order[i] != reference[i] {
				t.Fatalf("viewer %d sees %s at %d, the first sees %s", v, order[i], i, reference[i])
			}
		}
	}
	for i, receipts := range own {
		for n := 1; n < len(receipts); n++ {
			if receipts[n].Seq <= receipts[n-1].Seq {
				t.Errorf("sender %d: message %d has seq %d, after %d", i, n, receipts[n].Seq, receipts[n-1].Seq)
			}
		}
	}
}
