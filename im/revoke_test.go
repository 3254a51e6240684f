package im_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/hub"
	"example.com/h5im/im/imtest"
	"example.com/h5im/im/wire"
	"example.com/h5im/store/memory"
	"example.com/h5im/transport"
)

// cluster starts nodes that share a store and a hub.
func cluster(t *testing.T, n int, c im.Config) []*imtest.Server {
	bus := hub.NewBus()
	s := memory.New(nil)
	t.Cleanup(func() { s.Close() })
	var nodes []*imtest.Server
	for i := range n {
		c.Store, c.Hub = s, bus.Hub(fmt.Sprint("node-", i))
		nodes = append(nodes, setup(t, c))
	}
	return nodes
}

// on opens a session of a user on a device.
func on(t *testing.T, srv *imtest.Server, user, device string) *imtest.Client {
	t.Helper()
	c := srv.Dial(transport.JSON)
	must(t, c.Open(user, device))
	return c
}

func kicked(t *testing.T, c *imtest.Client, code int, reason string) {
	t.Helper()
	var e wire.KickedEvent
	c.Decode(c.Event("kicked"), &e)
	if e.Reason != reason {
		t.Errorf("kicked for %q, want %q", e.Reason, reason)
	}
	ended(t, c, code)
}

func TestRevoke(t *testing.T) { // [P33] [P114]
	t.Run("it ends the sessions of a user, of a device, or one, on all nodes, and no other", func(t *testing.T) {
		nodes := cluster(t, 2, im.Config{})
		phone, tablet := on(t, nodes[0], "alice", "phone"), on(t, nodes[1], "alice", "tablet")
		phone2, bob := on(t, nodes[1], "alice", "phone"), on(t, nodes[0], "bob", "phone")
		n, err := nodes[0].Revoke(ctx, im.Selector{User: "alice", Device: "phone"}, "lost")
		if n != 2 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		kicked(t, phone, transport.CloseKicked, "lost")
		kicked(t, phone2, transport.CloseKicked, "lost")
		must(t, tablet.Call("ping", nil, nil))
		var list im.SessionsResult
		must(t, tablet.Call("session.list", nil, &list))
		if n, err := nodes[0].Revoke(ctx, im.Selector{Session: list.Sessions[0].Session}, "one"); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		kicked(t, tablet, transport.CloseKicked, "one")
		must(t, bob.Call("ping", nil, nil))
		if n, err := nodes[1].Revoke(ctx, im.Selector{User: "nobody"}, ""); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		_, err = nodes[1].Revoke(ctx, im.Selector{}, "everybody")
		refused(t, err, im.ErrInvalidArgument)
		must(t, bob.Call("ping", nil, nil))
	})

	t.Run("within a second, also of a client that does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			alice, bob := srv.Connect("alice"), srv.Connect("bob")
			resume := alice.Pause()
			defer resume()
			for i := range 500 {
				send(t, bob, im.ToUser("alice"), fmt.Sprint(i), string(make([]byte, 1000)))
			}
			begin := time.Now()
			if n, err := srv.Revoke(ctx, im.Selector{User: "alice"}, "gone"); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			if d := time.Since(begin); d > time.Second {
				t.Errorf("it took %v", d)
			}
			resume()
			ended(t, alice, transport.CloseKicked)
		})
	})

	t.Run("credentials that were being checked meanwhile open nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			checking := make(chan struct{})
			srv := setup(t, im.Config{Auth: im.AuthenticatorFunc(func(_ context.Context, h *im.Handshake) (im.Identity, error) {
				<-checking
				return im.Identity{User: h.Token}, nil
			})})
			alice, bob := srv.Dial(transport.JSON), srv.Dial(transport.JSON)
			open := func(c *imtest.Client, user string) int64 {
				return c.Start("session.open", wire.OpenParams{AppID: "test", Token: user, Device: "d"})
			}
			a, b := open(alice, "alice"), open(bob, "bob")
			synctest.Wait()
			time.Sleep(time.Second)
			if n, err := srv.Revoke(ctx, im.Selector{User: "alice"}, "stolen"); n != 0 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			close(checking)
			refused(t, alice.Await(a, nil), im.ErrUnauthenticated)
			must(t, bob.Await(b, nil))
			time.Sleep(time.Millisecond)
			must(t, alice.Await(open(alice, "alice"), nil)) // what begins later is the Authenticator's to refuse
		})
	})
}

