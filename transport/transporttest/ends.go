package transporttest

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/h5im/transport"
)

func (s suite) ends(t *testing.T) {
	t.Run("the peer gets code and reason after everything written before", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		serverEnd := drain(c.Read)
		for i := range 50 {
			must(t, c.Write([]transport.Prepared{c.Prepare(payload(i, 100))}))
		}
		must(t, c.Close(transport.CloseKicked, "kicked: déjà vu"))
		for i := range 50 {
			got, err := client.Read()
			must(t, err)
			if string(got) != string(payload(i, 100)) {
				t.Fatalf("message %d is %q", i, got)
			}
		}
		_, err := client.Read()
		wantClose(t, err, transport.CloseKicked, "kicked: déjà vu")
		within(t, closeWithin, "Read", func() {
			if err := serverEnd(); err != transport.ErrClosed {
				t.Errorf("Read: %v", err)
			}
		})
		s.wantOver(t, c)
	})

	t.Run("a reason that is too long is cut at a character", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		drain(c.Read)
		must(t, c.Close(transport.CloseRestart, "!"+strings.Repeat("é", 200)))
		_, err := client.Read()
		var told *transport.CloseError
		if !errors.As(err, &told) || len(told.Reason) != 123 || !utf8.ValidString(told.Reason) {
			t.Errorf("told %v", err)
		}
	})

	t.Run("only the first Close counts, also among many at once", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		drain(c.Read)
		must(t, c.Close(transport.CloseKicked, "first"))
		var closing sync.WaitGroup
		for range 10 {
			closing.Go(func() { must(t, c.Close(transport.CloseRestart, "later")) })
		}
		closing.Wait()
		_, err := client.Read()
		wantClose(t, err, transport.CloseKicked, "first")
	})

	t.Run("a Close beside running Writes still tells the peer, after whole messages", func(t *testing.T) {
		srv := s.server(t, roomy)
		for i := range 50 {
			c, client := srv.pair(t)
			drain(c.Read)
			msg := c.Prepare(payload(i, 300))
			var writing sync.WaitGroup
			begun := make(chan struct{}, 1)
			writing.Go(func() {
				for c.Write([]transport.Prepared{msg, msg}) == nil {
					select {
					case begun <- struct{}{}:
					default:
					}
				}
			})
			writing.Go(func() {
				<-begun
				_ = c.Close(transport.CloseRestart, "now")
			})
			var err error
			for err == nil {
				var got []byte
				if got, err = client.Read(); err == nil && string(got) != string(payload(i, 300)) {
					t.Fatalf("got %q", got)
				}
			}
			wantClose(t, err, transport.CloseRestart, "now")
			writing.Wait()
		}
	})

	t.Run("Close makes a waiting Read return", func(t *testing.T) {
		c, _ := s.pair(t, roomy) // whose client neither reads nor answers
		serverEnd := drain(c.Read)
		within(t, closeWithin, "Read", func() {
			must(t, c.Close(transport.CloseNormal, ""))
			if err := serverEnd(); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Read: %v", err)
			}
		})
	})

	t.Run("a peer that vanishes ends the connection", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		client.Vanish()
		within(t, patience, "Read", func() {
			if _, err := c.Read(); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Read: %v", err)
			}
		})
		s.wantOver(t, c)
	})

	t.Run("no goroutine is left", func(t *testing.T) {
		srv := s.server(t, roomy)
		cycle := func() {
			for _, ending := range []func(c transport.Conn, client Client){
				func(c transport.Conn, client Client) { _ = c.Close(transport.CloseNormal, "") },
				func(c transport.Conn, client Client) { _ = client.Close(transport.CloseNormal, "") },
				func(c transport.Conn, client Client) { client.Vanish() },
			} {
				c, client := srv.pair(t)
				serverEnd, clientEnd := drain(c.Read), drain(client.Read)
				ending(c, client)
				serverEnd()
				client.Vanish()
				clientEnd()
			}
		}
		cycle()
		before := runtime.NumGoroutine()
		for range 5 {
			cycle()
		}
		deadline := time.After(patience)
		for runtime.NumGoroutine() > before {
			select {
			case <-deadline:
				stacks := make([]byte, 1<<20)
				t.Fatalf("%d goroutines, before %d\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
			case <-time.After(time.Millisecond):
			}
		}
	})
}

