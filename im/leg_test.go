package im_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/hub"
	"example.com/h5im/im/imtest"
	"example.com/h5im/im/wire"
	"example.com/h5im/store/memory"
	"example.com/h5im/transport"
	"example.com/h5im/transport/poll"
	"example.com/h5im/transport/sse"
)

// httpClient is a peer that has no socket: its events come over SSE or by
// polling, its requests are POSTs of their own, to either of the servers.
type httpClient struct {
	t       testing.TB
	servers []*httptest.Server
	stop    context.CancelFunc
	ctx     context.Context
	token   string
	session string
	opened  wire.Incoming      // the answer to session.open
	events  chan wire.Incoming // closed at the end
	last    atomic.Int64
}

func serve(t testing.TB, srv http.Handler) *httptest.Server {
	s := httptest.NewServer(srv)
	t.Cleanup(s.Close)
	return s
}

// begin opens a session by "/events" or "/poll".
func begin(t testing.TB, path, token string, servers ...*httptest.Server) *httpClient {
	t.Helper()
	c := &httpClient{t: t, servers: servers, token: token, events: make(chan wire.Incoming, 100)}
	c.ctx, c.stop = context.WithCancel(context.Background())
	t.Cleanup(c.stop)
	answer := c.do(servers[0], http.MethodPost, path, open(token))
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s: %d %s", path, answer.StatusCode, b)
	}
	if path == "/events" {
		go c.stream(answer.Body)
	} else {
		b, err := io.ReadAll(answer.Body)
		must(t, err)
		c.take(b)
	}
	opened, ok := <-c.events
	if !ok {
		t.Fatal("the session ended at once")
	}
	var result wire.OpenResult
	if opened.Error == nil {
		must(t, wire.JSON.Decode(opened.Result, &result))
	}
	c.opened, c.session = opened, result.Session
	if path == "/poll" && opened.Error == nil {
		go c.poll()
	}
	return c
}

func open(token string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":0,"method":"session.open","params":{"appId":"test","device":"d","token":%q}}`, token)
}

func (c *httpClient) do(s *httptest.Server, method, path, body string) *http.Response {
	r, err := http.NewRequestWithContext(c.ctx, method, s.URL+path, strings.NewReader(body))
	must(c.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.token)
	if c.session != "" {
		r.Header.Set("Im-Session", c.session)
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		return &http.Response{StatusCode: 0, Body: io.NopCloser(strings.NewReader(err.Error()))}
	}
	return answer
}

// take notes the messages of a frame, and reports whether the session goes on.
func (c *httpClient) take(frame []byte) bool {
	list, err := wire.JSON.ParseServer(frame)
	if err != nil {
		c.t.Errorf("frame %.200q: %v", frame, err)
	}
	for _, m := range list {
		c.events <- m
		if m.Method == "close" {
			return false
		}
	}
	return true
}

func (c *httpClient) stream(body io.Reader) {
	defer close(c.events)
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok && !c.take(data) {
			return
		}
	}
}

// poll asks the servers in turn, as behind a load balancer.
func (c *httpClient) poll() {
	defer close(c.events)
	for i, ack := 0, 0; ; i++ {
		answer := c.do(c.servers[i%len(c.servers)], http.MethodGet, fmt.Sprintf("/poll?ack=%d", ack), "")
		b, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		switch {
		case answer.StatusCode == http.StatusNoContent:
			continue
		case answer.StatusCode != http.StatusOK || err != nil:
			return
		}
		var frame struct {
			Frame    int
			Messages json.RawMessage
		}
		if err := json.Unmarshal(b, &frame); err != nil || frame.Frame != ack+1 {
			c.t.Errorf("poll after %d: %s, %v", ack, b, err)
			return
		}
		ack = frame.Frame
		if !c.take(frame.Messages) {
			return
		}
	}
}

// post sends a frame to the session, or to the server of an index.
func (c *httpClient) post(server int, frame string) (status int, body []byte) {
	answer := c.do(c.servers[server], http.MethodPost, "/rpc", frame)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	must(c.t, err)
	return answer.StatusCode, b
}

func (c *httpClient) request(op string, params any) string {
	b, err := wire.JSON.AppendRequest(nil, wire.NumberID(c.last.Add(1)), op, params)
	must(c.t, err)
	return string(b)
}

// call runs an operation by the server of an index.
func (c *httpClient) call(server int, op string, params, result any) error {
	status, body := c.post(server, c.request(op, params))
	if status != http.StatusOK {
		return fmt.Errorf("%d %s", status, body)
	}
	list, err := wire.JSON.ParseServer(body)
	switch {
	case err != nil:
		return err
	case len(list) != 1:
		return fmt.Errorf("%d answers", len(list))
	case list[0].Error != nil:
		return im.ErrorFromWire(list[0].Error)
	case result == nil:
		return nil
	}
	return wire.JSON.Decode(list[0].Result, result)
}

