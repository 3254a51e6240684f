package websocket_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	library "nhooyr.io/websocket"
)

func TestAnotherLibrarysClient(t *testing.T) {
	srv := httptest.NewServer(echo(patient))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := library.Dial(ctx, srv.URL, &library.DialOptions{
		Subprotocols: []string{"im.v1.msgpack"}, CompressionMode: library.CompressionContextTakeover,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	msg := strings.Repeat("message ", 2000)
	if err := c.Write(ctx, library.MessageBinary, []byte(msg)); err != nil {
		t.Fatal(err)
	}
	typ, got, err := c.Read(ctx)
	if err != nil || typ != library.MessageBinary || string(got) != msg {
		t.Errorf("got %v %q, %v", typ, got, err)
	}
	if err := c.Close(library.StatusNormalClosure, "bye"); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// benchQueued is how many messages wait for one client before the publisher has
// to, on both sides.
const benchQueued = 16

// naiveServer broadcasts as the library's chat example does, but waits where
// that drops.
type naiveServer struct {
	mu     sync.Mutex
	queues []chan []byte
}

func (s *naiveServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, err := library.Accept(w, r, &library.AcceptOptions{Subprotocols: []string{"im.v1.json"}, InsecureSkipVerify: true})
	if err != nil {
		return
	}
	queue := make(chan []byte, benchQueued)
	s.mu.Lock()
	s.queues = append(s.queues, queue)
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		for {
			if _, _, err := c.Read(ctx); err != nil {
				return
			}
		}
	}()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case msg := <-queue:
				timeout, done := context.WithTimeout(ctx, 10*time.Second)
				err := c.Write(timeout, library.MessageText, msg)
				done()
				if err != nil {
					return
				}
			}
		}
	}()
}

func (s *naiveServer) publish(msg []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, queue := range s.queues {
		queue <- msg
	}
}

func (s *naiveServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queues)
}
