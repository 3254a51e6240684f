package im_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/im/wire"
	"example.com/h5im/store"
	"example.com/h5im/store/memory"
	"example.com/h5im/transport"
	"example.com/h5im/transport/pipe"
)

func TestShutdown(t *testing.T) { // [P32]
	t.Run("clients are told, running sends finish, connections end with a code to reconnect", func(t *testing.T) {
		srv := setup(t, im.Config{})
		alice := srv.Connect("alice")
		g := group(t, alice, "bob")
		var ids []int64
		for i := range 30 {
			ids = append(ids, alice.Start("message.send", im.SendParams{To: im.ToConversation(g.ID), ClientID: string(rune('a' + i)), Content: im.Text("x")}))
		}
		must(t, srv.Shutdown(ctx))
		ended(t, alice, transport.CloseRestart)
		alice.Event("goaway")
		acked := 0
		for _, id := range ids {
			if alice.Await(id, nil) == nil {
				acked++
			}
		}
		t.Logf("%d of %d were acknowledged", acked, len(ids))
		if err := srv.Ready(); err == nil {
			t.Error("ready after shutdown")
		}
		refused(t, srv.System().Call(ctx, "ping", nil, nil), im.ErrUnavailable)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ws", nil))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		must(t, srv.Shutdown(ctx)) // again: waits for the first
	})
	t.Run("an answer that is being written when it begins arrives", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Transports: []transport.Transport{slowly{}}})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://im.test/slowly", nil)
			must(t, err)
			c := srv.DialRequest(r)
			must(t, c.Open("alice", "d"))
			id := c.Start("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: "c", Content: im.Text("x")})
			synctest.Wait() // it is stored, and its answer is being framed
			must(t, srv.Shutdown(ctx))
			must(t, c.Await(id, nil))
		})
	})
	t.Run("a configuration that cannot work is refused with its field", func(t *testing.T) {
		auth := im.AuthenticatorFunc(func(context.Context, *im.Handshake) (im.Identity, error) { return im.Identity{}, nil })
		for _, c := range []im.Config{
			{}, {AppID: "a b", Auth: auth}, {AppID: "x"},
			{AppID: "x", Auth: auth, AllowedOrigins: []string{"*"}},
			{AppID: "x", Auth: auth, AllowedOrigins: []string{"https://a.example/path"}},
			{AppID: "x", Auth: auth, Limits: im.Limits{Page: 200}},
			{AppID: "x", Auth: auth, Limits: im.Limits{Batch: -1}},
		} {
			c.DataDir = t.TempDir()
			if _, err := im.New(c); err == nil {
				t.Errorf("%+v was taken", c)
			}
		}
	})
}

// slowly is a pipe that takes its time to frame answers.
type slowly struct{ pipe.Transport }

func (slowly) Path() string { return "/slowly" }

func (t slowly) Serve(w http.ResponseWriter, r *http.Request, l transport.Limits, start func(transport.Conn)) error {
	return t.Transport.Serve(w, r, l, func(c transport.Conn) { start(slowConn{c}) })
}

type slowConn struct{ transport.Conn }

func (c slowConn) Prepare(msg []byte) transport.Prepared {
	if bytes.Contains(msg, []byte(`"result"`)) {
		time.Sleep(time.Second)
	}
	return c.Conn.Prepare(msg)
}

