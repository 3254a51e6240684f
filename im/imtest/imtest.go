// Package imtest is for tests of programs that use package im: a server in
// memory, clients that speak the real protocol to it, and a clock to move.
//
//	srv := imtest.New(t, im.Config{Policy: myPolicy})
//	alice := srv.Connect("alice")
//	err := alice.Call("message.send", im.SendParams{...}, &receipt)
//	message := alice.Event("message")
//
// Nothing touches a network or the disk, so that tests may run inside a
// testing/synctest bubble.
package imtest

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/store/memory"
	"example.com/h5im/transport"
	"example.com/h5im/transport/pipe"
)

// AppID is the app of servers whose Config names none.
const AppID = "test"

// Server is a running server.
type Server struct {
	im.Server
	t    testing.TB
	pipe pipe.Transport
	app  string
	down atomic.Bool
}

// Shutdown is the server's. A test that calls it judges its error by itself.
func (s *Server) Shutdown(ctx context.Context) error {
	s.down.Store(true)
	return s.Server.Shutdown(ctx)
}

// New starts a server that the test's end shuts down. What c leaves empty is
// made for tests: a store in memory (unless DataDir asks for the default one),
// AppID, and an Authenticator to which the token is the user's id ("" is
// refused). The pipe transport is added to c.Transports.
func New(t testing.TB, c im.Config) *Server {
	t.Helper()
	if c.AppID == "" {
		c.AppID = AppID
	}
	if c.Store == nil && c.DataDir == "" {
		s := memory.New(nil)
		c.Store = s
		t.Cleanup(func() { s.Close() })
	}
	if c.Auth == nil {
		c.Auth = im.AuthenticatorFunc(TokenIsUser)
	}
	var p pipe.Transport
	c.Transports = append(c.Transports[:len(c.Transports):len(c.Transports)], p)
	srv, err := im.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Server: srv, t: t, pipe: p, app: c.AppID}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil && !s.down.Load() {
			t.Errorf("shutdown: %v", err)
		}
	})
	return s
}

// TokenIsUser is an Authenticator's function for tests.
func TokenIsUser(_ context.Context, h *im.Handshake) (im.Identity, error) {
	if h.Token == "" {
		return im.Identity{}, im.ErrUnauthenticated
	}
	return im.Identity{User: h.Token}, nil
}

// Connect opens a session of a user, on a device of its own.
func (s *Server) Connect(user string) *Client {
	s.t.Helper()
	c := s.Dial(transport.JSON)
	if err := c.Open(user, "device"); err != nil {
		s.t.Fatalf("session.open as %s: %v", user, err)
	}
	return c
}

// Dial makes a connection without a session.
func (s *Server) Dial(format transport.Format) *Client {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://im.test/pipe", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Sec-WebSocket-Protocol", format.Subprotocol())
	return s.DialRequest(r)
}

// DialRequest makes a connection by a request of the test's own, through the
// whole handler.
func (s *Server) DialRequest(r *http.Request) *Client {
	s.t.Helper()
	peer, answer, err := s.pipe.Dial(s.Server, r)
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	if answer != nil && answer.Body != nil {
		answer.Body.Close()
	}
	c := newClient(s.t, peer, s.app, strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), "msgpack"))
	s.t.Cleanup(c.Close)
	return c
}

// Clock is a clock to give to Config.Now and move by hand.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock starts a clock.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now is the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
