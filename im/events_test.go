package im_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/hub"
	"example.com/h5im/im/imtest"
	"example.com/h5im/store"
	"example.com/h5im/store/memory"
	"example.com/h5im/transport"
	"example.com/h5im/transport/pipe"
)

// settled waits until nothing moves any more and returns the names of the
// events that a client has got since the last time. For synctest.
func settled(c *imtest.Client) string {
	synctest.Wait()
	var names []string
	for _, e := range c.Events() {
		names = append(names, e.Name)
	}
	return strings.Join(names, " ")
}

// Who gets which event, and who gets none.
func TestEvents(t *testing.T) {
	bubble := func(name string, f func(t *testing.T, srv *imtest.Server, phone, laptop, bob, carol *imtest.Client)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := setup(t, im.Config{})
				f(t, srv, srv.Connect("alice"), srv.Connect("alice"), srv.Connect("bob"), srv.Connect("carol"))
			})
		})
	}
	type got map[*imtest.Client]string
	check := func(t *testing.T, what string, want got) {
		t.Helper()
		for c, events := range want {
			if names := settled(c); names != events {
				t.Errorf("%s: want %q, got %q", what, events, names)
			}
		}
	}
	bubble("markers", func(t *testing.T, _ *imtest.Server, phone, laptop, bob, carol *imtest.Client) {
		g := group(t, phone, "bob", "carol")
		send(t, bob, im.ToConversation(g.ID), "c1", "x")
		check(t, "message", got{phone: "conversation message", laptop: "conversation message", bob: "conversation", carol: "conversation message"})
		must(t, phone.Call("conversation.mark", im.MarkParams{Conversation: g.ID, Read: 1}, nil))
		check(t, "mark", got{phone: "", laptop: "self", bob: "receipt", carol: "receipt"})
		must(t, phone.Call("conversation.mark", im.MarkParams{Conversation: g.ID, Read: 1}, nil))
		check(t, "the same again", got{phone: "", laptop: "", bob: "", carol: ""})
	})
	bubble("members", func(t *testing.T, srv *imtest.Server, phone, laptop, bob, carol *imtest.Client) {
		g := group(t, phone, "bob")
		check(t, "create", got{phone: "conversation", laptop: "conversation", bob: "conversation", carol: ""})
		must(t, phone.Call("member.add", im.MemberParams{Conversation: g.ID, Users: []string{"carol", "bob"}}, nil))
		synctest.Wait()
		var c im.ConversationView
		if carol.Decode(carol.Event("conversation"), &c); c.ID != g.ID || c.Title != "a group" || c.Role != "member" || c.Members != 3 {
			t.Errorf("who was added is told %+v", c)
		}
		check(t, "add", got{phone: "member", laptop: "member", bob: "member", carol: "member"})
		must(t, phone.Call("member.add", im.MemberParams{Conversation: g.ID, Users: []string{"carol"}}, nil))
		check(t, "add again", got{phone: "", laptop: "", bob: "", carol: ""})
		must(t, phone.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"bob"}}, nil))
		check(t, "remove", got{phone: "member", laptop: "member", bob: "conversation", carol: "member"})
	})
	bubble("a direct conversation", func(t *testing.T, _ *imtest.Server, phone, laptop, bob, carol *imtest.Client) { // [P45] [P78]
		direct := im.CreateParams{Kind: "direct", Members: []string{"bob"}}
		must(t, phone.Call("conversation.create", direct, nil))
		check(t, "create", got{phone: "conversation", laptop: "conversation", bob: "conversation"})
		must(t, phone.Call("conversation.create", direct, nil))
		must(t, bob.Call("conversation.create", im.CreateParams{Kind: "direct", Members: []string{"alice"}}, nil))
		check(t, "create again", got{phone: "", laptop: "", bob: ""})
		send(t, carol, im.ToUser("bob"), "c1", "x")
		check(t, "opened by a message", got{phone: "", bob: "conversation message", carol: "conversation"})
	})
	bubble("an opened conversation is told as it was before its message", func(t *testing.T, _ *imtest.Server, phone, _, bob, _ *imtest.Client) {
		send(t, phone, im.ToUser("bob"), "c1", "x")
		var c im.ConversationView
		if bob.Decode(bob.Event("conversation"), &c); c.Rev != 0 || c.Seq != 0 || c.Unread != 0 || c.Peer != "alice" {
			t.Errorf("%+v", c)
		}
	})
	bubble("above 100 members neither the list nor markers fan out", func(t *testing.T, srv *imtest.Server, phone, laptop, bob, _ *imtest.Client) {
		members := []string{"alice", "bob"}
		for i := range 99 {
			members = append(members, fmt.Sprint("u", i))
		}
		must(t, srv.System().Call(ctx, "conversation.create", im.CreateParams{Kind: "group", ID: "hall", Members: members}, nil))
		send(t, bob, im.ToConversation("hall"), "c1", "x")
		check(t, "message", got{laptop: "conversation message", bob: "conversation"})
		must(t, phone.Call("conversation.mark", im.MarkParams{Conversation: "hall", Read: 1}, nil))
		must(t, srv.System().Call(ctx, "member.add", im.MemberParams{Conversation: "hall", Users: []string{"late"}}, nil))
		check(t, "mark and add", got{laptop: "self", bob: ""})
	})
}

