package im_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/store"
	"example.com/h5im/store/memory"
)

// page asks for one page of sync.
func page(t testing.TB, c *imtest.Client, cursor string, limit int) im.SyncResult {
	t.Helper()
	var r im.SyncResult
	must(t, c.Call("sync", im.SyncParams{Cursor: cursor, Limit: limit}, &r))
	return r
}

// catchUp pages until there is no more.
func catchUp(t testing.TB, c *imtest.Client, cursor string, limit int) (rows []im.ConversationView, next string, reset bool) {
	t.Helper()
	for first := true; ; first = false {
		r := page(t, c, cursor, limit)
		if first {
			reset = r.Reset
		}
		rows, cursor = append(rows, r.Conversations...), r.Cursor
		if !r.More {
			return rows, cursor, reset
		}
	}
}

func TestSync(t *testing.T) { // [P72] [P73] [P74] [P76]
	t.Run("a snapshot, then only what changed, at every page size", func(t *testing.T) {
		for limit := 1; limit <= 8; limit++ {
			srv := setup(t, im.Config{})
			alice := srv.Connect("alice")
			for i := range 7 {
				send(t, alice, im.ToUser(fmt.Sprint("peer", i)), fmt.Sprint("c", i), "x")
			}
			rows, cursor, _ := catchUp(t, alice, "", limit)
			if len(rows) != 7 {
				t.Fatalf("limit %d: %d rows of 7", limit, len(rows))
			}
			if rows, _, _ = catchUp(t, alice, cursor, limit); len(rows) != 0 {
				t.Fatalf("limit %d: nothing changed, got %d rows", limit, len(rows))
			}
			send(t, alice, im.ToUser("peer3"), "again", "y")
			rows, _, _ = catchUp(t, alice, cursor, limit)
			if len(rows) != 1 || rows[0].Seq != 2 || rows[0].Peer != "peer3" || string(rows[0].LastMessage.Content) != `{"text":"y"}` {
				t.Fatalf("limit %d: %+v", limit, rows)
			}
		}
	})
	t.Run("a cursor that is not ours resets", func(t *testing.T) {
		clock := imtest.NewClock(time.Now())
		srv := setup(t, im.Config{Now: clock.Now})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		send(t, alice, im.ToUser("bob"), "c1", "x")
		_, cursor, reset := catchUp(t, alice, "", 0)
		if reset {
			t.Error("a first sync is no reset")
		}
		other := setup(t, im.Config{})
		forged := []byte(cursor)
		forged[len(forged)/2] ^= 1
		for name, ask := range map[string]func() im.SyncResult{
			"of another user":  func() im.SyncResult { return page(t, bob, cursor, 0) },
			"of another store": func() im.SyncResult { return page(t, other.Connect("alice"), cursor, 0) },
			"forged":           func() im.SyncResult { return page(t, alice, string(forged), 0) },
			"nonsense":         func() im.SyncResult { return page(t, alice, "nonsense", 0) },
			"too old": func() im.SyncResult {
				clock.Advance(91 * 24 * time.Hour)
				return page(t, alice, cursor, 0)
			},
		} {
			if r := ask(); !r.Reset {
				t.Errorf("%s: no reset: %+v", name, r)
			}
		}
	})
	t.Run("no two cursors look alike, nor do they tell what is in them", func(t *testing.T) {
		srv := setup(t, im.Config{})
		_, one, _ := catchUp(t, srv.Connect("alice"), "", 0)
		_, two, _ := catchUp(t, srv.Connect("alice"), "", 0)
		if one == two || len(one) < 40 {
			t.Errorf("%s\n%s", one, two)
		}
	})
	t.Run("a cursor of another app on the same store resets", func(t *testing.T) {
		s := memory.New(nil)
		defer s.Close()
		one, two := setup(t, im.Config{Store: s}), setup(t, im.Config{Store: s, AppID: "two"})
		_, cursor, _ := catchUp(t, one.Connect("alice"), "", 0)
		if r := page(t, one.Connect("alice"), cursor, 0); r.Reset {
			t.Error("not even in its own app")
		}
		if r := page(t, two.Connect("alice"), cursor, 0); !r.Reset {
			t.Error("it was taken")
		}
	})
	t.Run("a cursor from after what the store has kept resets", func(t *testing.T) {
		s := memory.New(nil)
		defer s.Close()
		older := &rewound{Store: s}
		srv := setup(t, im.Config{Store: older})
		alice := srv.Connect("alice")
		send(t, alice, im.ToUser("bob"), "c1", "x")
		_, cursor, _ := catchUp(t, alice, "", 0)
		if r := page(t, alice, cursor, 0); r.Reset {
			t.Error("not even before")
		}
		older.by.Store(1)
		if r := page(t, alice, cursor, 0); !r.Reset || len(r.Conversations) != 1 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("who is mentioned with all others sees it until he has read", func(t *testing.T) {
		srv := setup(t, im.Config{})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		g := group(t, alice, "bob")
		toAll := im.SendParams{To: im.ToConversation(g.ID), ClientID: "c1", Content: im.Text("x"), Mentions: im.Mentions{All: true}}
		for range 2 { // the second is a repetition
			var receipt im.SendResult
			must(t, alice.Call("message.send", toAll, &receipt))
			if receipt.AllCount != 1 {
				t.Errorf("%+v", receipt)
			}
		}
		send(t, alice, im.ToConversation(g.ID), "c2", "y")
		row := page(t, bob, "", 0).Conversations[0]
		if row.MentionsUnread != 1 || row.Unread != 2 || row.AllCount != 1 || row.SeenAll != 0 || row.LastMessage.AllCount != 1 {
			t.Errorf("%+v", row)
		}
		if row := page(t, alice, "", 0).Conversations[0]; row.MentionsUnread != 0 || row.Unread != 0 || row.SeenAll != 1 {
			t.Errorf("the sender: %+v", row)
		}
		var marked im.MarkResult
		must(t, bob.Call("conversation.mark", im.MarkParams{Conversation: g.ID, Read: 1}, &marked))
		if marked.SeenAll != 1 {
			t.Errorf("%+v", marked)
		}
		if row := page(t, bob, "", 0).Conversations[0]; row.MentionsUnread != 0 || row.Unread != 1 || row.SeenAll != 1 {
			t.Errorf("%+v", row)
		}
	})
	t.Run("unread is what others wrote since the marker", func(t *testing.T) { // [P91]
		srv := setup(t, im.Config{})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		for i := range 5 {
			send(t, alice, im.ToUser("bob"), fmt.Sprint("c", i), "x")
		}
		id := im.DirectID("alice", "bob")
		row := page(t, bob, "", 0).Conversations[0]
		if row.Unread != 5 || row.Count != 5 || row.Seen != 0 {
			t.Errorf("%+v", row)
		}
		var m im.MarkResult
		must(t, bob.Call("conversation.mark", im.MarkParams{Conversation: id, Read: 3}, &m))
		if m.Unread != 2 || m.Read != 3 || m.Delivered != 3 {
			t.Errorf("%+v", m)
		}
		must(t, bob.Call("conversation.mark", im.MarkParams{Conversation: id, Read: 2}, &m))
		if m.Read != 3 {
			t.Errorf("the marker moved back to %d", m.Read)
		}
		must(t, bob.Call("conversation.mark", im.MarkParams{Conversation: id, Read: 99}, &m))
		if m.Read != 5 || m.Unread != 0 {
			t.Errorf("the marker is not clamped: %+v", m)
		}
		if row := page(t, alice, "", 0).Conversations[0]; row.Unread != 0 || row.Markers[0].Read != 5 {
			t.Errorf("the sender sees %+v", row)
		}
	})
	t.Run("who was removed learns it once, and nothing else", func(t *testing.T) { // [P75]
		srv := setup(t, im.Config{})
		owner, gone := srv.Connect("owner"), srv.Connect("gone")
		g := group(t, owner, "gone")
		_, cursor, _ := catchUp(t, gone, "", 0)
		must(t, owner.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"gone"}}, nil))
		send(t, owner, im.ToConversation(g.ID), "c1", "after")
		rows, cursor, _ := catchUp(t, gone, cursor, 0)
		if len(rows) != 1 || !rows[0].Left || rows[0].Seq != 0 || rows[0].LastMessage != nil || rows[0].Title != "" {
			t.Errorf("%+v", rows)
		}
		send(t, owner, im.ToConversation(g.ID), "c2", "later")
		if rows, _, _ = catchUp(t, gone, cursor, 0); len(rows) != 0 {
			t.Errorf("%+v", rows)
		}
		if rows, _, _ = catchUp(t, gone, "", 0); len(rows) != 0 {
			t.Errorf("a snapshot names %+v", rows)
		}
	})
	t.Run("the answer goes out before events that come meanwhile", func(t *testing.T) {
		srv := setup(t, im.Config{})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		send(t, alice, im.ToUser("bob"), "c1", "x")
		r := page(t, bob, "", 0)
		send(t, alice, im.ToUser("bob"), "c2", "y")
		bob.Event("message")
		if r.Conversations[0].Rev < 1 {
			t.Error("no rev to compare events with")
		}
	})
}

