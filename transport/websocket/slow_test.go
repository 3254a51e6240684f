package websocket_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/transport"
	"example.com/h5im/transport/websocket"
)

// A bubblePair is a connection without a network, whose peer's buffers hold
// nothing: what the server writes waits until the client reads.
type bubblePair struct {
	transport.Conn
	client *rawClient
	begun  time.Time
	read   [][]byte
	ended  time.Duration // of Read after begun, once it has
	end    error
}

// inBubble runs f with a connection that is read from.
func inBubble(t *testing.T, limits transport.Limits, f func(*testing.T, *bubblePair)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tr := websocket.New(nil)
		p := &bubblePair{begun: time.Now()}
		dial := listenInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = tr.Serve(w, r, limits, func(c transport.Conn) { p.Conn = c })
		}))
		p.client = newRawClient(t, dial(), transport.JSON)
		synctest.Wait()
		go func() {
			for p.end == nil {
				var msg []byte
				if msg, p.end = p.Read(); p.end == nil {
					p.read = append(p.read, msg)
				}
			}
			p.ended = time.Since(p.begun)
		}()
		f(t, p)
		p.client.Vanish()
		_ = p.Close(transport.CloseNormal, "")
		time.Sleep(2 * time.Second)
		synctest.Wait()
	})
}

// write writes messages of size bytes each and returns how that ends.
func (p *bubblePair) write(count, size int) <-chan error {
	msgs := make([]transport.Prepared, count)
	for i := range msgs {
		msgs[i] = p.Prepare(bytes.Repeat([]byte("x"), size))
	}
	written := make(chan error, 1)
	go func() { written <- p.Write(msgs) }()
	return written
}

func TestSlowReaders(t *testing.T) {
	limits := transport.Limits{WriteTimeout: 10 * time.Second}

	for name, c := range map[string]struct{ count, size int }{
		"one large message":           {1, 300_000},
		"several large messages":      {3, 100_000},
		"many small messages at once": {3000, 100},
	} {
		t.Run("who take something all the time are not cut off, by "+name, func(t *testing.T) {
			inBubble(t, limits, func(t *testing.T, p *bubblePair) {
				written := p.write(c.count, c.size)
				got := 0
				go func() {
					for {
						n, err := p.client.Conn.Read(make([]byte, 4<<10))
						if got += n; err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				}()
				if err := <-written; err != nil {
					t.Errorf("Write after %v: %v", time.Since(p.begun), err)
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if got < 300_000 {
					t.Errorf("the client got %d bytes", got)
				}
			})
		})
	}

	t.Run("who take nothing are cut off in time, also in the middle of a message", func(t *testing.T) {
		for _, taken := range []int{0, 1, 50_000} {
			inBubble(t, limits, func(t *testing.T, p *bubblePair) {
				written := p.write(1, 300_000)
				if _, err := io.CopyN(io.Discard, p.client.Conn, int64(taken)); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				if err := <-written; !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Write: %v", err)
				}
				if d := time.Since(begin); d < 10*time.Second || d > 12500*time.Millisecond {
					t.Errorf("after %v", d)
				}
			})
		}
	})

	t.Run("may ping meanwhile", func(t *testing.T) {
		inBubble(t, limits, func(t *testing.T, p *bubblePair) {
			written := p.write(1, 1000)
			for range 3 {
				if err := p.client.send(frame(fin|opPing, []byte("there?"))); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(9 * time.Second)
			for _, want := range []byte{opText, opPong, opPong, opPong} {
				if op, _, err := p.client.next(); op != want || err != nil {
					t.Fatalf("opcode %d, %v, want %d", op, err, want)
				}
			}
			if err := <-written; err != nil {
				t.Errorf("Write: %v", err)
			}
		})
	})
}

func TestAPeerThatNeitherReadsNorSpeaksIsGone(t *testing.T) {
	const interval = 10 * time.Second
	inBubble(t, transport.Limits{PingInterval: interval}, func(t *testing.T, p *bubblePair) {
		time.Sleep(2*interval + 2*time.Second)
		synctest.Wait()
		if p.end == nil || p.ended < interval {
			t.Errorf("ended after %v: %v", p.ended, p.end)
		}
	})
}

func TestTrickles(t *testing.T) {
	limits := transport.Limits{MessageTimeout: time.Minute}
	long := frame(fin|opText, bytes.Repeat([]byte("x"), 10_000))
	for name, next := range map[string]func(i int) []byte{
		"the bytes of a message": func(i int) []byte { return long[i : i+1] },
		"empty fragments": func(i int) []byte {
			if i == 0 {
				return frame(opText, nil)
			}
			return frame(opCont, nil)
		},
		"pings inside a message": func(i int) []byte {
			if i == 0 {
				return frame(opText, []byte("never ended"))
			}
			return frame(fin|opPing, nil)
		},
	} {
		t.Run("a message that comes as "+name+" for ever is ended", func(t *testing.T) {
			inBubble(t, limits, func(t *testing.T, p *bubblePair) {
				told := make(chan error, 1)
				go func() {
					_, err := p.client.Read()
					told <- err
				}()
				for i := 0; p.client.send(next(i)) == nil; i++ {
					time.Sleep(time.Second)
					if synctest.Wait(); i == 55 && p.end != nil {
						t.Errorf("ended after %v", p.ended)
					}
					if i == 100 {
						t.Fatal("it goes on")
					}
				}
				var ended *transport.CloseError
				if err := <-told; !errors.As(err, &ended) || ended.Code != transport.CloseSlow {
					t.Errorf("told %v", err)
				}
				synctest.Wait()
				if !errors.Is(p.end, transport.ErrClosed) || !errors.Is(p.end, os.ErrDeadlineExceeded) || len(p.read) != 0 {
					t.Errorf("Read: %d messages, %v", len(p.read), p.end)
				}
			})
		})
	}

	t.Run("a message that is slow but in time is taken, again and again", func(t *testing.T) {
		inBubble(t, limits, func(t *testing.T, p *bubblePair) {
			slow := text(strings.Repeat("x", 50))
			for range 5 {
				for _, b := range slow {
					if err := p.client.send([]byte{b}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
			}
			synctest.Wait()
			if len(p.read) != 5 || p.end != nil {
				t.Errorf("%d messages, %v", len(p.read), p.end)
			}
		})
	})

	ping := frame(fin|opPing, nil)
	for name, c := range map[string]struct{ before, after []byte }{
		"a message":            {text("hello"), nil},
		"a message and a ping": {append(text("hello"), ping...), nil},
		"half a ping":          {append(text("hello"), ping[:2]...), ping[2:]},
		"fragments":            {append(frame(opText, []byte("hel")), frame(fin|opCont, []byte("lo"))...), nil},
	} {
		t.Run("a peer may be silent after "+name, func(t *testing.T) {
			inBubble(t, limits, func(t *testing.T, p *bubblePair) {
				go p.client.Read()
				if err := p.client.send(c.before); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				if err := p.client.send(append(c.after, text("again")...)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if len(p.read) != 2 || string(p.read[1]) != "again" {
					t.Errorf("got %q, %v", p.read, p.end)
				}
			})
		})
	}
}
