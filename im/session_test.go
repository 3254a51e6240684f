package im_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/transport"
)

// ended waits for the end of a connection and checks its close code.
func ended(t testing.TB, c *imtest.Client, code int) {
	t.Helper()
	var closed *transport.CloseError
	if err := c.Ended(); !errors.As(err, &closed) || closed.Code != code {
		t.Errorf("ended with %v, want code %d", err, code)
	}
}

func TestSessionOpen(t *testing.T) { // [P25] [P26] [P28] [P39] [P53]
	clock := imtest.NewClock(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
	srv := setup(t, im.Config{Now: clock.Now, Auth: im.AuthenticatorFunc(func(ctx context.Context, h *im.Handshake) (im.Identity, error) {
		switch h.Token {
		case "expired":
			return im.Identity{}, im.ErrTokenExpired
		case "too early":
			return im.Identity{}, im.ErrClockSkew
		case "late identity":
			return im.Identity{User: "alice", ExpiresAt: clock.Now().Add(-61 * time.Second)}, nil
		case "within the leeway":
			return im.Identity{User: "alice", ExpiresAt: clock.Now().Add(-59 * time.Second)}, nil
		case "database down":
			return im.Identity{}, errors.New("dial tcp 10.0.0.1: secret detail")
		case "panic":
			panic("in the host's code")
		case "nobody":
			return im.Identity{}, nil
		case "the host":
			return im.Identity{User: "system"}, nil
		}
		return imtest.TokenIsUser(ctx, h)
	})})
	for name, c := range map[string]struct {
		token string
		want  *im.Error
		time  bool // the refusal tells the server's time
	}{
		"no token":                             {"", im.ErrUnauthenticated, true},
		"expired":                              {"expired", im.ErrTokenExpired, true},
		"not valid yet":                        {"too early", im.ErrClockSkew, true},
		"an identity that has ended":           {"late identity", im.ErrTokenExpired, true},
		"an Authenticator that cannot tell":    {"database down", im.ErrInternal, false},
		"an Authenticator that panics":         {"panic", im.ErrInternal, false},
		"an Authenticator that names nobody":   {"nobody", im.ErrInternal, false},
		"an Authenticator that names the host": {"the host", im.ErrPermissionDenied, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := refused(t, srv.Dial(transport.JSON).Open(c.token, "d"), c.want)
			if c.time && !e.ServerTime.Equal(clock.Now()) {
				t.Errorf("server time %v, want %v", e.ServerTime, clock.Now())
			}
			if !c.time && e.Incident == "" {
				t.Error("an internal error has no incident")
			}
		})
	}
	t.Run("a minute of leeway", func(t *testing.T) {
		c := srv.Dial(transport.JSON)
		must(t, c.Open("within the leeway", "d"))
	})
	t.Run("another app", func(t *testing.T) {
		c := srv.Dial(transport.JSON)
		refused(t, c.Call("session.open", map[string]any{"appId": "other", "token": "alice", "device": "d"}, nil), im.ErrAppUnknown)
		must(t, c.Open("alice", "d")) // and the connection is still good
	})
	t.Run("a bearer token of another scheme is none", func(t *testing.T) {
		for header, want := range map[string]int{"Bearer alice": 200, "bEARER  alice": 200, "Basic alice": 401, "alice": 401, "Bearer": 401, "Bearer ": 401} {
			r := httptest.NewRequest(http.MethodPost, "/rpc", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", header)
			w := httptest.NewRecorder()
			if srv.ServeHTTP(w, r); w.Code != want {
				t.Errorf("%q: %d", header, w.Code)
			}
		}
	})
	t.Run("a bad device", func(t *testing.T) { // [P47]
		refused(t, srv.Dial(transport.JSON).Open("alice", "a device"), im.ErrInvalidArgument)
	})
	t.Run("nothing else is answered before it", func(t *testing.T) {
		c := srv.Dial(transport.JSON)
		for _, op := range []string{"ping", "sync", "session.close"} {
			refused(t, c.Call(op, nil, nil), im.ErrUnauthenticated)
		}
		refused(t, c.Call("sync", map[string]any{"limit": "params that nobody reads"}, nil), im.ErrUnauthenticated)
		refused(t, c.Call("no.such", nil, nil), im.ErrMethodNotFound)
		must(t, c.Open("alice", "d"))
		must(t, c.Call("ping", nil, nil))
		refused(t, c.Call("no.such", nil, nil), im.ErrMethodNotFound)
	})
	t.Run("session.close ends it after the answer", func(t *testing.T) { // [P54]
		c := srv.Dial(transport.JSON)
		must(t, c.Open("alice", "d"))
		must(t, c.Call("session.close", nil, nil))
		ended(t, c, transport.CloseNormal)
	})
	t.Run("what is sent in one breath with it belongs to the session", func(t *testing.T) {
		c := srv.Dial(transport.JSON)
		c.Raw([]byte(`[{"jsonrpc":"2.0","id":901,"method":"session.open","params":{"appId":"test","token":"alice","device":"d"}},
			{"jsonrpc":"2.0","id":902,"method":"sync"}]`))
		must(t, c.Await(901, nil))
		must(t, c.Await(902, nil))
	})
	t.Run("a session cannot change its user", func(t *testing.T) {
		c := srv.Connect("alice")
		refused(t, c.Open("bob", "d"), im.ErrPermissionDenied)
		must(t, c.Open("alice", "d"))
	})
	t.Run("a user has so many sessions and no more, and closing one makes room", func(t *testing.T) { // [P42]
		srv := setup(t, im.Config{Limits: im.Limits{SessionsPerUser: 2}})
		first := srv.Connect("alice")
		srv.Connect("alice")
		e := refused(t, srv.Dial(transport.JSON).Open("alice", "d"), im.ErrSessionLimit)
		if e.Max != 2 {
			t.Errorf("%+v", e)
		}
		must(t, first.Call("session.close", nil, nil))
		ended(t, first, transport.CloseNormal)
		srv.Connect("alice")
	})
}

func TestSessionTimes(t *testing.T) { // [P25] [P27]
	t.Run("15 s to open", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			begin := time.Now()
			c := srv.Dial(transport.JSON)
			ended(t, c, transport.CloseOpenTimeout)
			if took := time.Since(begin); took != 15*time.Second {
				t.Errorf("closed after %v", took)
			}
		})
	})
	t.Run("10 s for the Authenticator, and then the client tries again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Auth: im.AuthenticatorFunc(func(ctx context.Context, _ *im.Handshake) (im.Identity, error) {
				<-ctx.Done()
				return im.Identity{}, ctx.Err()
			})})
			begin := time.Now()
			refused(t, srv.Dial(transport.JSON).Open("alice", "d"), im.ErrUnavailable)
			if took := time.Since(begin); took != 10*time.Second {
				t.Errorf("refused after %v", took)
			}
		})
	})
	t.Run("credentials that end are asked for again, and the session ends 25 s later", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lives, begin := time.Minute, time.Now()
			var previous *im.Identity
			srv := setup(t, im.Config{Auth: im.AuthenticatorFunc(func(_ context.Context, h *im.Handshake) (im.Identity, error) {
				previous = h.Previous
				return im.Identity{User: "alice", ExpiresAt: time.Now().Add(lives)}, nil
			})})
			renewed, idle := srv.Connect("x"), srv.Connect("x")
			time.Sleep(lives)
			renewed.Event("reauth")
			idle.Event("reauth")
			time.Sleep(20 * time.Second)
			must(t, renewed.Open("new", "device"))
			if previous == nil || previous.User != "alice" {
				t.Errorf("the Authenticator saw no previous identity: %+v", previous)
			}
			ended(t, idle, transport.CloseExpired)
			if after := time.Since(begin); after != lives+25*time.Second {
				t.Errorf("it ended after %v", after)
			}
			time.Sleep(30 * time.Second)
			must(t, renewed.Call("ping", nil, nil))
		})
	})
}

