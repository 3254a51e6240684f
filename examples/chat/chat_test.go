package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"example.com/h5im/im"
)

func start(t testing.TB, data string) *app {
	t.Helper()
	a, err := newApp(t.Context(), data, im.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func stop(t testing.TB, a *app) {
	t.Helper()
	if err := a.close(context.Background()); err != nil {
		t.Error(err)
	}
}

func setup(t testing.TB) *app {
	a := start(t, t.TempDir())
	t.Cleanup(func() { stop(t, a) })
	return a
}

func serve(h http.Handler, method, path, body string, header http.Header) *http.Response {
	r := httptest.NewRequest(method, "http://chat.example"+path, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

var asJSON = http.Header{"Content-Type": {"application/json"}}

func login(t testing.TB, h http.Handler, user string) (token string, cookie *http.Cookie) {
	t.Helper()
	resp := serve(h, http.MethodPost, "/login", `{"user":"`+user+`"}`, asJSON)
	var out struct{ User, Token string }
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK || out.User != user || out.Token == "" {
		t.Fatalf("login %s: %s %v %+v", user, resp.Status, err, out)
	}
	if len(resp.Cookies()) != 1 {
		t.Fatalf("login %s: %d cookies", user, len(resp.Cookies()))
	}
	return out.Token, resp.Cookies()[0]
}

// syncAs answers the body of sync for who the header says.
func syncAs(h http.Handler, header http.Header) (status int, body string) {
	header = header.Clone()
	header.Set("Content-Type", "application/json")
	resp := serve(h, http.MethodPost, "/im/rpc?app=demo", `{"jsonrpc":"2.0","id":1,"method":"sync","params":{"limit":100}}`, header)
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestLogin(t *testing.T) {
	a := setup(t)

	t.Run("the token is a bearer token", func(t *testing.T) {
		token, _ := login(t, a, "alice")
		if status, body := syncAs(a, http.Header{"Authorization": {"Bearer " + token}}); status != http.StatusOK || !strings.Contains(body, "spring-exhibition") {
			t.Fatalf("%d %s", status, body)
		}
	})
	t.Run("the cookie works for the page's own origin, and for no script", func(t *testing.T) {
		_, cookie := login(t, a, "bob")
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
			t.Fatalf("%v", cookie)
		}
		header := http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}, "Origin": {"http://chat.example"}}
		if status, body := syncAs(a, header); status != http.StatusOK || !strings.Contains(body, "spring-exhibition") {
			t.Fatalf("own origin: %d %s", status, body)
		}
		header.Set("Origin", "https://evil.example")
		if status, _ := syncAs(a, header); status != http.StatusForbidden {
			t.Fatalf("another origin: %d", status)
		}
	})
	t.Run("a token counts before the cookie of somebody else", func(t *testing.T) {
		token, _ := login(t, a, "alice")
		_, cookie := login(t, a, "bob")
		header := http.Header{"Authorization": {"Bearer " + token}, "Cookie": {cookie.Name + "=" + cookie.Value}, "Origin": {"http://chat.example"}}
		if _, body := syncAs(a, header); !strings.Contains(body, im.DirectID("alice", "li-wei")) {
			t.Fatal("not alice")
		}
	})
	t.Run("any name of 1 to 32 of a-z 0-9 _ - is good, and no other", func(t *testing.T) {
		for _, good := range []string{"a", "user123", "x_y-z", strings.Repeat("a", 32)} {
			login(t, a, good)
		}
		for _, bad := range []string{"", "Alice", "a b", "ä", strings.Repeat("a", 33), "a/b", "<b>"} {
			if resp := serve(a, http.MethodPost, "/login", `{"user":"`+bad+`"}`, asJSON); resp.StatusCode != http.StatusUnprocessableEntity || len(resp.Cookies()) != 0 {
				t.Errorf("%q: %s", bad, resp.Status)
			}
		}
	})
	t.Run("what is no JSON, or too much of it, or of another site, signs nobody in", func(t *testing.T) {
		form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		cross := http.Header{"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}
		for _, c := range []struct {
			body   string
			header http.Header
			want   int
			reason string
		}{
			{"user=alice", form, http.StatusUnsupportedMediaType, "invalid_request"},
			{`{"user":`, asJSON, http.StatusBadRequest, "parse_error"},
			{`{"user":"alice"} and more`, asJSON, http.StatusBadRequest, "parse_error"},
			{`{"user":5}`, asJSON, http.StatusBadRequest, "parse_error"},
			{`{"user":"` + strings.Repeat("a", 2000) + `"}`, asJSON, http.StatusBadRequest, "parse_error"},
			{`{}`, asJSON, http.StatusUnprocessableEntity, "invalid_argument"},
			{`{"user":"Alice"}`, asJSON, http.StatusUnprocessableEntity, "invalid_argument"},
			{`{"user":"alice"}`, cross, http.StatusForbidden, "permission_denied"},
		} {
			resp := serve(a, http.MethodPost, "/login", c.body, c.header)
			var answer struct {
				Token string
				Error struct {
					Code    int
					Message string
					Data    struct{ Reason string }
				}
			}
			err := json.NewDecoder(resp.Body).Decode(&answer)
			if err != nil || resp.StatusCode != c.want || answer.Error.Code != c.want || answer.Error.Data.Reason != c.reason || answer.Error.Message == "" {
				t.Errorf("%.30s: %s %+v %v", c.body, resp.Status, answer, err)
			}
			if len(resp.Cookies()) != 0 || answer.Token != "" {
				t.Errorf("%.30s signed somebody in", c.body)
			}
		}
	})
	t.Run("without a token there is no chat", func(t *testing.T) {
		if status, _ := syncAs(a, http.Header{}); status != http.StatusUnauthorized {
			t.Fatal(status)
		}
		if status, _ := syncAs(a, http.Header{"Authorization": {"Bearer alice"}}); status != http.StatusUnauthorized {
			t.Fatal(status)
		}
	})
}

func TestRestart(t *testing.T) {
	data := t.TempDir()
	a := start(t, data)
	token, _ := login(t, a, "alice")
	auth := http.Header{"Authorization": {"Bearer " + token}}
	_, before := syncAs(a, auth)
	stop(t, a)

	a = start(t, data)
	t.Run("nobody is signed out, and the sample is written once", func(t *testing.T) {
		status, after := syncAs(a, auth)
		if status != http.StatusOK {
			t.Fatalf("%d %s", status, after)
		}
		if b, a := withoutCursor(t, before), withoutCursor(t, after); b != a {
			t.Fatalf("before %s\nafter %s", b, a)
		}
	})
	t.Run("who left a sample group stays out", func(t *testing.T) {
		ctx, who := t.Context(), im.Identity{User: "bob"}
		if _, err := im.Call[im.MemberParams, im.MemberResults](ctx, a.chat.As(who), "member.remove", im.MemberParams{Conversation: "weekend-rides", Users: []string{"bob"}}); err != nil {
			t.Fatal(err)
		}
		stop(t, a)
		a = start(t, data)
		list, err := im.Call[im.SyncParams, im.SyncResult](ctx, a.chat.As(who), "sync", im.SyncParams{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Conversations {
			if c.ID == "weekend-rides" {
				t.Fatal("he is back")
			}
		}
	})
	stop(t, a)

	t.Run("the key of the tokens is nobody else's to read", func(t *testing.T) {
		info, err := os.Stat(filepath.Join(data, "token.key"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%v %v", info.Mode(), err)
		}
	})
	t.Run("a damaged key is told of, not replaced", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(data, "token.key"), []byte("short"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := newApp(t.Context(), data, im.Limits{}); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Fatal(err)
		}
	})
}

func withoutCursor(t testing.TB, body string) string {
	t.Helper()
	var answer struct{ Result map[string]any }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	delete(answer.Result, "cursor")
	b, _ := json.Marshal(answer)
	return string(b)
}

func TestSample(t *testing.T) {
	a := setup(t)
	list, err := im.Call[im.SyncParams, im.SyncResult](t.Context(), a.chat.As(im.Identity{User: "alice"}), "sync", im.SyncParams{})
	if err != nil {
		t.Fatal(err)
	}
	unread := map[string]int64{}
	for _, c := range list.Conversations {
		unread[c.ID] = c.Unread
		if c.LastMessage == nil {
			t.Errorf("%s has no message", c.ID)
		} else if at := time.UnixMilli(c.LastMessage.Time); time.Since(at) < 0 || time.Since(at) > 8*24*time.Hour {
			t.Errorf("%s ends at %v", c.ID, at)
		}
	}
	t.Run("the first look shows what is unread", func(t *testing.T) {
		if unread[im.DirectID("alice", "bob")] != 2 || unread["weekend-rides"] != 3 || unread["spring-exhibition"] != 0 {
			t.Fatal(unread)
		}
	})
	t.Run("the sample lies in the past, and the clock goes on after it", func(t *testing.T) {
		sent, err := im.Call[im.SendParams, im.SendResult](t.Context(), a.chat.As(im.Identity{User: "alice"}), "message.send", im.SendParams{
			To: im.ToUser("bob"), ClientID: "now", Content: im.Text("now"),
		})
		if err != nil || time.Since(time.UnixMilli(sent.Time)).Abs() > time.Minute {
			t.Fatal(err, sent.Time)
		}
	})
}

func TestPage(t *testing.T) {
	a := setup(t)

	t.Run("every file has the policy that lets nothing foreign in", func(t *testing.T) {
		files, err := fs.Sub(pageFiles, "page")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			n++
			path := "/" + name
			if name == "index.html" {
				path = "/"
			}
			resp := serve(a, http.MethodGet, path, "", nil)
			body, _ := io.ReadAll(resp.Body)
			want, _ := fs.ReadFile(files, name)
			if resp.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
				t.Errorf("%s: %s", path, resp.Status)
			}
			if p := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(p, "default-src 'self';") || strings.Contains(p, "unsafe") {
				t.Errorf("%s: policy %q", path, p)
			}
			return nil
		})
		if err != nil || n < 10 {
			t.Fatalf("%d files, %v", n, err)
		}
	})
	t.Run("no module makes markup of text, or names another host", func(t *testing.T) {
		forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage\.setItem\([^)]*token|https?://[a-z]`)
		allowed := strings.NewReplacer("http://www.w3.org/2000/svg", "")
		err := fs.WalkDir(pageFiles, "page", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := fs.ReadFile(pageFiles, name)
			if found := forbidden.FindString(allowed.Replace(string(b))); found != "" {
				t.Errorf("%s has %q", name, found)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("what has not changed is not sent again", func(t *testing.T) {
		tag := serve(a, http.MethodGet, "/js/main.js", "", nil).Header.Get("ETag")
		if resp := serve(a, http.MethodGet, "/js/main.js", "", http.Header{"If-None-Match": {tag}}); tag == "" || resp.StatusCode != http.StatusNotModified {
			t.Fatal(resp.Status, tag)
		}
	})
	t.Run("there are no other pages", func(t *testing.T) {
		for _, path := range []string{"/index.html", "/js", "/js/", "/../chat.go", "/js/none.js", "/token.key"} {
			if resp := serve(a, http.MethodGet, path, "", nil); resp.StatusCode/100 == 2 {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}
	})
	t.Run("avatars are drawn for valid names alone, and are inert", func(t *testing.T) {
		resp := serve(a, http.MethodGet, "/avatar/li-wei.svg", "", nil)
		body, _ := io.ReadAll(resp.Body)
		if resp.Header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(string(body), "伟") || resp.Header.Get("Content-Security-Policy") != "default-src 'none'" {
			t.Fatalf("%s %s", resp.Status, body)
		}
		for _, path := range []string{"/avatar/li-wei", "/avatar/LI.svg", "/avatar/%3Cb%3E.svg"} {
			if resp := serve(a, http.MethodGet, path, "", nil); resp.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}
	})
	t.Run("the SDK comes from the mount", func(t *testing.T) {
		for _, path := range []string{"/im/sdk/h5-im-sdk.js", "/im/sdk/index.js"} {
			if resp := serve(a, http.MethodGet, path, "", nil); resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", path, resp.Status)
			}
		}
	})
}

func TestRun(t *testing.T) {
	t.Run("a bad flag is told of in one sentence", func(t *testing.T) {
		for _, args := range [][]string{{"-nope"}, {"serve"}, {"-addr", "nowhere"}} {
			err := run(t.Context(), args, io.Discard)
			if err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: %v", args, err)
			}
		}
	})
	t.Run("a port in use is told of before anything is written", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		data := filepath.Join(t.TempDir(), "data")
		err = run(t.Context(), []string{"-addr", taken.Addr().String(), "-data", data}, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "in use") {
			t.Fatal(err)
		}
		if _, err := os.Stat(data); !os.IsNotExist(err) {
			t.Fatal("the data directory was made")
		}
	})
	t.Run("a second process on the same data is refused", func(t *testing.T) {
		data := t.TempDir()
		a := start(t, data)
		defer stop(t, a)
		if err := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-data", data}, io.Discard); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "another process") {
			t.Fatal(err)
		}
	})
	t.Run("data that cannot be used is told of in one sentence that names it", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		damaged := filepath.Join(dir, "damaged")
		if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Mkdir(damaged, 0o700)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(damaged, "im.db"), bytes.Repeat([]byte("not a store"), 10_000), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, data := range []string{file, filepath.Join(file, "below"), damaged} {
			err := run(t.Context(), []string{"-addr", "127.0.0.1:0", "-data", data}, io.Discard)
			if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: %v", data, err)
			}
		}
	})
	t.Run("it prints both users' addresses and stops when it is told to", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- run(ctx, []string{"-addr", "127.0.0.1:0", "-data", t.TempDir()}, w)
			w.Close()
		}()
		said := make([]byte, 4096)
		n, _ := io.ReadAtLeast(r, said, 150)
		go io.Copy(io.Discard, r)
		for _, user := range []string{"/?user=alice", "/?user=bob"} {
			if !strings.Contains(string(said[:n]), user) {
				t.Errorf("%q is not in %q", user, said[:n])
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
