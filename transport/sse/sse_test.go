package sse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/h5im/transport"
	"example.com/h5im/transport/sse"
	"example.com/h5im/transport/transporttest"
)

func TestConformance(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			transporttest.Run(t, transporttest.Harness{
				Transport: sse.New(nil), OneWay: true,
				Listen: func(t testing.TB, h http.Handler) func(transport.Format) transporttest.Client {
					srv := listen(t, protocol, h)
					return func(transport.Format) transporttest.Client { return begin(t, srv) }
				},
			})
		})
	}
}

func listen(t testing.TB, protocol string, h http.Handler) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	if srv.EnableHTTP2 = protocol == "HTTP/2.0"; srv.EnableHTTP2 {
		srv.StartTLS()
	} else {
		srv.Start()
		srv.Client().Transport.(*http.Transport).DisableKeepAlives = true
	}
	t.Cleanup(srv.Close)
	return srv
}

// peer reads a stream as a browser would.
type peer struct {
	stop   context.CancelFunc
	answer *http.Response
	lines  *bufio.Reader
}

func begin(t testing.TB, srv *httptest.Server) *peer {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL, strings.NewReader(`"hello"`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" || answer.Header.Get("X-Accel-Buffering") != "no" {
		t.Fatalf("answered %s %v", answer.Status, answer.Header)
	}
	return &peer{stop: stop, answer: answer, lines: bufio.NewReader(answer.Body)}
}

// Read returns the next event's data.
func (p *peer) Read() ([]byte, error) {
	var data []string
	for {
		line, err := p.lines.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimSuffix(line, "\n")
		text, isData := strings.CutPrefix(line, "data: ")
		switch {
		case isData:
			data = append(data, text)
		case line == "" && data != nil:
			return closed([]byte(strings.Join(data, "\n")))
		case line == "", strings.HasPrefix(line, ":"):
		default:
			return nil, errors.New("no line of an event stream: " + line)
		}
	}
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

// conn serves one stream with limits and returns its two ends.
func conn(t *testing.T, protocol string, limits transport.Limits) (transport.OneWay, *peer) {
	conns := make(chan transport.Conn, 1)
	srv := listen(t, protocol, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = sse.New(nil).Serve(w, r, limits, func(c transport.Conn) { conns <- c })
	}))
	p := begin(t, srv)
	c := (<-conns).(transport.OneWay)
	t.Cleanup(func() { _ = c.Close(transport.CloseNormal, "") })
	return c, p
}

func TestSignsOfLife(t *testing.T) {
	t.Run("a comment comes at once, and with each beat", func(t *testing.T) {
		c, p := conn(t, "HTTP/1.1", transport.Limits{})
		for range 3 {
			if got, err := p.lines.Peek(len(":\n\n")); err != nil || string(got) != ":\n\n" {
				t.Fatalf("got %q, %v", got, err)
			}
			_, _ = p.lines.Discard(len(":\n\n"))
			c.Beat()
		}
	})
	t.Run("a comment comes at every interval", func(t *testing.T) {
		_, p := conn(t, "HTTP/2.0", transport.Limits{PingInterval: 10 * time.Millisecond})
		b := make([]byte, 10*len(":\n\n"))
		if _, err := io.ReadFull(p.lines, b); err != nil || strings.Trim(string(b), ":\n") != "" {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

// In HTTP/2 a deadline that is left behind ends an idle stream.
func TestIdleStreamOutlivesItsWriteTimeout(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			c, p := conn(t, protocol, transport.Limits{WriteTimeout: 50 * time.Millisecond})
			for i := range 3 {
				if err := c.Write([]transport.Prepared{c.Prepare([]byte("still"))}); err != nil {
					t.Fatal(err)
				}
				if got, err := p.Read(); err != nil || string(got) != "still" {
					t.Fatalf("message %d: %q, %v", i, got, err)
				}
				time.Sleep(150 * time.Millisecond)
			}
		})
	}
}

func TestLineBreaksInsideAMessage(t *testing.T) {
	c, p := conn(t, "HTTP/1.1", transport.Limits{})
	for sent, want := range map[string]string{
		"{\n\"a\":\r\n1,\r\"b\":2}": "{\n\"a\":\n1,\n\"b\":2}",
		"{}\n":                      "{}\n",
		"\n\n":                      "\n\n",
		"data: x\n\ndata: y":        "data: x\n\ndata: y",
		"":                          "",
	} {
		if err := c.Write([]transport.Prepared{c.Prepare([]byte(sent))}); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Read(); err != nil || string(got) != want {
			t.Errorf("%q arrived as %q, %v", sent, got, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	started := false
	serve := func(w http.ResponseWriter, r *http.Request) {
		_ = sse.New(nil).Serve(w, r, transport.Limits{MaxFrameBytes: 100}, func(transport.Conn) { started = true })
	}
	for name, c := range map[string]struct {
		method, media, body string
		status              int
	}{
		"a GET":                      {"GET", "", "", http.StatusMethodNotAllowed},
		"a form of another page":     {"POST", "text/plain", "{}", http.StatusUnsupportedMediaType},
		"no type":                    {"POST", "", "{}", http.StatusUnsupportedMediaType},
		"msgpack":                    {"POST", "application/msgpack", "\x80", http.StatusUnsupportedMediaType},
		"a body above the limit":     {"POST", "application/json", strings.Repeat(" ", 101), http.StatusRequestEntityTooLarge},
		"a writer that cannot flush": {"POST", "application/json; charset=utf-8", "{}", http.StatusNotImplemented},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), c.method, "/events", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.media)
			w := httptest.NewRecorder()
			if c.status == http.StatusNotImplemented {
				serve(struct{ http.ResponseWriter }{w}, r)
			} else {
				serve(w, r)
			}
			if w.Code != c.status || w.Body.Len() == 0 || strings.Contains(w.Header().Get("Content-Type"), "event-stream") {
				t.Errorf("answered %d %v %q", w.Code, w.Header(), w.Body)
			}
		})
	}
	if started {
		t.Error("a refused request began a connection")
	}
}