// A cookie counts only where the request proves the server's own origin.
func TestCookies(t *testing.T) { // [P21] [P51]
	srv := setup(t, im.Config{
		AllowedOrigins: []string{"https://partner.example"},
		Auth: im.AuthenticatorFunc(func(_ context.Context, h *im.Handshake) (im.Identity, error) {
			c, err := h.Request.Cookie("sid")
			if h.Token != "" {
				if err == nil {
					return im.Identity{}, errors.New("a cookie that proves nothing was shown")
				}
				return im.Identity{User: h.Token}, nil
			}
			if err == nil {
				return im.Identity{User: c.Value}, nil
			}
			return im.Identity{}, im.ErrUnauthenticated
		}),
	})
	for name, c := range map[string]struct {
		origin, site, token string
		want                *im.Error
	}{
		"same origin":                        {"http://im.test", "", "", nil},
		"same origin by fetch metadata":      {"", "same-origin", "", nil},
		"no origin":                          {"", "", "", im.ErrPermissionDenied},
		"no origin, but a token":             {"", "", "alice", nil},
		"an allowed origin, without a token": {"https://partner.example", "", "", im.ErrPermissionDenied},
		"an allowed origin, with a token":    {"https://partner.example", "", "alice", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://im.test/pipe", nil)
			must(t, err)
			r.Header.Set("Cookie", "sid=carol")
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			if c.site != "" {
				r.Header.Set("Sec-Fetch-Site", c.site)
			}
			client := srv.DialRequest(r)
			err = client.Open(c.token, "d")
			if c.want == nil {
				must(t, err)
			} else {
				refused(t, err, c.want)
			}
		})
	}
}

