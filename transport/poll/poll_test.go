package poll_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/transport"
	"example.com/h5im/transport/poll"
	"example.com/h5im/transport/transporttest"
)

// router leads the requests of a connection to it, as a server does by session.
type router struct {
	*poll.Transport
	mu    sync.Mutex
	conns map[string]transport.OneWay
}

func (t *router) Serve(w http.ResponseWriter, r *http.Request, limits transport.Limits, start func(transport.Conn)) error {
	name := r.Header.Get("Im-Session")
	t.mu.Lock()
	c := t.conns[name]
	t.mu.Unlock()
	if c != nil {
		c.Resume(w, r)
		return nil
	}
	return t.Transport.Serve(w, r, limits, func(c transport.Conn) {
		t.mu.Lock()
		t.conns[name] = c.(transport.OneWay)
		t.mu.Unlock()
		start(c)
	})
}

// peer polls.
type peer struct {
	client *http.Client
	url    string
	name   string
	ctx    context.Context
	stop   context.CancelFunc
	begun  chan result

	ack  int64
	msgs [][]byte
}

type result struct {
	body   []byte
	status int
	err    error
}

func (p *peer) do(method, query, body string) result {
	r, err := http.NewRequestWithContext(p.ctx, method, p.url+query, strings.NewReader(body))
	if err != nil {
		return result{err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Im-Session", p.name)
	answer, err := p.client.Do(r)
	if err != nil {
		return result{err: err}
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return result{b, answer.StatusCode, err}
}

func (p *peer) begin() {
	p.begun = make(chan result, 1)
	go func() { p.begun <- p.do(http.MethodPost, "", `"hello"`) }()
}

// poll gets one frame; none where there was nothing in time.
func (p *peer) poll(ack int64) ([][]byte, error) {
	got := p.do(http.MethodGet, fmt.Sprintf("?ack=%d", ack), "")
	switch {
	case got.err != nil:
		return nil, got.err
	case got.status == http.StatusNoContent:
		return nil, nil
	case got.status != http.StatusOK:
		return nil, fmt.Errorf("%d %s", got.status, got.body)
	}
	head := fmt.Sprintf(`{"frame":%d,"messages":[`, ack+1)
	body, isFrame := bytes.CutPrefix(got.body, []byte(head))
	if body, isEnd := bytes.CutSuffix(body, []byte("]}")); isFrame && isEnd {
		if i := bytes.Index(body, []byte(`{"jsonrpc":"2.0","method":"close"`)); i > 0 { // the notice has commas
			return append(bytes.Split(body[:i-1], []byte(",")), body[i:]), nil
		} else if i == 0 {
			return [][]byte{body}, nil
		}
		return bytes.Split(body, []byte(",")), nil
	}
	return nil, fmt.Errorf("no frame: %.100q", got.body)
}

func (p *peer) Read() ([]byte, error) {
	if p.begun != nil {
		got := <-p.begun
		p.begun = nil
		if got.err != nil || got.status != http.StatusOK {
			return nil, errors.Join(got.err, fmt.Errorf("%d %s", got.status, got.body))
		}
		return closed(got.body)
	}
	for len(p.msgs) == 0 {
		msgs, err := p.poll(p.ack)
		if err != nil {
			return nil, err
		}
		if p.msgs = msgs; msgs != nil {
			p.ack++
		}
	}
	msg := p.msgs[0]
	p.msgs = p.msgs[1:]
	return closed(msg)
}

// closed turns the notice of the end into the error that says it.
func closed(msg []byte) ([]byte, error) {
	var notice struct {
		Method string
		Params transport.CloseError
	}
	if json.Unmarshal(msg, &notice) == nil && notice.Method == "close" {
		return nil, &notice.Params
	}
	return msg, nil
}

func (p *peer) Write(transport.Format, []byte) error { return nil }
func (p *peer) Close(int, string) error              { p.Vanish(); return nil }
func (p *peer) Vanish()                              { p.stop() }

func TestConformance(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			transporttest.Run(t, transporttest.Harness{
				Transport: &router{Transport: poll.New(&poll.Options{Gone: 300 * time.Millisecond}), conns: map[string]transport.OneWay{}},
				OneWay:    true,
				Listen: func(t testing.TB, h http.Handler) func(transport.Format) transporttest.Client {
					srv := httptest.NewUnstartedServer(h)
					if srv.EnableHTTP2 = protocol == "HTTP/2.0"; srv.EnableHTTP2 {
						srv.StartTLS()
					} else {
						srv.Start()
						srv.Client().Transport.(*http.Transport).DisableKeepAlives = true
					}
					t.Cleanup(srv.Close)
					var mu sync.Mutex
					n := 0
					return func(transport.Format) transporttest.Client {
						mu.Lock()
						defer mu.Unlock()
						n++
						p := &peer{client: srv.Client(), url: srv.URL, name: fmt.Sprint(t.Name(), n)}
						p.ctx, p.stop = context.WithCancel(context.Background())
						p.begin()
						return p
					}
				},
			})
		})
	}
}