// What was committed is told, though whoever asked for it has gone meanwhile.
func TestCallerGoesAway(t *testing.T) {
	inner := memory.New(nil)
	defer inner.Close()
	s := &leaving{Store: inner}
	srv := setup(t, im.Config{Store: s})
	alice, bob := srv.Connect("alice"), srv.Connect("bob")
	g := group(t, alice, "bob")
	send(t, bob, im.ToConversation(g.ID), "c1", "x")
	bob.Event("conversation")
	for _, c := range []struct {
		op     string
		params any
		event  string
	}{
		{"conversation.create", im.CreateParams{Kind: "group", Members: []string{"bob"}}, "conversation"},
		{"conversation.mark", im.MarkParams{Conversation: g.ID, Delivered: 1, Read: 1}, "receipt"},
		{"member.add", im.MemberParams{Conversation: g.ID, Users: []string{"carol"}}, "member"},
		{"member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"carol"}}, "member"},
	} {
		t.Run(c.op, func(t *testing.T) {
			leaver := srv.Dial(transport.JSON)
			must(t, leaver.Open("alice", "phone"))
			s.leave.Store(leaver)
			leaver.Start(c.op, c.params)
			bob.Event(c.event)
		})
	}
}

// leaving is a store whose caller hangs up during a write; like bolt, it then
// tells the caller so while it commits.
type leaving struct {
	store.Store
	leave atomic.Pointer[imtest.Client]
}

func (s *leaving) cut(ctx context.Context) error {
	c := s.leave.Swap(nil)
	if c == nil {
		return nil
	}
	c.Close()
	if ctx.Done() != nil {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (s *leaving) Create(ctx context.Context, c store.NewConversation) (store.Created, error) {
	created, err := s.Store.Create(context.WithoutCancel(ctx), c)
	return created, errors.Join(err, s.cut(ctx))
}

func (s *leaving) ChangeMembers(ctx context.Context, c store.MembersChange) (store.MembersChanged, error) {
	changed, err := s.Store.ChangeMembers(context.WithoutCancel(ctx), c)
	return changed, errors.Join(err, s.cut(ctx))
}

func (s *leaving) Mark(ctx context.Context, m store.Mark) (store.Marked, error) {
	marked, err := s.Store.Mark(context.WithoutCancel(ctx), m)
	return marked, errors.Join(err, s.cut(ctx))
}

// Who reads nothing any more holds nobody up for longer than a write may take.
func TestShutdownWithAClientThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := setup(t, im.Config{})
		ann, ben := srv.Connect("ann"), srv.Connect("ben")
		defer ben.Pause()()
		for i := range 300 {
			must(t, ann.Call("message.send", im.SendParams{To: im.ToUser("ben"), ClientID: fmt.Sprint(i), Content: im.Text(strings.Repeat("x", 4000))}, nil))
			ben.Start("message.list", im.ListParams{Conversation: im.DirectID("ann", "ben")})
		}
		begin := time.Now()
		must(t, srv.Shutdown(ctx))
		if d := time.Since(begin); d > 11*time.Second {
			t.Errorf("it took %v", d)
		}
		ended(t, ann, transport.CloseRestart)
	})
}

func TestGoawaysAreSpread(t *testing.T) { // [P115]
	const clients = 10
	connect := func(t *testing.T, c im.Config) (*imtest.Server, []*imtest.Client) {
		srv := setup(t, c)
		var all []*imtest.Client
		for i := range clients {
			all = append(all, srv.Connect(string(rune('a'+i))))
		}
		return srv, all
	}
	t.Run("at once, each with a time of its own", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, all := connect(t, im.Config{})
			must(t, srv.Shutdown(ctx))
			times := map[int64]bool{}
			for _, c := range all {
				var e wire.GoawayEvent
				c.Decode(c.Event("goaway"), &e)
				times[e.RetryAfterMs] = true
			}
			if len(times) != clients {
				t.Errorf("%d clients come back at %v", clients, times)
			}
		})
	})
	t.Run("over the window, in which the others are served", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, all := connect(t, im.Config{DrainWindow: clients * time.Second})
			begin := time.Now()
			done := make(chan error)
			go func() { done <- srv.Shutdown(ctx) }()
			for second := range clients {
				time.Sleep(time.Until(begin.Add(time.Duration(second)*time.Second + time.Second/2)))
				told := 0
				for _, c := range all {
					for _, e := range c.Events() {
						if e.Name == "goaway" {
							told++
						}
					}
					must(t, c.Call("ping", nil, nil))
				}
				if told != 1 {
					t.Errorf("in second %d %d were told", second, told)
				}
			}
			must(t, <-done)
			if d := time.Since(begin); d > (clients+1)*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	})
	t.Run("and not beyond the time that Shutdown has", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv, all := connect(t, im.Config{DrainWindow: time.Hour})
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			begin := time.Now()
			_ = srv.Shutdown(ctx)
			if d := time.Since(begin); d > 6*time.Second {
				t.Errorf("it took %v", d)
			}
			for _, c := range all {
				ended(t, c, transport.CloseRestart)
			}
		})
	})
}
