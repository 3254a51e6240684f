package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/h5im/examples/internal/token"
	"example.com/h5im/im"
	"example.com/h5im/store/memory"
)

// bed is a shop, and its visitors.
type bed struct {
	t    *testing.T
	shop *shop
	http.Handler
}

func setup(t *testing.T) *bed {
	kept := memory.New(nil)
	s := &shop{guests: token.Signer{Key: token.NewKey(), TTL: time.Hour}, staff: "staff"}
	srv, err := s.chat(kept)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
		_ = kept.Close()
	})
	return &bed{t, s, s.routes(srv)}
}

// visit opens the page and returns the cookie: a new one, or that which was brought.
func (b *bed) visit(cookie string) string {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", cookie)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if set := w.Result().Cookies(); len(set) > 0 {
		c := set[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			b.t.Errorf("%+v", c)
		}
		return c.Name + "=" + c.Value
	}
	return cookie
}

// call returns the result, or the reason of the error.
func (b *bed) call(cookie, bearer, method string, params any) (result json.RawMessage, reason string) {
	b.t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		b.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "http://shop.example/im/rpc", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "http://shop.example")
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  struct {
			Data struct {
				Reason string `json:"reason"`
			} `json:"data"`
		} `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		b.t.Fatalf("%s: %s", w.Body, err)
	}
	return answer.Result, answer.Error.Data.Reason
}

func write(to, id string) map[string]any {
	return map[string]any{"to": to, "clientId": id, "content": "hello"}
}

func TestAGuestWritesToTheDeskAndToNobodyElse(t *testing.T) {
	b := setup(t)
	one, other := b.visit(""), b.visit("")
	if one == other || one == "" {
		t.Fatalf("two visitors: %q, %q", one, other)
	}
	if again := b.visit(one); again != one {
		t.Error("a reload makes another guest of him")
	}
	if _, reason := b.call(one, "", "message.send", write(desk, "c1")); reason != "" {
		t.Fatal(reason)
	}
	rows, _ := b.call("", "staff", "sync", map[string]any{})
	var page struct {
		Conversations []struct{ ID, Peer string } `json:"conversations"`
	}
	if err := json.Unmarshal(rows, &page); err != nil || len(page.Conversations) != 1 || !strings.HasPrefix(page.Conversations[0].Peer, "guest_") {
		t.Fatalf("the desk sees %s", rows)
	}
	guest, conversation := page.Conversations[0].Peer, page.Conversations[0].ID
	if _, reason := b.call("", "staff", "message.send", write(guest, "c2")); reason != "" {
		t.Errorf("the desk answers: %s", reason)
	}
	if list, reason := b.call(one, "", "message.list", map[string]any{"conversation": conversation}); reason != "" || strings.Count(string(list), `"hello"`) != 2 {
		t.Errorf("%s %s", list, reason)
	}
	for name, c := range map[string]struct {
		cookie, method string
		params         any
		want           string
	}{
		"another guest reads it":            {other, "message.list", map[string]any{"conversation": conversation}, "not_found"},
		"another guest writes into it":      {other, "message.send", map[string]any{"to": map[string]string{"conversation": conversation}, "clientId": "x", "content": "x"}, "permission_denied"},
		"a guest writes to a guest":         {other, "message.send", write(guest, "x2"), "permission_denied"},
		"a guest writes to a user":          {one, "message.send", write("alice", "x3"), "permission_denied"},
		"a guest makes a group":             {one, "conversation.create", map[string]any{"kind": "group", "members": []string{desk}}, "permission_denied"},
		"a guest lists his devices":         {one, "session.list", map[string]any{}, "permission_denied"},
		"a forged cookie":                   {one[:len(one)-2] + "AA", "sync", map[string]any{}, "unauthenticated"},
		"no cookie":                         {"", "sync", map[string]any{}, "unauthenticated"},
		"the desk's name without its token": {sign(t, b.shop, desk), "sync", map[string]any{}, "unauthenticated"},
	} {
		if result, reason := b.call(c.cookie, "", c.method, c.params); reason != c.want {
			t.Errorf("%s: %q, %s", name, reason, result)
		}
	}
	if _, reason := b.call("", "wrong", "sync", map[string]any{}); reason != "unauthenticated" {
		t.Errorf("another token: %q", reason)
	}
}

// sign makes a cookie of any user, as a mistake of the shop's might.
func sign(t *testing.T, s *shop, user string) string {
	signed, _, err := s.guests.Sign(user)
	if err != nil {
		t.Fatal(err)
	}
	return "guest=" + signed
}

func TestAGuestOfLongAgoIsAnother(t *testing.T) {
	b := setup(t)
	now := time.Now()
	b.shop.guests.Now = func() time.Time { return now }
	cookie := b.visit("")
	now = now.Add(2 * time.Hour)
	if _, reason := b.call(cookie, "", "sync", map[string]any{}); reason != im.ErrTokenExpired.Reason {
		t.Errorf("%q", reason)
	}
	if again := b.visit(cookie); again == cookie {
		t.Error("he keeps a cookie that is no good")
	}
}