// direct serves requests without a network, for tests by a clock.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.h.ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// setup begins a connection that has been answered "welcome", in a bubble.
func setup(t *testing.T, opts *poll.Options) (transport.OneWay, *peer) {
	tr := &router{Transport: poll.New(opts), conns: map[string]transport.OneWay{}}
	conns := make(chan transport.Conn, 1)
	p := &peer{url: "http://im.test/poll", name: "x", client: &http.Client{Transport: direct{
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = tr.Serve(w, r, transport.Limits{}, func(c transport.Conn) { conns <- c })
		}),
	}}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.begin()
	c := (<-conns).(transport.OneWay)
	write(t, c, "welcome")
	if got, err := p.Read(); err != nil || string(got) != "welcome" {
		t.Fatalf("the POST was answered %q, %v", got, err)
	}
	t.Cleanup(func() {
		_ = c.Close(transport.CloseNormal, "")
		p.stop()
		time.Sleep(time.Minute)
	})
	return c, p
}

func write(t *testing.T, c transport.Conn, texts ...string) {
	t.Helper()
	var msgs []transport.Prepared
	for _, s := range texts {
		msgs = append(msgs, c.Prepare([]byte(s)))
	}
	if err := c.Write(msgs); err != nil {
		t.Error(err)
	}
}

func TestFrames(t *testing.T) { // [P108]
	t.Run("a frame comes again until it is acknowledged, the same bytes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := setup(t, nil)
			go write(t, c, "a", "b")
			for range 3 {
				if msgs, err := p.poll(0); err != nil || string(bytes.Join(msgs, nil)) != "ab" {
					t.Fatalf("got %q, %v", msgs, err)
				}
			}
			go write(t, c, "c")
			if msgs, err := p.poll(1); err != nil || string(bytes.Join(msgs, nil)) != "c" {
				t.Errorf("got %q, %v", msgs, err)
			}
			for _, ack := range []int64{-1, 0, 3, 1 << 40} {
				if msgs, err := p.poll(ack); err == nil {
					t.Errorf("ack %d was answered %q", ack, msgs)
				}
			}
			if got := p.do(http.MethodGet, "?ack=x", ""); got.status != http.StatusBadRequest {
				t.Errorf("an ack that is no number: %d", got.status)
			}
			if got := p.do(http.MethodPut, "?ack=2", ""); got.status != http.StatusMethodNotAllowed {
				t.Errorf("a PUT: %d", got.status)
			}
		})
	})

	t.Run("what a GET took whose peer had gone comes again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := setup(t, nil)
			lost := *p
			var cut context.CancelFunc
			lost.ctx, cut = context.WithCancel(p.ctx)
			go func() { _, _ = lost.poll(0) }()
			synctest.Wait()
			cut()
			synctest.Wait()
			go write(t, c, "once")
			if msgs, err := p.poll(0); err != nil || string(bytes.Join(msgs, nil)) != "once" {
				t.Errorf("got %q, %v", msgs, err)
			}
		})
	})

	t.Run("of two GETs the later one gets the message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := setup(t, nil)
			first := make(chan [][]byte)
			go func() {
				msgs, _ := p.poll(0)
				first <- msgs
			}()
			synctest.Wait()
			second := make(chan [][]byte)
			go func() {
				msgs, _ := p.poll(0)
				second <- msgs
			}()
			if msgs := <-first; msgs != nil {
				t.Errorf("the first got %q", msgs)
			}
			write(t, c, "here")
			if msgs := <-second; string(bytes.Join(msgs, nil)) != "here" {
				t.Errorf("the second got %q", msgs)
			}
		})
	})

	t.Run("Write waits for a GET, and no longer than the connection lives", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := setup(t, &poll.Options{Gone: 10 * time.Second})
			begin := time.Now()
			write(t, c, strings.Repeat("x", 100<<10))
			if err := c.Write([]transport.Prepared{c.Prepare([]byte("x"))}); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write: %v", err)
			}
			if d := time.Since(begin); d != 10*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	})
}

