package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const partner = "https://partner.example"

// bed is a running site with a chat.
type bed struct {
	t    testing.TB
	site *site
	url  string
	ago  atomic.Int64 // how far the clock is ahead, in nanoseconds
}

func setup(t testing.TB) *bed {
	b := &bed{t: t}
	b.site = newSite(func() time.Time { return time.Now().Add(time.Duration(b.ago.Load())) })
	chat, err := newChat(b.site, t.TempDir(), partner)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(routes(b.site, chat))
	b.url = web.URL
	t.Cleanup(func() {
		if err := chat.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	return b
}

// signIn returns the cookie header of a user.
func (b *bed) signIn(id string) string {
	b.t.Helper()
	form := url.Values{"user": {id}, "password": {b.site.users[id].password}}
	resp := b.do(http.MethodPost, "/login", form.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	if resp.StatusCode != http.StatusSeeOther || len(resp.Cookies()) != 1 {
		b.t.Fatalf("login: %s", resp.Status)
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
		b.t.Fatalf("the cookie is %v", c)
	}
	return c.Name + "=" + c.Value
}

func (b *bed) do(method, path, body string, header http.Header) *http.Response {
	b.t.Helper()
	req, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header = header
	resp, err := http.DefaultTransport.RoundTrip(req) // no redirects
	if err != nil {
		b.t.Fatal(err)
	}
	read, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(read))
	return resp
}

func (b *bed) token(cookie string) string {
	b.t.Helper()
	resp := b.do(http.MethodPost, "/chat-token", "", http.Header{"Cookie": {cookie}})
	var out struct{ Token string }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.Token == "" {
		b.t.Fatalf("token: %s, %v", resp.Status, err)
	}
	return out.Token
}

// rpc is one POST /im/rpc. header may name Cookie, Authorization, Origin.
func (b *bed) rpc(header http.Header, method string, params any) (int, answer, http.Header) {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		b.t.Fatal(err)
	}
	header = header.Clone()
	header.Set("Content-Type", "application/json")
	resp := b.do(http.MethodPost, "/im/rpc", string(body), header)
	var a answer
	_ = json.NewDecoder(resp.Body).Decode(&a)
	return resp.StatusCode, a, resp.Header
}

func message(to, id string) map[string]any {
	return map[string]any{"to": to, "clientId": id, "content": "hello"}
}

func TestCookie(t *testing.T) {
	b := setup(t)
	cookie := b.signIn("ines")
	own := http.Header{"Cookie": {cookie}, "Origin": {b.url}}

	t.Run("the site's own pages call with the cookie", func(t *testing.T) {
		status, a, _ := b.rpc(own, "message.send", message("joon", "c1"))
		if status != http.StatusOK || a.Error != nil {
			t.Fatalf("%d, %s", status, a.reason())
		}
	})
	t.Run("the site's own pages connect with the cookie", func(t *testing.T) {
		s, resp := dial(t, b.url, own)
		if s == nil {
			t.Fatal(resp.Status)
		}
		a := s.call("session.open", map[string]any{"appId": "site", "device": "d1"})
		if a.Error != nil || !strings.Contains(string(a.Result), `"user":"ines"`) {
			t.Fatalf("%s %s", a.Result, a.reason())
		}
	})
	t.Run("an unlisted origin may neither call nor connect, cookie or not", func(t *testing.T) {
		foreign := http.Header{"Cookie": {cookie}, "Origin": {"https://evil.example"}}
		if status, _, _ := b.rpc(foreign, "sync", nil); status != http.StatusForbidden {
			t.Errorf("rpc: %d", status)
		}
		if s, resp := dial(t, b.url, foreign); s != nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("ws: %s", resp.Status)
		}
	})
	t.Run("a listed origin may not use the cookie either", func(t *testing.T) {
		listed := http.Header{"Cookie": {cookie}, "Origin": {partner}}
		if status, a, _ := b.rpc(listed, "sync", nil); status != http.StatusForbidden || a.reason() != "permission_denied" {
			t.Errorf("rpc: %d %s", status, a.reason())
		}
		s, resp := dial(t, b.url, listed)
		if s == nil {
			t.Fatal(resp.Status)
		}
		if a := s.call("session.open", map[string]any{"appId": "site", "device": "d1"}); a.Error == nil {
			t.Errorf("ws: opened as %s", a.Result)
		}
	})
	t.Run("a cookie that says nothing of where it comes from does not count", func(t *testing.T) {
		if status, a, _ := b.rpc(http.Header{"Cookie": {cookie}}, "sync", nil); status != http.StatusForbidden {
			t.Errorf("%d %s", status, a.reason())
		}
	})
	t.Run("after the sign-out the cookie is nobody's", func(t *testing.T) {
		if resp := b.do(http.MethodPost, "/logout", "", http.Header{"Cookie": {cookie}}); resp.StatusCode != http.StatusSeeOther {
			t.Fatal(resp.Status)
		}
		if status, a, _ := b.rpc(own, "sync", nil); status != http.StatusUnauthorized || a.reason() != "unauthenticated" {
			t.Errorf("rpc: %d %s", status, a.reason())
		}
		if resp := b.do(http.MethodPost, "/chat-token", "", own); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("token: %s", resp.Status)
		}
	})
	t.Run("another site cannot sign somebody in or out", func(t *testing.T) {
		evil := http.Header{"Cookie": {b.signIn("joon")}, "Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}
		for _, path := range []string{"/login", "/logout", "/chat-token"} {
			if resp := b.do(http.MethodPost, path, "", evil); resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}
	})
}

