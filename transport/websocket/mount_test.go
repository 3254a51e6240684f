package websocket_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"example.com/h5im/transport"
	"example.com/h5im/transport/transporttest"
	"example.com/h5im/transport/websocket"
)

// echo serves the transport and sends every message back.
func echo(limits transport.Limits) http.Handler {
	tr := websocket.New(nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = tr.Serve(w, r, limits, func(c transport.Conn) {
			go func() {
				for {
					msg, err := c.Read()
					if err != nil || c.Write([]transport.Prepared{c.Prepare(msg)}) != nil {
						return
					}
				}
			}()
		})
	})
}

var patient = transport.Limits{WriteTimeout: time.Minute}

func wantEcho(t *testing.T, c *rawClient) {
	t.Helper()
	if err := c.send(text("hello")); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Read(); err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
}

// plain hides everything but the three methods of a ResponseWriter.
type plain struct{ http.ResponseWriter }

// wrapped is middleware's ResponseWriter as it should be.
type wrapped struct {
	plain
	status int
}

func (w *wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }
func (w *wrapped) WriteHeader(status int)      { w.status = status; w.ResponseWriter.WriteHeader(status) }

// failing and panicking are ResponseWriters as they are found.
type failing struct{ plain }

func (failing) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("cannot: " + http.ErrNotSupported.Error())
}

type panicking struct{ plain }

func (p panicking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return p.ResponseWriter.(http.Hijacker).Hijack()
}

// hurried leaves a deadline on the connection.
type hurried struct{ plain }

func (h hurried) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(100 * time.Millisecond))
	}
	return conn, rw, err
}

func TestMounted(t *testing.T) {
	wrap := func(h http.Handler, f func(http.ResponseWriter) http.ResponseWriter) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(f(w), r) })
	}
	unwrapping := func(w http.ResponseWriter) http.ResponseWriter { return &wrapped{plain: plain{w}} }

	stripped := http.NewServeMux()
	stripped.Handle("/", http.StripPrefix("", echo(patient)))
	for name, h := range map[string]http.Handler{
		"bare":                    echo(patient),
		"under http.StripPrefix":  stripped,
		"behind Unwrap":           wrap(echo(patient), unwrapping),
		"behind Unwrap and again": wrap(wrap(echo(patient), unwrapping), unwrapping),
		"behind a logger and a recoverer": wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("panic: %v", p)
				}
			}()
			echo(patient).ServeHTTP(w, r)
			if w.(*wrapped).status != 0 {
				t.Errorf("the log has status %d", w.(*wrapped).status)
			}
		}), unwrapping),
	} {
		t.Run("it works "+name, func(t *testing.T) {
			c := newRawClient(t, listen(t, h)(), transport.JSON)
			defer c.Vanish()
			wantEcho(t, c)
		})
	}

	t.Run("headers of middleware are in the answer", func(t *testing.T) {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.SetCookie(w, &http.Cookie{Name: "seen", Value: "1"})
			w.Header().Set("Content-Type", "application/json")
			echo(patient).ServeHTTP(w, r)
		})
		answer, _ := get(t, h, nil)
		if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Set-Cookie") != "seen=1" || answer.Header.Get("Content-Type") != "" {
			t.Errorf("headers: %v", answer.Header)
		}
	})

	for name, h := range map[string]http.Handler{
		"http.TimeoutHandler":                  http.TimeoutHandler(echo(patient), time.Minute, "late"),
		"a ResponseWriter without Unwrap":      wrap(echo(patient), func(w http.ResponseWriter) http.ResponseWriter { return plain{w} }),
		"a Hijack that fails":                  wrap(echo(patient), func(w http.ResponseWriter) http.ResponseWriter { return failing{plain{w}} }),
		"a Hijack that panics":                 wrap(echo(patient), func(w http.ResponseWriter) http.ResponseWriter { return panicking{plain{plain{w}}} }),
		"Unwrap around http.TimeoutHandler":    http.TimeoutHandler(wrap(echo(patient), unwrapping), time.Minute, "late"),
		"http.TimeoutHandler in a StripPrefix": http.StripPrefix("", http.TimeoutHandler(echo(patient), time.Minute, "late")),
	} {
		t.Run("501 explains "+name, func(t *testing.T) {
			answer, body := get(t, h, nil)
			if answer.StatusCode != http.StatusNotImplemented || !contains(body, "TimeoutHandler", "Unwrap") {
				t.Errorf("%d %s", answer.StatusCode, body)
			}
		})
	}

	t.Run("timeouts of the host's server do not end the connection", func(t *testing.T) {
		const short = 100 * time.Millisecond
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: echo(patient), ReadTimeout: short, WriteTimeout: short, IdleTimeout: short, ReadHeaderTimeout: short}
		go srv.Serve(l)
		defer srv.Close()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c := newRawClient(t, conn, transport.JSON)
		defer c.Vanish()
		for range 4 {
			<-time.After(short)
			wantEcho(t, c)
		}
	})

	t.Run("a deadline that middleware set does not end the connection", func(t *testing.T) {
		h := wrap(echo(patient), func(w http.ResponseWriter) http.ResponseWriter { return hurried{plain{w}} })
		c := newRawClient(t, listen(t, h)(), transport.JSON)
		defer c.Vanish()
		<-time.After(200 * time.Millisecond)
		wantEcho(t, c)
	})
}