func TestWaiting(t *testing.T) {
	t.Run("a GET waits as long as it is told, and a beat sends it home", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := setup(t, &poll.Options{Wait: 20 * time.Second})
			for _, beat := range []time.Duration{0, 3 * time.Second} {
				begin := time.Now()
				want := 20 * time.Second
				if beat > 0 {
					want = beat
					time.AfterFunc(beat, c.Beat)
				}
				msgs, err := p.poll(0)
				if d := time.Since(begin); msgs != nil || err != nil || d != want {
					t.Errorf("got %q, %v after %v", msgs, err, d)
				}
			}
		})
	})

	t.Run("a beat that finds no GET sends the next one home", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := setup(t, nil)
			c.Beat()
			for _, want := range []time.Duration{0, 25 * time.Second} {
				begin := time.Now()
				if msgs, err := p.poll(0); msgs != nil || err != nil || time.Since(begin) != want {
					t.Errorf("got %q, %v after %v", msgs, err, time.Since(begin))
				}
			}
		})
	})

	t.Run("a peer that polls stays, one that does not has gone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := setup(t, nil)
			ended := make(chan time.Time, 1)
			go func() {
				_, _ = c.Read() // the first frame
				_, _ = c.Read()
				ended <- time.Now()
			}()
			for range 100 {
				if _, err := p.poll(0); err != nil {
					t.Fatal(err)
				}
				time.Sleep(14 * time.Second)
			}
			begin := time.Now()
			if d := (<-ended).Sub(begin); d != time.Second {
				t.Errorf("ended %v after the last poll", 14*time.Second+d)
			}
			if got := p.do(http.MethodGet, "?ack=0", ""); got.status != http.StatusNotFound {
				t.Errorf("a poll after the end: %d", got.status)
			}
		})
	})

	t.Run("the last words wait for a GET, and come behind what was not taken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := setup(t, nil)
			go func() { _ = c.Write([]transport.Prepared{c.Prepare([]byte("last"))}) }()
			synctest.Wait()
			_ = c.Close(transport.CloseRestart, "done")
			time.Sleep(500 * time.Millisecond)
			if got, err := p.Read(); err != nil || string(got) != "last" {
				t.Errorf("got %q, %v", got, err)
			}
			var told *transport.CloseError
			if _, err := p.Read(); !errors.As(err, &told) || told.Code != transport.CloseRestart || told.Reason != "done" {
				t.Errorf("told %v", err)
			}
		})
	})

	t.Run("a connection that ends before its first message says so", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := setup(t, nil)
			_ = c.Close(transport.CloseNormal, "")
			p.begin()
			synctest.Wait()
			if got := <-p.begun; got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	})
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		method, media, body string
		status              int
	}{
		"a GET that names no session": {"GET", "", "", http.StatusMethodNotAllowed},
		"a form of another page":      {"POST", "text/plain", "{}", http.StatusUnsupportedMediaType},
		"a body above the limit":      {"POST", "application/json", strings.Repeat(" ", 101), http.StatusRequestEntityTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/poll", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.media)
			w := httptest.NewRecorder()
			_ = poll.New(nil).Serve(w, r, transport.Limits{MaxFrameBytes: 100}, func(transport.Conn) { t.Error("started") })
			if w.Code != c.status || w.Body.Len() == 0 {
				t.Errorf("answered %d %q", w.Code, w.Body)
			}
		})
	}
}