// rewound is a store that has lost its newest commits and does not know it.
type rewound struct {
	store.Store
	by atomic.Int64
}

func (s *rewound) Info(ctx context.Context) (store.Info, error) {
	info, err := s.Store.Info(ctx)
	info.Version -= s.by.Load()
	return info, err
}

func TestHistory(t *testing.T) { // [P63] [P64] [P65] [P66]
	srv := setup(t, im.Config{})
	alice := srv.Connect("alice")
	id := im.DirectID("alice", "bob")
	for i := range 120 {
		send(t, alice, im.ToUser("bob"), fmt.Sprint("c", i), fmt.Sprint(i+1))
	}
	list := func(t *testing.T, p im.ListParams) im.ListResult {
		t.Helper()
		p.Conversation = id
		var r im.ListResult
		must(t, alice.Call("message.list", p, &r))
		return r
	}
	at := func(n int64) *int64 { return &n }
	for name, c := range map[string]struct {
		params   im.ListParams
		from, to int64
		more     bool
	}{
		"the newest page":         {im.ListParams{}, 71, 120, true},
		"before":                  {im.ListParams{Before: at(71), Limit: 70}, 1, 70, false},
		"after 0 starts at first": {im.ListParams{After: at(0), Limit: 10}, 1, 10, true},
		"after the newest":        {im.ListParams{After: at(120)}, 121, 120, false},
		"around":                  {im.ListParams{Around: at(50), Limit: 11}, 45, 55, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := list(t, c.params)
			if r.From != c.from || r.To != c.to || r.More != c.more || len(r.Messages) != int(c.to-c.from+1) {
				t.Errorf("%d..%d more %v, %d messages", r.From, r.To, r.More, len(r.Messages))
			}
			for i, m := range r.Messages {
				if m.Seq != c.from+int64(i) {
					t.Errorf("message %d has seq %d", i, m.Seq)
				}
			}
		})
	}
	t.Run("a cursor of markers is a user id", func(t *testing.T) {
		for _, cursor := range []string{"a\x00b", strings.Repeat("x", 129)} {
			e := refused(t, alice.Call("conversation.markers", im.MarkersParams{Conversation: id, Cursor: cursor}, nil), im.ErrInvalidArgument)
			if e.Field != "cursor" {
				t.Errorf("%+v", e)
			}
		}
	})
	t.Run("anchors exclude each other and limits are bounded", func(t *testing.T) {
		refused(t, alice.Call("message.list", im.ListParams{Conversation: id, Before: at(1), After: at(1)}, nil), im.ErrInvalidArgument)
		refused(t, alice.Call("message.list", im.ListParams{Conversation: id, Before: at(-1)}, nil), im.ErrInvalidArgument)
		if e := refused(t, alice.Call("message.list", im.ListParams{Conversation: id, Limit: 101}, nil), im.ErrTooLarge); e.Max != 100 || e.Field != "limit" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("changes since a rev are complete at every page size", func(t *testing.T) { // [P67] [P69]
		for _, limit := range []int{1, 7, 50, 100} {
			rev, n := int64(40), 0
			for more := true; more; {
				var r im.ChangesResult
				must(t, alice.Call("message.changes", im.ChangesParams{Conversation: id, Rev: rev, Limit: limit}, &r))
				rev, more, n = r.Rev, r.More, n+len(r.Messages)
			}
			if rev != 120 || n != 80 {
				t.Errorf("limit %d: rev %d after %d messages", limit, rev, n)
			}
		}
	})
	t.Run("too many changes reset, but not those within what a client holds", func(t *testing.T) { // [P68] [P71]
		srv := setup(t, im.Config{Limits: im.Limits{Changes: 5}})
		alice := srv.Connect("alice")
		for i := range 6 {
			send(t, alice, im.ToUser("bob"), fmt.Sprint("c", i), "x")
		}
		changes := func(p im.ChangesParams) (r im.ChangesResult) {
			p.Conversation = id
			must(t, alice.Call("message.changes", p, &r))
			return r
		}
		if r := changes(im.ChangesParams{Rev: 0}); !r.Reset || r.Rev != 6 || len(r.Messages) != 0 {
			t.Errorf("%+v", r)
		}
		if r := changes(im.ChangesParams{Rev: 1}); r.Reset || len(r.Messages) != 5 {
			t.Errorf("%+v", r)
		}
		if r := changes(im.ChangesParams{Rev: 0, Within: [][2]int64{{2, 3}}}); r.Reset || len(r.Messages) != 2 || r.Rev != 6 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("a rev from the future resets", func(t *testing.T) { // [P71]
		var r im.ChangesResult
		must(t, alice.Call("message.changes", im.ChangesParams{Conversation: id, Rev: 999}, &r))
		if !r.Reset || r.Rev != 120 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("within is checked", func(t *testing.T) { // [P68]
		e := refused(t, alice.Call("message.changes", im.ChangesParams{Conversation: id, Within: [][2]int64{{1, 2}, {5, 4}}}, nil), im.ErrInvalidArgument)
		if e.Field != "within[1]" {
			t.Errorf("field %q", e.Field)
		}
		refused(t, alice.Call("message.changes", im.ChangesParams{Conversation: id, Within: make([][2]int64, 17)}, nil), im.ErrTooLarge)
	})
}
