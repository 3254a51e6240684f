package pipe_test

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
	"example.com/h5im/transport/pipe"
	"example.com/h5im/transport/transporttest"
)

type client struct{ *pipe.Peer }

func (c client) Write(format transport.Format, payload []byte) error {
	return c.WriteFrame(format, payload)
}

func request(t testing.TB, path string, format transport.Format) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-WebSocket-Protocol", format.Subprotocol())
	return r
}

func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Harness{
		Transport: pipe.Transport{},
		Listen: func(t testing.TB, h http.Handler) func(transport.Format) transporttest.Client {
			return func(format transport.Format) transporttest.Client {
				peer, _, err := pipe.Transport{}.Dial(h, request(t, "/pipe", format))
				if err != nil {
					t.Fatal(err)
				}
				return client{peer}
			}
		},
	})
}

func TestDial(t *testing.T) {
	serve := func(start func(transport.Conn)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = pipe.Transport{}.Serve(w, r, transport.Limits{}, start)
		})
	}
	echo := func(c transport.Conn) {
		go func() {
			for {
				b, err := c.Read()
				if err != nil || c.Write([]transport.Prepared{c.Prepare(b)}) != nil {
					return
				}
			}
		}()
	}

	t.Run("a request goes through the whole handler chain", func(t *testing.T) {
		mux := http.NewServeMux()
		mux.Handle("/im/", http.StripPrefix("/im", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Path", r.URL.Path)
			serve(echo).ServeHTTP(w, r)
		})))
		peer, answer, err := pipe.Transport{}.Dial(mux, request(t, "/im/pipe", transport.JSON))
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close(transport.CloseNormal, "")
		if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("X-Path") != "/pipe" {
			t.Errorf("answer %d %v", answer.StatusCode, answer.Header)
		}
		if err := peer.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if got, err := peer.Read(); err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
	})

	t.Run("a refusal comes back with its body", func(t *testing.T) {
		for name, h := range map[string]http.Handler{
			"the handler's":      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "go away", http.StatusForbidden) }),
			"of the subprotocol": serve(echo),
		} {
			r := request(t, "/pipe", transport.JSON)
			r.Header.Set("Sec-WebSocket-Protocol", "im.v99.xml")
			peer, answer, err := pipe.Transport{}.Dial(h, r)
			if peer != nil || err == nil || answer.StatusCode/100 != 4 {
				t.Fatalf("%s: %v, %v, %v", name, peer, answer, err)
			}
			if body, _ := io.ReadAll(answer.Body); len(body) == 0 {
				t.Errorf("%s: no body", name)
			}
		}
	})

	t.Run("a request that nobody dialed is 501", func(t *testing.T) {
		w := &responseWriter{header: http.Header{}}
		serve(echo).ServeHTTP(w, request(t, "/pipe", transport.JSON))
		if w.status != http.StatusNotImplemented || !strings.Contains(w.body.String(), "in memory") {
			t.Errorf("%d %q", w.status, &w.body)
		}
	})
}

type responseWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *responseWriter) Header() http.Header         { return w.header }
func (w *responseWriter) WriteHeader(status int)      { w.status = status }
func (w *responseWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

func TestWriteTimeout(t *testing.T) {
	t.Run("a Write that waits for its peer ends at the timeout, in a bubble too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			peer, c := pipe.New(transport.JSON, transport.Limits{WriteTimeout: 10 * time.Second})
			msg := c.Prepare(make([]byte, 40<<10))
			if err := c.Write([]transport.Prepared{msg}); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			if err := c.Write([]transport.Prepared{msg}); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write: %v", err)
			}
			if d := time.Since(begin); d != 10*time.Second {
				t.Errorf("after %v", d)
			}
			if got, err := peer.Read(); err != nil || len(got) != 40<<10 {
				t.Errorf("the peer got %d bytes, %v", len(got), err)
			}
			var told *transport.CloseError
			if _, err := peer.Read(); !errors.As(err, &told) || told.Code != transport.CloseSlow {
				t.Errorf("the peer was told %v", err)
			}
		})
	})
}
