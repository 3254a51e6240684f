package im_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"example.com/h5im/im"
	"example.com/h5im/im/hub"
	"example.com/h5im/transport"
)

func TestCreateConversation(t *testing.T) { // [P77] [P79]
	srv := setup(t, im.Config{Limits: im.Limits{TitleBytes: 10, ContentBytes: 20, MembersPerCall: 3}})
	alice := srv.Connect("alice")
	create := func(p im.CreateParams) (v im.ConversationView, err error) {
		err = alice.Call("conversation.create", p, &v)
		return v, err
	}
	for name, c := range map[string]struct {
		params im.CreateParams
		want   *im.Error
		field  string
	}{
		"a long title":         {im.CreateParams{Kind: "group", Title: "12345678901"}, im.ErrTooLarge, "title"},
		"a large ext":          {im.CreateParams{Kind: "group", Ext: im.Object(`{"a":"123456789012345"}`)}, im.ErrTooLarge, "ext"},
		"a room":               {im.CreateParams{Kind: "room"}, im.ErrUnsupported, "kind"},
		"no kind":              {im.CreateParams{}, im.ErrInvalidArgument, "kind"},
		"a bad clientId":       {im.CreateParams{Kind: "group", ClientID: "\t"}, im.ErrInvalidArgument, "clientId"},
		"a bad member":         {im.CreateParams{Kind: "group", Members: []string{"bob", ""}}, im.ErrInvalidArgument, "members[1]"},
		"the host as a member": {im.CreateParams{Kind: "group", Members: []string{"system"}}, im.ErrInvalidArgument, "members[0]"},
		"many members":         {im.CreateParams{Kind: "group", Members: []string{"a", "b", "c", "d"}}, im.ErrTooLarge, "members"},
	} {
		_, err := create(c.params)
		if e := refused(t, err, c.want); e.Field != c.field {
			t.Errorf("%s: field %q, want %q", name, e.Field, c.field)
		}
	}
	if rows := page(t, alice, "", 0).Conversations; len(rows) != 0 {
		t.Errorf("something was made: %+v", rows)
	}
	t.Run("the same clientId is the same group, for another request it is a conflict", func(t *testing.T) {
		p := im.CreateParams{Kind: "group", Title: "t", ClientID: "c1", Members: []string{"bob"}}
		first, err := create(p)
		must(t, err)
		again, err := create(p)
		must(t, err)
		if again.ID != first.ID || again.Title != "t" || again.Members != 2 || again.Role != "owner" {
			t.Errorf("first %+v\nagain %+v", first, again)
		}
		p.Title = "other"
		_, err = create(p)
		if e := refused(t, err, im.ErrConflict); e.Field != "clientId" {
			t.Errorf("%+v", e)
		}
		err = alice.Call("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: "c1", Content: im.Text("x")}, nil)
		refused(t, err, im.ErrConflict)
	})
}

func TestConversationView(t *testing.T) {
	srv := setup(t, im.Config{})
	alice, bob := srv.Connect("alice"), srv.Connect("bob")
	get := func(id string) (v im.ConversationView) {
		must(t, alice.Call("conversation.get", im.ConversationParams{Conversation: id}, &v))
		return v
	}
	t.Run("of a direct conversation: the peer, his markers, the newest message", func(t *testing.T) {
		id := send(t, alice, im.ToUser("bob"), "c1", "x").Conversation
		send(t, alice, im.ToUser("bob"), "c2", "y")
		must(t, bob.Call("conversation.mark", im.MarkParams{Conversation: id, Read: 1, Delivered: 2}, nil))
		v := get(id)
		if v.Peer != "bob" || len(v.Markers) != 1 || v.Markers[0] != (im.Marker{User: "bob", Read: 1, Delivered: 2}) {
			t.Errorf("%+v", v)
		}
		if v.LastMessage == nil || v.LastMessage.Seq != 2 || string(v.LastMessage.Content) != `{"text":"y"}` {
			t.Errorf("last message %+v", v.LastMessage)
		}
	})
	t.Run("of a group: no peer", func(t *testing.T) {
		g := group(t, alice, "bob")
		if v := get(g.ID); v.Peer != "" || len(v.Markers) != 0 || v.LastMessage != nil || v.Title != "a group" || v.Members != 2 {
			t.Errorf("%+v", v)
		}
	})
	t.Run("own state of one who has some, and of nobody else", func(t *testing.T) { // [P81]
		g := group(t, alice, "bob")
		send(t, bob, im.ToConversation(g.ID), "c3", "x")
		var own im.OwnResult
		must(t, alice.Call("conversation.own", im.OwnParams{Conversation: g.ID}, &own))
		if own.Unread != 1 || own.Conversation != g.ID {
			t.Errorf("%+v", own)
		}
		refused(t, srv.System().Call(ctx, "conversation.own", im.OwnParams{Conversation: g.ID}, nil), im.ErrNotFound)
	})
}

func TestMarkers(t *testing.T) { // [P82] [P83]
	srv := setup(t, im.Config{})
	alice := srv.Connect("alice")
	g := group(t, alice, "bob", "carol", "dave")
	send(t, alice, im.ToConversation(g.ID), "c1", "x")
	must(t, srv.Connect("carol").Call("conversation.mark", im.MarkParams{Conversation: g.ID, Read: 99}, nil))
	t.Run("page by page", func(t *testing.T) {
		for _, limit := range []int{1, 2, 4, 100} {
			var got []im.Marker
			p := im.MarkersParams{Conversation: g.ID, Limit: limit}
			for more := true; more; {
				var r im.MarkersResult
				must(t, alice.Call("conversation.markers", p, &r))
				if more = r.More; more != (r.Cursor != "") || len(r.Markers) > limit {
					t.Fatalf("%+v", r)
				}
				got, p.Cursor = append(got, r.Markers...), r.Cursor
			}
			want := []im.Marker{{User: "alice", Read: 1, Delivered: 1}, {User: "bob"}, {User: "carol", Read: 1, Delivered: 1}, {User: "dave"}}
			if !slices.Equal(got, want) {
				t.Errorf("limit %d: %+v", limit, got)
			}
		}
	})
	t.Run("what is no seq", func(t *testing.T) {
		for field, p := range map[string]im.MarkParams{"read": {Read: -1}, "delivered": {Delivered: -1}} {
			p.Conversation = g.ID
			if e := refused(t, alice.Call("conversation.mark", p, nil), im.ErrInvalidArgument); e.Field != field {
				t.Errorf("%+v", e)
			}
		}
	})
	t.Run("they never move back", func(t *testing.T) {
		send(t, alice, im.ToConversation(g.ID), "c2", "y")
		dave := srv.Connect("dave")
		for _, m := range []im.MarkParams{{Read: 2}, {Read: 1}, {Delivered: 1}, {}} {
			m.Conversation = g.ID
			var r im.MarkResult
			must(t, dave.Call("conversation.mark", m, &r))
			if r.Read != 2 || r.Delivered != 2 || r.Own != 1 || r.Unread != 0 {
				t.Errorf("after %+v: %+v", m, r)
			}
		}
	})
}

func TestFlags(t *testing.T) { // [P59]
	srv := setup(t, im.Config{})
	alice, bob := srv.Connect("alice"), srv.Connect("bob")
	for i, flags := range [][]string{nil, {"noUnread"}, {"noPush"}, {"noUnread", "noPush"}} {
		must(t, alice.Call("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: fmt.Sprint(i), Content: im.Text("x"), Flags: flags}, nil))
		var m im.MessageView
		if bob.Decode(bob.Event("message"), &m); !slices.Equal(m.Flags, flags) {
			t.Errorf("%v came as %v", flags, m.Flags)
		}
	}
	if row := page(t, bob, "", 0).Conversations[0]; row.Unread != 2 || row.Seq != 4 {
		t.Errorf("%+v", row)
	}
}

// [P48] An id is random: it tells nothing, and the same request elsewhere has another.
func TestIDsAreRandom(t *testing.T) {
	seen := map[string]bool{}
	for range 3 {
		srv := setup(t, im.Config{})
		alice := srv.Connect("alice")
		for i := range 3 {
			id := send(t, alice, im.ToUser("bob"), fmt.Sprint("c", i), "x").ID
			if seen[id] || len(id) < 16 {
				t.Errorf("id %q", id)
			}
			seen[id] = true
		}
	}
}

// Sessions of either notation see the same events.
func TestEventsInEitherNotation(t *testing.T) {
	srv := setup(t, im.Config{})
	alice := srv.Connect("alice")
	text, binary := srv.Dial(transport.JSON), srv.Dial(transport.Msgpack)
	must(t, text.Open("bob", "one"))
	must(t, binary.Open("bob", "two"))
	p := im.SendParams{
		To: im.ToUser("bob"), ClientID: "c1", Type: "custom", Content: im.Content(`{"n":1,"f":1.5,"list":[null,true,"é"]}`),
		Ext: im.Object(`{"a":{}}`), Mentions: im.Mentions{Users: []string{"bob"}},
	}
	must(t, alice.Call("message.send", p, nil))
	var a, b im.MessageView
	text.Decode(text.Event("message"), &a)
	binary.Decode(binary.Event("message"), &b)
	if fmt.Sprintf("%+v", a) != fmt.Sprintf("%+v", b) {
		t.Errorf("\n   JSON %+v\nmsgpack %+v", a, b)
	}
	if a.Seq != 1 || string(b.Ext) != `{"a":{}}` || !strings.Contains(string(b.Content), `"f":1.5`) {
		t.Errorf("%+v", b)
	}
}

// An event of a node with another version is a hole, not a guess.
func TestEventOfAnotherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLossyHub()
		srv := setup(t, im.Config{Hub: h})
		alice := srv.Connect("alice")
		for _, payload := range []string{"", "\x01", "\x02\x00{}", "\x01\xff{}"} {
			must(t, h.Hub.Publish(ctx, []string{"u:alice"}, hub.Envelope{Key: "c", Rev: 1, Payload: []byte(payload)}))
			if names := settled(alice); names != "gap" {
				t.Errorf("%q: %q", payload, names)
			}
		}
	})
}