func TestToken(t *testing.T) {
	b := setup(t)
	token := b.token(b.signIn("ines"))
	cross := http.Header{"Authorization": {"Bearer " + token}, "Origin": {partner}}

	t.Run("a preflight of a listed origin is answered, without credentials", func(t *testing.T) {
		resp := b.do(http.MethodOptions, "/im/rpc", "", http.Header{
			"Origin": {partner}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization,content-type"},
		})
		h := resp.Header
		allowed := strings.ToLower(h.Get("Access-Control-Allow-Headers"))
		if resp.StatusCode != http.StatusNoContent || h.Get("Access-Control-Allow-Origin") != partner ||
			!strings.Contains(allowed, "authorization") || !strings.Contains(allowed, "content-type") ||
			h.Get("Access-Control-Allow-Credentials") != "" {
			t.Fatalf("%s %v", resp.Status, h)
		}
	})
	t.Run("a preflight of another origin is refused", func(t *testing.T) {
		resp := b.do(http.MethodOptions, "/im/rpc", "", http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}})
		if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Fatalf("%s %v", resp.Status, resp.Header)
		}
	})
	t.Run("a page of a listed origin calls with the token", func(t *testing.T) {
		status, a, h := b.rpc(cross, "message.send", message("joon", "t1"))
		if status != http.StatusOK || a.Error != nil || h.Get("Access-Control-Allow-Origin") != partner || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Fatalf("%d %s %v", status, a.reason(), h)
		}
	})
	t.Run("a page of a listed origin connects with the token", func(t *testing.T) {
		s, resp := dial(t, b.url, http.Header{"Origin": {partner}})
		if s == nil {
			t.Fatal(resp.Status)
		}
		a := s.call("session.open", map[string]any{"appId": "site", "device": "d1", "token": token})
		if !strings.Contains(string(a.Result), `"user":"ines"`) {
			t.Fatalf("%s %s", a.Result, a.reason())
		}
	})
	t.Run("a token from the future and one that has expired say so, with the server's time", func(t *testing.T) {
		defer b.ago.Store(0)
		for ahead, want := range map[time.Duration]string{-2 * time.Minute: "clock_skew", 17 * time.Minute: "token_expired"} {
			b.ago.Store(int64(ahead))
			status, a, _ := b.rpc(cross, "sync", nil)
			if status != http.StatusUnauthorized || a.reason() != want || a.Error.Data.ServerTime == 0 {
				t.Errorf("%v ahead: %d %s", ahead, status, a.reason())
			}
		}
	})
	t.Run("who is unknown to the site cannot be written to", func(t *testing.T) {
		if _, a, _ := b.rpc(cross, "message.send", message("nobody", "t2")); a.reason() != "not_found" {
			t.Errorf("%q", a.reason())
		}
	})
}

func TestPolicy(t *testing.T) {
	b := setup(t)
	if _, a, _ := b.rpc(http.Header{"Authorization": {"Bearer " + b.token(b.signIn("ines"))}}, "message.send", message("olga", "p1")); a.Error != nil {
		t.Fatal(a.reason())
	}
	olga := http.Header{"Authorization": {"Bearer " + b.token(b.signIn("olga"))}}

	t.Run("a suspended user reads", func(t *testing.T) {
		if _, a, _ := b.rpc(olga, "sync", nil); a.Error != nil || !strings.Contains(string(a.Result), `"hello"`) {
			t.Fatalf("%s %s", a.Result, a.reason())
		}
	})
	t.Run("a suspended user writes nothing", func(t *testing.T) {
		group := map[string]any{"kind": "group", "title": "x", "members": []string{"ines"}}
		for method, params := range map[string]any{"message.send": message("ines", "p2"), "conversation.create": group} {
			if _, a, _ := b.rpc(olga, method, params); a.reason() != "permission_denied" {
				t.Errorf("%s: %q", method, a.reason())
			}
		}
	})
}

func TestSite(t *testing.T) {
	b := setup(t)
	t.Run("a wrong password opens nothing", func(t *testing.T) {
		for _, id := range []string{"ines", "nobody", ""} {
			form := url.Values{"user": {id}, "password": {""}}
			resp := b.do(http.MethodPost, "/login", form.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
			if resp.StatusCode != http.StatusUnauthorized || len(resp.Cookies()) != 0 {
				t.Errorf("%q: %s", id, resp.Status)
			}
		}
	})
	t.Run("the page of who is signed in has the chat", func(t *testing.T) {
		resp := b.do(http.MethodGet, "/", "", http.Header{"Cookie": {b.signIn("joon")}})
		page, _ := io.ReadAll(resp.Body)
		if !strings.Contains(string(page), "박준") || !strings.Contains(string(page), "/im/sdk/h5-im-sdk.js") {
			t.Fatalf("%s", page)
		}
	})
	t.Run("a session ends by itself", func(t *testing.T) {
		cookie := b.signIn("joon")
		b.ago.Store(int64(sessionTTL + time.Minute))
		defer b.ago.Store(0)
		if resp := b.do(http.MethodPost, "/chat-token", "", http.Header{"Cookie": {cookie}}); resp.StatusCode != http.StatusUnauthorized {
			t.Fatal(resp.Status)
		}
	})
}