// A middleware of the host's may have read the cookie long before the server
// takes it away, and left the visitor in the request's context.
func TestCookiesOfContext(t *testing.T) {
	type visitor struct{}
	who := func(ctx context.Context) string { v, _ := ctx.Value(visitor{}).(string); return v }
	srv := setup(t, im.Config{
		AllowedOrigins: []string{"https://partner.example"},
		Auth: im.AuthenticatorFunc(func(ctx context.Context, h *im.Handshake) (im.Identity, error) {
			if user := who(h.Request.Context()) + who(ctx); user != "" {
				return im.Identity{User: user}, nil
			}
			return imtest.TokenIsUser(ctx, h)
		}),
		Policy: im.PolicyFunc(func(ctx context.Context, id im.Identity, _ *im.Op) error {
			if who(ctx) != "" && id.User == "mallory" {
				return errors.New("the policy sees the visitor")
			}
			return nil
		}),
	})
	for origin, want := range map[string]string{"http://im.test": "carolcarol", "https://partner.example": "mallory"} {
		r, err := http.NewRequestWithContext(context.WithValue(t.Context(), visitor{}, "carol"), http.MethodGet, "http://im.test/pipe", nil)
		must(t, err)
		r.Header.Set("Cookie", "sid=carol")
		r.Header.Set("Origin", origin)
		var opened struct {
			User string `json:"user"`
		}
		c := srv.DialRequest(r)
		must(t, c.Call("session.open", map[string]any{"appId": "test", "token": "mallory", "device": "d"}, &opened))
		if opened.User != want {
			t.Errorf("from %s: %s", origin, opened.User)
		}
		must(t, c.Call("ping", nil, nil))

		r = httptest.NewRequestWithContext(context.WithValue(t.Context(), visitor{}, "carol"), http.MethodPost, "http://im.test/rpc",
			strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"conversation.create","params":{"kind":"group"}}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer mallory")
		r.Header.Set("Cookie", "sid=carol")
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), `"creator":"`+want+`"`) {
			t.Errorf("from %s: %s", origin, w.Body)
		}
	}
}