// lossyHub fails to publish while it is broken, and counts what is subscribed.
type lossyHub struct {
	hub.Hub
	mu         sync.Mutex
	broken     bool
	subscribed map[string]bool
}

func newLossyHub() *lossyHub { return &lossyHub{Hub: hub.NewLocal(), subscribed: map[string]bool{}} }

func (h *lossyHub) Publish(ctx context.Context, topics []string, e hub.Envelope) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken {
		return errors.New("no route")
	}
	return h.Hub.Publish(ctx, topics, e)
}

func (h *lossyHub) Subscribe(topics ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topic := range topics {
		h.subscribed[topic] = true
	}
	return h.Hub.Subscribe(topics...)
}

func (h *lossyHub) Unsubscribe(topics ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topic := range topics {
		delete(h.subscribed, topic)
	}
	return h.Hub.Unsubscribe(topics...)
}

// [promise 4] An event that could not be published is a hole that everyone is
// told of.
func TestHubThatFails(t *testing.T) { // [P96]
	synctest.Test(t, func(t *testing.T) {
		h := newLossyHub()
		srv := setup(t, im.Config{Hub: h})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		send(t, alice, im.ToUser("bob"), "c1", "x")
		settled(bob)
		h.mu.Lock()
		h.broken = true
		h.mu.Unlock()
		send(t, alice, im.ToUser("bob"), "c2", "y") // and the send succeeds
		if names := settled(bob); names != "gap" {
			t.Errorf("got %q", names)
		}
		if names := settled(alice); !strings.HasSuffix(names, "gap") {
			t.Errorf("got %q", names)
		}
	})
}

// So is an event of which the server cannot read whom it goes to.
func TestMembersThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(nil)
		defer s.Close()
		listless := &listlessStore{Store: s}
		srv := setup(t, im.Config{Store: listless})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		listless.broken.Store(true)
		send(t, alice, im.ToUser("bob"), "c1", "x") // and the send succeeds
		if names := settled(bob); !strings.Contains(names, "gap") || strings.Contains(names, "message") {
			t.Errorf("got %q", names)
		}
		listless.broken.Store(false)
		send(t, alice, im.ToUser("bob"), "c2", "y")
		if names := settled(bob); names != "message" {
			t.Errorf("afterwards got %q", names)
		}
	})
}

// listlessStore cannot read members while it is broken.
type listlessStore struct {
	store.Store
	broken atomic.Bool
}

func (s *listlessStore) Members(ctx context.Context, q store.MembersQuery) (store.MembersPage, error) {
	if s.broken.Load() {
		return store.MembersPage{}, errors.New("page checksum")
	}
	return s.Store.Members(ctx, q)
}

