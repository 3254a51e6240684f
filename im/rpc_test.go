package im_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/transport/websocket"
)

func TestPOST(t *testing.T) { // [P18] [P19] [P20] [P22] [P23] [P24] [P106]
	srv := setup(t, im.Config{Transports: []im.Transport{websocket.New(nil)}, AllowedOrigins: []string{"https://partner.example"}, Limits: im.Limits{FrameBytes: 4096}})
	const ping = `{"jsonrpc":"2.0","id":"a","method":"ping"}`
	do := func(method, path, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://im.test"+path, strings.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		return w
	}
	const media, bearer = "Content-Type", "Authorization"
	for name, c := range map[string]struct {
		response *httptest.ResponseRecorder
		status   int
		contains string
	}{
		"a request":               {do("POST", "/rpc", ping, media, "application/json; charset=utf-8", bearer, "Bearer alice"), 200, `"id":"a","result":{"serverTime"`},
		"a batch":                 {do("POST", "/rpc", "["+ping+","+ping+"]", media, "application/json", bearer, "bearer alice"), 200, `[{"jsonrpc"`},
		"a notification":          {do("POST", "/rpc", `{"jsonrpc":"2.0","method":"ping"}`, media, "application/json", bearer, "Bearer alice"), 204, ""},
		"malformed JSON":          {do("POST", "/rpc", `{"jsonrpc":`, media, "application/json", bearer, "Bearer alice"), 200, `"code":-32700`},
		"an unknown method":       {do("POST", "/rpc", strings.Replace(ping, "ping", "pong", 1), media, "application/json", bearer, "Bearer alice"), 200, `"code":-32601`},
		"no token":                {do("POST", "/rpc", ping, media, "application/json"), 401, `"reason":"unauthenticated"`},
		"a token in the URL":      {do("POST", "/rpc?token=alice&access_token=alice", ping, media, "application/json"), 401, `"reason":"unauthenticated"`},
		"text":                    {do("POST", "/rpc", ping, media, "text/plain", bearer, "Bearer alice"), 415, "application/json"},
		"a form":                  {do("POST", "/rpc", ping, media, "application/x-www-form-urlencoded", bearer, "Bearer alice"), 415, "application/json"},
		"no type":                 {do("POST", "/rpc", ping, bearer, "Bearer alice"), 415, "application/json"},
		"too large":               {do("POST", "/rpc", ping+strings.Repeat(" ", 4096), media, "application/json", bearer, "Bearer alice"), 413, `"max":4096`},
		"GET":                     {do("GET", "/rpc", "", bearer, "Bearer alice"), 405, "POST"},
		"a foreign origin":        {do("POST", "/rpc", ping, media, "application/json", bearer, "Bearer alice", "Origin", "https://evil.example"), 403, "origin"},
		"the null origin":         {do("POST", "/rpc", ping, media, "application/json", bearer, "Bearer alice", "Origin", "null"), 403, "origin"},
		"a cookie without origin": {do("POST", "/rpc", ping, media, "application/json", "Cookie", "sid=x"), 403, `"field":"Origin"`},
		"another app":             {do("POST", "/rpc?app=other", ping, media, "application/json", bearer, "Bearer alice"), 401, `"reason":"app_unknown"`},
		"the app":                 {do("POST", "/rpc?app=test", ping, media, "application/json", bearer, "Bearer alice"), 200, "result"},
		"a session that is not":   {do("POST", "/rpc", ping, media, "application/json", bearer, "Bearer alice", "Im-Session", "x"), 404, "session"},
		"preflight of an allowed": {do("OPTIONS", "/rpc", "", "Origin", "https://partner.example", "Access-Control-Request-Method", "POST"), 204, ""},
		"preflight of a foreign":  {do("OPTIONS", "/rpc", "", "Origin", "https://evil.example"), 403, ""},
		"no such path":            {do("GET", "/admin", ""), 404, "StripPrefix"},
		"no such path below":      {do("GET", "/sdk/../../etc/passwd", ""), 404, ""},
		"a folder of the SDK":     {do("GET", "/sdk/", ""), 404, ""},
		"a WebSocket without one": {do("GET", "/ws", ""), 426, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.response.Code != c.status || !strings.Contains(c.response.Body.String(), c.contains) {
				t.Errorf("%d %s, want %d %s", c.response.Code, c.response.Body, c.status, c.contains)
			}
			if l := c.response.Header().Get("Location"); l != "" {
				t.Errorf("redirects to %s", l)
			}
		})
	}
	t.Run("CORS names the allowed origin and never allows credentials", func(t *testing.T) {
		for _, w := range []*httptest.ResponseRecorder{
			do("OPTIONS", "/rpc", "", "Origin", "https://partner.example"),
			do("POST", "/rpc", ping, media, "application/json", bearer, "Bearer alice", "Origin", "https://partner.example"),
		} {
			h := w.Header()
			if h.Get("Access-Control-Allow-Origin") != "https://partner.example" || h.Get("Vary") != "Origin" || h.Get("Access-Control-Allow-Credentials") != "" ||
				h.Get("Access-Control-Expose-Headers") != "Date, Retry-After" {
				t.Errorf("%v", h)
			}
		}
		if h := do("POST", "/rpc", ping, media, "application/json", bearer, "Bearer alice").Header(); h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("without an origin: %v", h)
		}
	})
	t.Run("a preflight answers what a browser asks before a request with a token", func(t *testing.T) {
		h := do("OPTIONS", "/rpc", "", "Origin", "https://partner.example", "Access-Control-Request-Method", "POST").Header()
		if h.Get("Access-Control-Allow-Methods") != "GET, POST" || h.Get("Access-Control-Max-Age") == "" ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "Content-Type, Im-Session") {
			t.Errorf("%v", h)
		}
	})
	t.Run("either notation is answered in its own", func(t *testing.T) {
		packed := string([]byte{0x83}) + "\xa7jsonrpc\xa32.0\xa2id\x07\xa6method\xa4ping"
		for _, m := range []string{"application/msgpack", "application/x-msgpack", "application/vnd.msgpack"} {
			w := do("POST", "/rpc", packed, media, m, bearer, "Bearer alice")
			if w.Code != 200 || w.Header().Get(media) != m || !strings.Contains(w.Body.String(), "\xaaserverTime") {
				t.Errorf("%s: %d %v %q", m, w.Code, w.Header(), w.Body)
			}
		}
		w := do("POST", "/rpc", ping, media, "application/json; charset=utf-8", bearer, "Bearer alice")
		if h := w.Header(); h.Get(media) != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v", h)
		}
	})
	t.Run("an array is answered with an array, and what is wrong in it alone is wrong", func(t *testing.T) {
		w := do("POST", "/rpc", "["+ping+"]", media, "application/json", bearer, "Bearer alice")
		if !strings.HasPrefix(w.Body.String(), `[{`) {
			t.Errorf("%s", w.Body)
		}
		w = do("POST", "/rpc", `[7,`+ping+`]`, media, "application/json", bearer, "Bearer alice")
		if body := w.Body.String(); !strings.Contains(body, `"id":null`) || !strings.Contains(body, "-32600") || !strings.Contains(body, "serverTime") {
			t.Errorf("%s", body)
		}
	})
	t.Run("a refusal says how to authenticate, and when to come again", func(t *testing.T) {
		if h := do("POST", "/rpc", ping, media, "application/json").Header(); h.Get("WWW-Authenticate") != "Bearer" || h.Get("Retry-After") != "" {
			t.Errorf("%v", h)
		}
		busy := setup(t, im.Config{Auth: im.AuthenticatorFunc(func(context.Context, *im.Handshake) (im.Identity, error) {
			e := *im.ErrRateLimited
			e.RetryAfter = 1500 * time.Millisecond
			return im.Identity{}, &e
		})})
		code, body := postAs(busy, "alice", ping)
		if code != http.StatusTooManyRequests || !strings.Contains(body, `"retryAfterMs":1500`) {
			t.Errorf("%d %s", code, body)
		}
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/rpc", strings.NewReader(ping))
		r.Header.Set(media, "application/json")
		if busy.ServeHTTP(w, r); w.Header().Get("Retry-After") != "2" || w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%v", w.Header())
		}
		odd := setup(t, im.Config{Auth: im.AuthenticatorFunc(func(context.Context, *im.Handshake) (im.Identity, error) {
			return im.Identity{}, im.ErrMethodNotFound // no status at all
		})})
		if code, _ := postAs(odd, "alice", ping); code != http.StatusServiceUnavailable {
			t.Errorf("%d", code)
		}
	})
	t.Run("what the permission needs a session for says so", func(t *testing.T) {
		w := do("POST", "/rpc", strings.Replace(ping, "ping", "session.close", 1), media, "application/json", bearer, "Bearer alice")
		if !strings.Contains(w.Body.String(), `"reason":"unsupported"`) {
			t.Error(w.Body)
		}
	})
	t.Run("the SDK is served to any page and revalidated", func(t *testing.T) {
		w := do("GET", "/sdk/h5-im-sdk.js", "")
		if w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "*" || w.Header().Get("X-Content-Type-Options") != "nosniff" ||
			w.Header().Get("Cross-Origin-Resource-Policy") != "cross-origin" ||
			!strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		if again := do("GET", "/sdk/h5-im-sdk.js", "", "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified {
			t.Errorf("revalidation answered %d", again.Code)
		}
	})
}