// lastWords are what the peer sends at the end.
func (s suite) lastWords(t *testing.T) {
	t.Run("the peer's code and reason come with ErrClosed", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		drain(client.Read)
		must(t, client.Write(s.format, []byte("last words")))
		must(t, client.Close(4321, "gone fishing"))
		got, err := c.Read()
		must(t, err)
		if string(got) != "last words" {
			t.Errorf("got %q", got)
		}
		_, err = c.Read()
		wantClose(t, err, 4321, "gone fishing")
		if !errors.Is(err, transport.ErrClosed) {
			t.Errorf("%v is no ErrClosed", err)
		}
		s.wantOver(t, c)
	})

	t.Run("what the peer sends after Close is discarded", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		must(t, c.Close(transport.CloseNormal, ""))
		_ = client.Write(s.format, []byte("crossing"))
		clientEnd := drain(client.Read)
		within(t, closeWithin, "Read", func() {
			if got, err := c.Read(); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Read: %q, %v", got, err)
			}
			wantClose(t, clientEnd(), transport.CloseNormal, "")
		})
	})

	t.Run("a peer that ends its sending side has gone", func(t *testing.T) {
		c, client := s.pair(t, roomy)
		half, ok := client.(HalfCloser)
		if !ok {
			return // has no sides
		}
		must(t, client.Write(s.format, []byte("last words")))
		must(t, half.CloseWrite())
		got, err := c.Read()
		must(t, err)
		if string(got) != "last words" {
			t.Errorf("got %q", got)
		}
		within(t, patience, "Read", func() {
			if _, err := c.Read(); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Read: %v", err)
			}
		})
		s.wantOver(t, c)
	})
}

func (s suite) slowPeers(t *testing.T) {
	// fill writes until the peer's buffers are full and Write fails, telling of
	// every success.
	fill := func(c transport.Conn, progress chan<- struct{}) error {
		msg := c.Prepare(payload(0, 64<<10))
		for {
			if err := c.Write([]transport.Prepared{msg}); err != nil {
				return err
			}
			select {
			case progress <- struct{}{}:
			default:
			}
		}
	}

	t.Run("a peer that does not read fails Write in time, and no other", func(t *testing.T) {
		limits := roomy
		limits.WriteTimeout = 300 * time.Millisecond
		srv := s.server(t, limits)
		slow, _ := srv.pair(t)
		other, client := srv.pair(t)
		failed := make(chan error, 1)
		go func() { failed <- fill(slow, nil) }()
		msg := other.Prepare([]byte("hello"))
		within(t, patience, "Write", func() {
			for {
				must(t, other.Write([]transport.Prepared{msg}))
				if _, err := client.Read(); err != nil {
					t.Errorf("the other client: %v", err)
					return
				}
				select {
				case err := <-failed:
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("Write: %v", err)
					}
					return
				default:
				}
			}
		})
		s.wantOver(t, slow)
		must(t, other.Write([]transport.Prepared{msg}))
	})

	t.Run("Close is not held up by a Write that waits", func(t *testing.T) {
		c, _ := s.pair(t, roomy)
		serverEnd := drain(c.Read)
		failed := make(chan error, 1)
		progress := make(chan struct{})
		go func() { failed <- fill(c, progress) }()
		for waiting := false; !waiting; {
			select {
			case <-progress:
			case <-time.After(200 * time.Millisecond):
				waiting = true
			}
		}
		within(t, closeWithin, "the end", func() {
			begin := time.Now()
			must(t, c.Close(transport.CloseSlow, "too slow"))
			if d := time.Since(begin); d > 200*time.Millisecond {
				t.Errorf("Close took %v", d)
			}
			if err := <-failed; !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Write: %v", err)
			}
			if err := serverEnd(); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Read: %v", err)
			}
		})
	})
}