// The lists that are kept to save reading them are few, and being one too many
// changes nothing but that.
func TestManyConversations(t *testing.T) {
	srv := setup(t, im.Config{})
	im.KeepMemberLists(srv.Server, 3)
	alice, bob := srv.Connect("alice"), srv.Connect("bob")
	for round := range 2 {
		for i := range 10 {
			user := fmt.Sprint("u", i)
			send(t, alice, im.ToUser(user), fmt.Sprint("c", round, "-", i), "x")
			send(t, alice, im.ToUser("bob"), fmt.Sprint("b", round, "-", i), "x")
			if kept := im.MemberLists(srv.Server); kept > 3 {
				t.Fatalf("%d lists are kept", kept)
			}
		}
	}
	for i := range 20 {
		var m im.MessageView
		if bob.Decode(bob.Event("message"), &m); m.Seq != int64(i+1) {
			t.Errorf("event %d has seq %d", i, m.Seq)
		}
	}
}

// A user is subscribed for as long as he has a session, and no longer.
func TestSubscriptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newLossyHub()
		srv := setup(t, im.Config{Hub: h})
		check := func(want ...string) {
			t.Helper()
			synctest.Wait()
			h.mu.Lock()
			defer h.mu.Unlock()
			if len(h.subscribed) != len(want) || slices.ContainsFunc(want, func(topic string) bool { return !h.subscribed[topic] }) {
				t.Errorf("subscribed %v, want %v", h.subscribed, want)
			}
		}
		phone, laptop, bob := srv.Connect("alice"), srv.Connect("alice"), srv.Connect("bob")
		check("u:alice", "u:bob")
		phone.Close()
		bob.Close()
		check("u:alice")
		must(t, laptop.Call("session.close", nil, nil))
		check()
		if sessions, users := im.Sessions(srv.Server); sessions != 0 || users != 0 {
			t.Errorf("the server remembers %d sessions of %d users", sessions, users)
		}
	})
}

// A connection that a transport accepts while the server drains is told to come
// back, and nobody waits for it.
func TestConnectionDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := setup(t, im.Config{Transports: []transport.Transport{late{}}})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://im.test/late", nil)
		must(t, err)
		var c *imtest.Client
		dialed := make(chan struct{})
		go func() {
			defer close(dialed)
			c = srv.DialRequest(r)
		}()
		synctest.Wait()
		begin := time.Now()
		must(t, srv.Shutdown(ctx))
		if took := time.Since(begin); took != 0 {
			t.Errorf("Shutdown took %v", took)
		}
		<-dialed
		ended(t, c, transport.CloseRestart)
	})
}

// late is a pipe whose handshake takes a second.
type late struct{ pipe.Transport }

func (late) Path() string { return "/late" }

func (l late) Serve(w http.ResponseWriter, r *http.Request, limits transport.Limits, start func(transport.Conn)) error {
	time.Sleep(time.Second)
	return l.Transport.Serve(w, r, limits, start)
}

// Who made a group and left it, and repeats the request, learns only that.
func TestRepeatedCreateAfterLeave(t *testing.T) {
	s := memory.New(nil)
	defer s.Close()
	srv := setup(t, im.Config{Store: s})
	alice := srv.As(im.Identity{User: "alice"})
	p := im.CreateParams{Kind: "group", Title: "secret plans", ClientID: "c1", Members: []string{"bob"}}
	first, err := im.Call[im.CreateParams, im.ConversationView](ctx, alice, "conversation.create", p)
	must(t, err)
	_, err = s.ChangeMembers(ctx, store.MembersChange{
		Conversation: first.ID, Remove: []string{"alice"}, Add: []store.NewMember{{User: "dave", Role: store.Owner}}, Time: 1,
	})
	must(t, err)
	again, err := im.Call[im.CreateParams, im.ConversationView](ctx, alice, "conversation.create", p)
	must(t, err)
	if again.ID != first.ID || !again.Left || again.Title != "" || again.Members != 0 {
		t.Errorf("%+v", again)
	}
}