// get sends a handshake, changed by edit, and returns its refusal.
func get(t *testing.T, h http.Handler, edit func(*http.Request)) (*http.Response, string) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		r.Header.Set(name, value)
	}
	if edit != nil {
		edit(r)
	}
	answer, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer, ""
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		edit   func(*http.Request)
		status int
		says   []string
		header [2]string
	}{
		"a plain GET": {func(r *http.Request) { r.Header = http.Header{} }, 426, []string{"Upgrade"}, [2]string{"Upgrade", "websocket"}},
		"an upgrade to something else": {func(r *http.Request) { r.Header.Set("Upgrade", "h2c") }, 426, []string{"Upgrade"},
			[2]string{"Upgrade", "websocket"}},
		"a POST": {func(r *http.Request) { r.Method = http.MethodPost }, 405, []string{"GET"}, [2]string{"Allow", "GET"}},
		"an old version": {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, 426, []string{"13"},
			[2]string{"Sec-Websocket-Version", "13"}},
		"no key":      {func(r *http.Request) { r.Header.Del("Sec-WebSocket-Key") }, 400, []string{"Sec-WebSocket-Key"}, [2]string{}},
		"a short key": {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "AAAA") }, 400, []string{"Sec-WebSocket-Key"}, [2]string{}},
		"two keys":    {func(r *http.Request) { r.Header.Add("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==") }, 400, []string{"once"}, [2]string{}},
		"an unknown subprotocol": {func(r *http.Request) { r.Header.Set("Sec-WebSocket-Protocol", "im.v9.json, chat") }, 400,
			[]string{"im.v1.json", "im.v1.msgpack"}, [2]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			answer, body := get(t, echo(patient), c.edit)
			if answer.StatusCode != c.status || !contains(body, c.says...) {
				t.Errorf("%d %s", answer.StatusCode, body)
			}
			if got := answer.Header.Get(c.header[0]); got != c.header[1] {
				t.Errorf("%s is %q", c.header[0], got)
			}
		})
	}

	t.Run("HTTP/2 is 501", func(t *testing.T) {
		srv := httptest.NewUnstartedServer(echo(patient))
		srv.EnableHTTP2 = true
		srv.StartTLS()
		defer srv.Close()
		answer, err := srv.Client().Get(srv.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusNotImplemented || !contains(string(body), "HTTP/1.1", "HTTP/2") {
			t.Errorf("%d %s", answer.StatusCode, body)
		}
	})
}

func TestSubprotocol(t *testing.T) {
	for offered, want := range map[string]string{
		"":                            "",
		"im.v1.json":                  "im.v1.json",
		"im.v1.msgpack":               "im.v1.msgpack",
		"chat, im.v1.msgpack":         "im.v1.msgpack",
		"im.v1.msgpack,im.v1.json":    "im.v1.msgpack",
		"im.v1.json, im.v1.msgpack":   "im.v1.json",
		"bearer.abc.def , im.v1.json": "im.v1.json",
	} {
		t.Run("offered "+offered, func(t *testing.T) {
			answer, _ := get(t, echo(patient), func(r *http.Request) {
				if offered != "" {
					r.Header.Set("Sec-WebSocket-Protocol", offered)
				}
			})
			answer.Body.Close()
			if got := answer.Header.Get("Sec-WebSocket-Protocol"); answer.StatusCode != 101 || got != want {
				t.Errorf("%d %q", answer.StatusCode, got)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	certificate.Close()
	config := &tls.Config{Certificates: certificate.TLS.Certificates}
	transporttest.Run(t, transporttest.Harness{
		Transport: websocket.New(nil),
		Listen: func(t testing.TB, h http.Handler) func(transport.Format) transporttest.Client {
			l, err := tls.Listen("tcp", "127.0.0.1:0", config)
			if err != nil {
				t.Fatal(err)
			}
			serve(t, h, l)
			return func(format transport.Format) transporttest.Client {
				conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					t.Fatal(err)
				}
				return newRawClient(t, conn, format)
			}
		},
	})
}