// An Authenticator need not ask whether there is a request.
func TestRenewalHasARequest(t *testing.T) {
	calls := 0
	srv := setup(t, im.Config{Auth: im.AuthenticatorFunc(func(ctx context.Context, h *im.Handshake) (im.Identity, error) {
		calls++
		if _, err := h.Request.Cookie("sid"); err == nil || h.Request.URL.Query().Has("x") || h.Request.Context() == nil {
			return im.Identity{}, errors.New("there is a cookie")
		}
		if (h.Previous != nil) != (calls > 1) {
			return im.Identity{}, errors.New("a renewal tells whom it renews")
		}
		return imtest.TokenIsUser(ctx, h)
	})})
	alice := srv.Connect("alice")
	must(t, alice.Open("alice", "device"))
	must(t, alice.Call("ping", nil, nil))
}

// An Authenticator that lets anyone in does so for the host's own pages only.
func TestOriginsOfVisitors(t *testing.T) {
	srv := setup(t, im.Config{
		AllowedOrigins: []string{"https://partner.example"},
		Auth: im.AuthenticatorFunc(func(context.Context, *im.Handshake) (im.Identity, error) {
			return im.Identity{User: "visitor"}, nil
		}),
	})
	from := func(origin string) *http.Request {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://im.test/pipe", nil)
		r.Header.Set("Origin", origin)
		return r
	}
	must(t, srv.DialRequest(from("http://im.test")).Open("", "d"))
	must(t, srv.Dial(transport.JSON).Open("", "d")) // no browser
	refused(t, srv.DialRequest(from("https://partner.example")).Open("", "d"), im.ErrUnauthenticated)
	w := httptest.NewRecorder()
	if srv.ServeHTTP(w, from("https://foreign.example")); w.Code != http.StatusForbidden {
		t.Errorf("a foreign page is answered %d", w.Code)
	}
}

func TestBatchRunsInOrder(t *testing.T) {
	srv := setup(t, im.Config{})
	c := srv.Connect("alice")
	batch := "["
	for i := range 64 {
		if i > 0 {
			batch += ","
		}
		batch += fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"message.send","params":{"to":"peer%d","clientId":"c%d","content":"x"}}`, 1000+i, i%3, i)
	}
	c.Raw([]byte(batch + "]"))
	last := map[string]int64{}
	for i := range 64 {
		var r im.SendResult
		must(t, c.Await(int64(1000+i), &r))
		if r.Seq != last[r.Conversation]+1 {
			t.Errorf("request %d has seq %d after %d", i, r.Seq, last[r.Conversation])
		}
		last[r.Conversation] = r.Seq
	}
	c.Raw([]byte(batch + `,{"jsonrpc":"2.0","id":9999,"method":"ping"}]`))
	if err := c.Stray(); err == nil {
		t.Error("a batch of 65 was taken")
	}
	t.Run("what is wrong with one of them is answered to that one", func(t *testing.T) { // [P106]
		c.Raw([]byte(`[{"jsonrpc":"1.0","id":2001,"method":"ping"},{"jsonrpc":"2.0","method":"ping"},{"jsonrpc":"2.0","id":2002,"method":"no.such"},` +
			`{"jsonrpc":"2.0","id":2003,"method":"user.get","params":{"users":5}},17,{"jsonrpc":"2.0","id":2004,"method":"ping"}]`))
		for id, reason := range map[int64]string{2001: "invalid_request", 2002: "method_not_found", 2003: "invalid_argument"} {
			var e *im.Error
			if err := c.Await(id, nil); !errors.As(err, &e) || e.Reason != reason {
				t.Errorf("request %d: %v", id, err)
			}
		}
		must(t, c.Await(2004, nil))
		var e *im.Error
		if err := c.Stray(); !errors.As(err, &e) || e.Reason != "invalid_request" {
			t.Errorf("what is no request: %v", err)
		}
	})
}