func TestDevices(t *testing.T) {
	t.Run("a user sees his sessions on all nodes and signs out others", func(t *testing.T) {
		nodes := cluster(t, 2, im.Config{})
		phone := on(t, nodes[0], "alice", "phone")
		laptop := nodes[1].Dial(transport.JSON)
		must(t, laptop.Call("session.open", wire.OpenParams{AppID: "test", Token: "alice", Device: "laptop", Client: "web 1.0\x00junk"}, nil))
		on(t, nodes[1], "bob", "phone")
		var list im.SessionsResult
		must(t, phone.Call("session.list", nil, &list))
		if len(list.Sessions) != 2 {
			t.Fatalf("%+v", list)
		}
		for _, s := range list.Sessions {
			if s.Current != (s.Device == "phone") || s.Transport != "pipe" || s.Since == 0 || s.Device == "laptop" && s.Client != "web 1.0" {
				t.Errorf("%+v", s)
			}
		}
		var closed im.RevokeResult
		must(t, phone.Call("session.revoke", im.RevokeParams{Others: true}, &closed))
		if closed.Closed != 1 {
			t.Errorf("closed %d", closed.Closed)
		}
		kicked(t, laptop, transport.CloseKicked, "signed out")
		must(t, phone.Call("ping", nil, nil))
	})
	t.Run("nobody else's, and not the one that asks", func(t *testing.T) {
		srv := setup(t, im.Config{})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		var list im.SessionsResult
		must(t, bob.Call("session.list", nil, &list))
		var closed im.RevokeResult
		must(t, alice.Call("session.revoke", im.RevokeParams{Session: list.Sessions[0].Session}, &closed))
		must(t, bob.Call("ping", nil, nil))
		if closed.Closed != 0 {
			t.Errorf("closed %d", closed.Closed)
		}
		refused(t, bob.Call("session.revoke", im.RevokeParams{Session: list.Sessions[0].Session}, nil), im.ErrInvalidArgument)
		for _, p := range []im.RevokeParams{{}, {Others: true, Device: "d"}, {Session: "x", Device: "d"}} {
			refused(t, bob.Call("session.revoke", p, nil), im.ErrInvalidArgument)
		}
		must(t, bob.Call("session.revoke", im.RevokeParams{Device: "device"}, &closed))
		must(t, bob.Call("ping", nil, nil))
	})
}

func TestSessionPolicy(t *testing.T) {
	t.Run("a device that comes signs out the one that has been there longest", func(t *testing.T) { // [P114]
		clock := imtest.NewClock(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
		nodes := cluster(t, 2, im.Config{SessionPolicy: im.MaxDevices(2), Now: clock.Now})
		at := func(node int, device string) *imtest.Client {
			clock.Advance(time.Second)
			return on(t, nodes[node], "alice", device)
		}
		phone, laptop := at(0, "phone"), at(1, "laptop")
		laptop2 := at(0, "laptop") // another tab
		bob := on(t, nodes[0], "bob", "phone")
		tablet := at(1, "tablet")
		kicked(t, phone, transport.CloseTooMany, "replaced")
		for _, c := range []*imtest.Client{laptop, laptop2, tablet, bob} {
			must(t, c.Call("ping", nil, nil))
		}
	})
	t.Run("a policy that refuses leaves nothing of the session, and an error denies", func(t *testing.T) {
		srv := setup(t, im.Config{SessionPolicy: refusing{}})
		c := srv.Dial(transport.JSON)
		refused(t, c.Open("alice", "d"), im.ErrSessionLimit)
		refused(t, c.Open("broken", "d"), im.ErrInternal)
		refused(t, c.Call("ping", nil, nil), im.ErrUnauthenticated)
		must(t, c.Open("bob", "d"))
		var list im.SessionsResult
		must(t, sessionsOf(srv, "alice", &list))
		if len(list.Sessions) != 0 {
			t.Errorf("%+v", list)
		}
	})
}

func sessionsOf(srv *imtest.Server, user string, list *im.SessionsResult) error {
	return srv.As(im.Identity{User: user}).Call(ctx, "session.list", nil, list)
}

// refusing is a policy that knows bob alone.
type refusing struct{}

func (refusing) Admit(_ context.Context, opening im.SessionInfo, _ []im.SessionInfo) ([]string, error) {
	switch opening.Identity.User {
	case "alice":
		return nil, im.ErrSessionLimit
	case "bob":
		return nil, nil
	}
	return nil, fmt.Errorf("who is %s", opening.Identity.User)
}

func TestRevalidation(t *testing.T) { // [P119]
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var verdict error
		var asked []im.Handshake
		answer := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			verdict = err
		}
		srv := setup(t, im.Config{Revalidate: time.Minute, Auth: im.AuthenticatorFunc(func(_ context.Context, h *im.Handshake) (im.Identity, error) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, *h)
			return im.Identity{User: "alice"}, verdict
		})})
		alice := srv.Dial(transport.JSON)
		must(t, alice.Open("secret", "d"))
		time.Sleep(10*time.Minute + 30*time.Second)
		mu.Lock()
		if len(asked) < 9 || len(asked) > 13 {
			t.Errorf("asked %d times", len(asked))
		}
		for i, h := range asked {
			if h.Token != "secret" || h.Device != "d" || h.Request == nil || (h.Previous == nil) != (i == 0) {
				t.Errorf("%d: %+v", i, h)
			}
		}
		mu.Unlock()
		answer(fmt.Errorf("the database is away"))
		time.Sleep(5 * time.Minute)
		must(t, alice.Call("ping", nil, nil))

		answer(im.ErrUnauthenticated)
		for len(alice.Events()) == 0 { // reauth
			time.Sleep(time.Second)
		}
		answer(nil)
		must(t, alice.Open("secret", "d"))
		time.Sleep(5 * time.Minute)
		must(t, alice.Call("ping", nil, nil))

		answer(im.ErrPermissionDenied)
		ended(t, alice, transport.CloseExpired)
	})
}