// event waits for the next event of a name. Others are dropped.
func (c *httpClient) event(name string) wire.Incoming {
	c.t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		select {
		case m, ok := <-c.events:
			if m.Method == name {
				return m
			}
			if !ok {
				c.t.Fatalf("the end came instead of %s", name)
			}
		case <-timeout:
			c.t.Fatal("no event " + name)
		}
	}
}

// eachOneWay runs a test with each of the transports that have no socket.
func eachOneWay(t *testing.T, test func(t *testing.T, path string)) {
	for _, path := range []string{"/events", "/poll"} {
		t.Run(path, func(t *testing.T) { test(t, path) })
	}
}

func oneWay() []transport.Transport {
	return []transport.Transport{sse.New(nil), poll.New(&poll.Options{Gone: 2 * time.Second})}
}

func TestSessionsWithoutASocket(t *testing.T) { // [P107] [P109] [P113]
	eachOneWay(t, func(t *testing.T, path string) {
		srv := setup(t, im.Config{Transports: oneWay()})
		web := serve(t, srv)
		alice := begin(t, path, "alice", web)
		bob := srv.Connect("bob")

		t.Run("a send is answered in its POST, and is no event of its own session", func(t *testing.T) {
			var sent im.SendResult
			must(t, alice.call(0, "message.send", im.SendParams{To: im.ToUser("bob"), ClientID: "1", Content: im.Text("hello")}, &sent))
			if sent.Seq != 1 {
				t.Errorf("%+v", sent)
			}
			if e := bob.Event("message"); !bytes.Contains(e.Params, []byte("hello")) {
				t.Errorf("%s", e.Params)
			}
			send(t, bob, im.ToUser("alice"), "2", "hi")
			if e := alice.event("message"); !bytes.Contains(e.Params, []byte(`"hi"`)) {
				t.Errorf("%s", e.Params)
			}
		})
		t.Run("an array is answered by an array in its order, and takes effect in it", func(t *testing.T) {
			var requests []string
			for i := range 20 {
				requests = append(requests, alice.request("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: fmt.Sprint("b", i), Content: im.Text(fmt.Sprint(i))}))
			}
			requests = append(requests, alice.request("no.such", nil))
			status, body := alice.post(0, "["+strings.Join(requests, ",")+"]")
			list, err := wire.JSON.ParseServer(body)
			must(t, err)
			if status != http.StatusOK || len(list) != 21 || list[20].Error == nil {
				t.Fatalf("%d %s", status, body)
			}
			for i, m := range list[:20] {
				var sent im.SendResult
				must(t, wire.JSON.Decode(m.Result, &sent))
				if sent.Seq != int64(3+i) {
					t.Errorf("answer %d has the seq %d", i, sent.Seq)
				}
			}
		})
		t.Run("what is no frame is answered as over a socket", func(t *testing.T) {
			if status, body := alice.post(0, `{"jsonrpc"`); status != http.StatusOK || !bytes.Contains(body, []byte("parse_error")) {
				t.Errorf("%d %s", status, body)
			}
			if status, body := alice.post(0, `{"jsonrpc":"2.0","method":"ping"}`); status != http.StatusNoContent {
				t.Errorf("%d %s", status, body)
			}
		})
		t.Run("it may be renewed, by the same user alone", func(t *testing.T) {
			must(t, alice.call(0, "session.open", wire.OpenParams{AppID: "test", Device: "d", Token: "alice"}, nil))
			refused(t, alice.call(0, "session.open", wire.OpenParams{AppID: "test", Device: "d", Token: "bob"}, nil), im.ErrPermissionDenied)
		})
		t.Run("session.close is answered, and said at the end", func(t *testing.T) {
			must(t, alice.call(0, "session.close", nil, nil))
			if e := alice.event("close"); !bytes.Contains(e.Params, []byte("1000")) {
				t.Errorf("%s", e.Params)
			}
			if _, ok := <-alice.events; ok {
				t.Error("something came after the close")
			}
			if status, _ := alice.post(0, alice.request("ping", nil)); status != http.StatusNotFound {
				t.Errorf("a request after the end: %d", status)
			}
		})
	})
}

func TestSessionsWithoutASocketAreTheirOwners(t *testing.T) { // [P110]
	eachOneWay(t, func(t *testing.T, path string) {
		srv := setup(t, im.Config{Transports: oneWay()})
		web := serve(t, srv)
		alice := begin(t, path, "alice", web)
		mallory := begin(t, path, "mallory", web)
		mallory.session = alice.session
		for name, status := range map[string]int{
			"somebody else":   http.StatusNotFound,
			"no credentials":  http.StatusUnauthorized,
			"no such session": http.StatusNotFound,
			"a forged id":     http.StatusNotFound,
		} {
			c := &httpClient{t: t, servers: mallory.servers, ctx: mallory.ctx, token: mallory.token, session: mallory.session}
			switch name {
			case "no credentials":
				c.token = ""
			case "no such session":
				c.token, c.session = "alice", "nonsense"
			case "a forged id":
				c.token, c.session = "alice", alice.session[:len(alice.session)-2]+"AA"
			}
			if got, body := c.post(0, c.request("ping", nil)); got != status {
				t.Errorf("%s, POST: %d %s", name, got, body)
			}
			answer := c.do(web, http.MethodGet, path+"?ack=0", "")
			answer.Body.Close()
			if answer.StatusCode != status {
				t.Errorf("%s, GET: %d", name, answer.StatusCode)
			}
		}
		must(t, alice.call(0, "ping", nil, nil))
	})
}

func TestRefusedOpenEndsASessionWithoutASocket(t *testing.T) { // [P113]
	eachOneWay(t, func(t *testing.T, path string) {
		srv := setup(t, im.Config{Transports: oneWay()})
		c := begin(t, path, "", serve(t, srv))
		m := c.opened
		if m.Error == nil || m.Error.Data.Reason != "unauthenticated" || m.Error.Data.ServerTime == 0 {
			t.Errorf("%+v", m)
		}
		if path == "/events" {
			if e := c.event("close"); !bytes.Contains(e.Params, []byte("4100")) {
				t.Errorf("%s", e.Params)
			}
		}
	})
}

// A ping proves that what the server writes would still arrive.
func TestPingMakesASessionWithoutASocketBeat(t *testing.T) { // [P112]
	srv := setup(t, im.Config{Transports: oneWay()})
	web := serve(t, srv)
	t.Run("SSE", func(t *testing.T) {
		c := &httpClient{t: t, token: "alice", servers: []*httptest.Server{web}, events: make(chan wire.Incoming, 10)}
		c.ctx, c.stop = context.WithCancel(context.Background())
		defer c.stop()
		answer := c.do(web, http.MethodPost, "/events", open("alice"))
		defer answer.Body.Close()
		lines := bufio.NewReader(answer.Body)
		var opened wire.OpenResult
		for beats := 0; beats < 3; {
			line, err := lines.ReadBytes('\n')
			must(t, err)
			if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
				c.take(data)
				must(t, wire.JSON.Decode((<-c.events).Result, &opened))
				c.session = opened.Session
				must(t, c.call(0, "ping", nil, nil))
			}
			if line[0] == ':' {
				if beats++; beats > 1 && beats < 3 {
					must(t, c.call(0, "ping", nil, nil))
				}
			}
		}
	})
	t.Run("long poll", func(t *testing.T) {
		began := begin(t, "/poll", "alice", web)
		began.stop() // its own polling
		c := &httpClient{t: t, servers: began.servers, ctx: ctx, token: "alice", session: began.session}
		done := make(chan int)
		go func() {
			answer := c.do(web, http.MethodGet, "/poll?ack=0", "")
			answer.Body.Close()
			done <- answer.StatusCode
		}()
		must(t, c.call(0, "ping", nil, nil))
		select {
		case status := <-done:
			if status != http.StatusNoContent {
				t.Errorf("%d", status)
			}
		case <-time.After(20 * time.Second):
			t.Error("the poll still waits")
		}
	})
}

func TestDrainReachesSessionsWithoutASocket(t *testing.T) {
	eachOneWay(t, func(t *testing.T, path string) {
		srv := setup(t, im.Config{Transports: oneWay()})
		c := begin(t, path, "alice", serve(t, srv))
		must(t, srv.Shutdown(ctx))
		c.event("goaway")
		if e := c.event("close"); !bytes.Contains(e.Params, []byte("4000")) {
			t.Errorf("%s", e.Params)
		}
	})
}

func TestLegsFindTheirNode(t *testing.T) { // [P111]
	eachOneWay(t, func(t *testing.T, path string) {
		bus := hub.NewBus()
		s := memory.New(nil)
		defer s.Close()
		nodes := make([]*imtest.Server, 2)
		webs := make([]*httptest.Server, 2)
		for i := range nodes {
			nodes[i] = setup(t, im.Config{Transports: oneWay(), Store: s, Hub: bus.Hub(fmt.Sprint("node-", i))})
			webs[i] = serve(t, nodes[i])
		}
		alice := begin(t, path, "alice", webs...)
		bob := nodes[1].Connect("bob")
		for i := range 4 {
			var sent im.SendResult
			must(t, alice.call(i%2, "message.send", im.SendParams{To: im.ToUser("bob"), ClientID: fmt.Sprint(i), Content: im.Text("x")}, &sent))
			send(t, bob, im.ToUser("alice"), fmt.Sprint(i), "y")
			alice.event("message")
		}
		for range 4 {
			bob.Event("message")
		}
		t.Run("and nobody else's", func(t *testing.T) {
			mallory := begin(t, path, "mallory", webs...)
			mallory.session = alice.session
			for i := range 2 {
				if status, body := mallory.post(i, mallory.request("ping", nil)); status != http.StatusNotFound {
					t.Errorf("node %d: %d %s", i, status, body)
				}
			}
		})
		t.Run("a node that has gone is as good as no session", func(t *testing.T) {
			bus.Kill("node-0")
			if err := alice.call(1, "ping", nil, nil); err == nil || !strings.HasPrefix(err.Error(), "404") {
				t.Errorf("%v", err)
			}
		})
	})
}
