// Package transporttest is the suite that every transport passes.
package transporttest

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"example.com/h5im/transport"
)

// Harness is what the suite needs of a transport.
type Harness struct {
	// Transport is what is tested. The suite never calls it at the same time
	// from two tests.
	Transport transport.Transport
	// Listen serves h, which answers at any path, until the test ends, and
	// returns a function that connects a client. It may be called concurrently
	// and fails the test where it cannot connect.
	Listen func(t testing.TB, h http.Handler) (dial func(transport.Format) Client)
	// OneWay is set for a transport whose Conns are transport.OneWay. They are of
	// JSON, begin with one frame of the client's choice, and carry nothing more
	// from it: its Write does nothing then, and its Close is a Vanish.
	OneWay bool
}

// Client is a peer as the suite sees it. Read may run beside the others.
type Client interface {
	// Read returns the next frame's payload, answering pings meanwhile; at the
	// end a *transport.CloseError if the server gave its reason, else any error.
	Read() ([]byte, error)
	// Write sends one frame of a format's type.
	Write(format transport.Format, payload []byte) error
	// Close tells the server the code and reason. Read goes on to the end.
	Close(code int, reason string) error
	// Vanish drops the connection without a word.
	Vanish()
}

// HalfCloser is a Client that can end its sending side and still read.
type HalfCloser interface {
	CloseWrite() error
}

// Mute is a Client that can stop to answer pings.
type Mute interface {
	Mute()
}

// Run tests a transport.
func Run(t *testing.T, h Harness) {
	formats := []transport.Format{transport.JSON, transport.Msgpack}
	if h.OneWay {
		formats = formats[:1]
	}
	for _, format := range formats {
		t.Run(format.String(), func(t *testing.T) {
			s := suite{Harness: h, format: format}
			t.Run("messages", s.messages)
			if !h.OneWay {
				t.Run("frames", s.frames)
				t.Run("limits", s.limits)
				t.Run("last words", s.lastWords)
			}
			t.Run("ends", s.ends)
			t.Run("slow peers", s.slowPeers)
			t.Run("tries", s.tries)
			t.Run("many connections", s.many)
		})
	}
}

type suite struct {
	Harness
	format transport.Format
}

// patience is how long anything may take on a busy machine; closeWithin is the
// contract's second with that much again.
const (
	patience    = 20 * time.Second
	closeWithin = 3 * time.Second
)

var roomy = transport.Limits{MaxFrameBytes: 256 << 10, WriteTimeout: time.Minute}

// A server hands out the connections that its clients make.
type server struct {
	s     suite
	dial  func(transport.Format) Client
	conns chan transport.Conn
}

func (s suite) server(t testing.TB, limits transport.Limits) *server {
	srv := &server{s: s, conns: make(chan transport.Conn)}
	srv.dial = s.Listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := s.Transport.Serve(w, r, limits, func(c transport.Conn) {
			go func() { srv.conns <- c }()
		})
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	}))
	return srv
}

// pair connects a client and returns both ends. They end with the test.
func (srv *server) pair(t testing.TB) (transport.Conn, Client) {
	t.Helper()
	client := srv.dial(srv.s.format)
	var c transport.Conn
	select {
	case c = <-srv.conns:
	case <-time.After(patience):
		t.Fatal("the transport called no start")
	}
	if srv.s.OneWay {
		if first, err := c.Read(); err != nil || len(first) == 0 {
			t.Fatalf("the first frame: %q, %v", first, err)
		}
	}
	t.Cleanup(func() {
		_ = c.Close(transport.CloseNormal, "")
		client.Vanish()
	})
	return c, client
}

func (s suite) pair(t testing.TB, limits transport.Limits) (transport.Conn, Client) {
	t.Helper()
	return s.server(t, limits).pair(t)
}

// within fails the test when f takes longer than d.
func within(t testing.TB, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("%s took more than %v", what, d)
	}
}

// drain reads to the end in the background, so that the peer is never slow,
// and returns how the end is awaited.
func drain(read func() ([]byte, error)) (wait func() error) {
	var end error
	done := make(chan struct{})
	go func() {
		defer close(done)
		for end == nil {
			_, end = read()
		}
	}()
	return sync.OnceValue(func() error { <-done; return end })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
