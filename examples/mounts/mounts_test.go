package mounts

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"example.com/h5im/im"
	"example.com/h5im/sdkjs"
)

// A stack is a recipe with what is special about it.
type stack struct {
	name  string
	auth  im.Authenticator
	mount func(chat http.Handler) http.Handler
	// login returns the cookie of a signed-in user.
	login func(t *testing.T, p *place, user string) string
	gzips bool
}

const partner = "https://partner.example"

func stacks() []stack {
	cookie := func(_ *testing.T, _ *place, user string) string { return "user=" + user }
	plain := func(name string, mount func(http.Handler) http.Handler) stack {
		return stack{name: name, auth: im.AuthenticatorFunc(cookieUser), mount: mount, login: cookie}
	}
	sessions := scs.New()
	sessions.Cookie.Secure = false
	gzipped := plain("gzhttp", onGzip)
	gzipped.gzips = true
	return []stack{
		plain("ServeMux", onServeMux), plain("chi", onChi), plain("gin", onGin), plain("echo v4", onEcho4), plain("echo v5", onEcho5),
		{
			name: "scs", login: scsLogin,
			auth: im.AuthenticatorFunc(func(ctx context.Context, h *im.Handshake) (im.Identity, error) {
				if h.Token != "" {
					return im.Identity{User: h.Token}, nil
				}
				return scsAuth(sessions)(ctx, h)
			}),
			mount: func(chat http.Handler) http.Handler { return onSCS(sessions, chat) },
		},
		plain("otelhttp", onOtel), gzipped, plain("CrossOriginProtection", onCrossOriginProtection), plain("own middleware", onOwnMiddleware),
	}
}

func scsLogin(t *testing.T, p *place, user string) string {
	t.Helper()
	resp, err := p.client.PostForm(p.url+"/login", url.Values{"user": {user}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		return c.Name + "=" + c.Value
	}
	t.Fatalf("no cookie: %s", resp.Status)
	return ""
}

func TestMain(m *testing.M) {
	// What the stacks' own loggers write is not what is tested.
	gin.SetMode(gin.TestMode)
	gin.DefaultWriter = io.Discard
	log.SetOutput(io.Discard)
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// written collects what servers complain of.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A browser's connection that was never used is no complaint of a handler.
	if bytes.Contains(p, []byte("TLS handshake error")) {
		return len(p), nil
	}
	return w.b.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func TestMounts(t *testing.T) {
	for _, f := range fronts {
		t.Run(f.name, func(t *testing.T) {
			for _, s := range stacks() {
				t.Run(s.name, func(t *testing.T) { testMount(t, f, s) })
			}
		})
	}
}

func testMount(t *testing.T, f front, s stack) {
	var complaints written
	// The chat learns its public origin, which has the port of its front, last.
	var chat http.Handler
	p := f.serve(t, s.mount(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { chat.ServeHTTP(w, r) })), log.New(&complaints, "", 0))
	config := im.Config{
		AppID: "site", Auth: s.auth, DataDir: t.TempDir(), AllowedOrigins: []string{partner},
		Logger: slog.New(slog.NewTextHandler(&complaints, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if f.public {
		config.PublicOrigin = p.url
	}
	srv, err := im.New(config)
	if err != nil {
		t.Fatal(err)
	}
	chat = srv
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if got := complaints.String(); got != "" {
			t.Errorf("servers complain:\n%s", got)
		}
	})
	b := &browser{t: t, place: p, proto: f.proto, cookie: s.login(t, p, "ines")}
	if f.upgrades {
		t.Run("WebSocket", b.testSocket)
	} else {
		t.Run("WebSocket is refused with the reason", b.testNoSocket)
	}
	t.Run("event stream", b.testStream)
	t.Run("long poll", b.testPoll)
	t.Run("rpc", b.testRPC)
	t.Run("preflight", b.testPreflight)
	t.Run("script", b.testScript)
	if s.gzips {
		t.Run("script in gzip", b.testGzip)
	}
	t.Run("OpenRPC", b.testOpenRPC)
	t.Run("redirects", b.testRedirects)
}

// A browser is signed in as ines.
type browser struct {
	*place
	t      *testing.T
	proto  int
	cookie string
}

// do sends a request below the mount and returns the answer with its body.
func (b *browser) do(t *testing.T, method, path, body string, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := *b.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.ProtoMajor != b.proto {
		t.Errorf("%s %s came over %s", method, path, resp.Proto)
	}
	return resp, got
}

// answer is a JSON-RPC answer.
type answer struct {
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Data struct {
			Reason string `json:"reason"`
		} `json:"data"`
	} `json:"error"`
}

func (a *answer) reason() string {
	if a.Error == nil {
		return ""
	}
	return a.Error.Data.Reason
}

// upgrade opens a WebSocket, or returns the status that refused it.
func (b *browser) upgrade(t *testing.T, origin, cookie string) (socket io.ReadWriteCloser, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	header := ws.HandshakeHeaderHTTP{"Origin": {origin}}
	if cookie != "" {
		header["Cookie"] = []string{cookie}
	}
	dialer := ws.Dialer{Protocols: []string{"im.v1.json"}, Header: header, TLSConfig: b.socketTLS()}
	conn, early, _, err := dialer.Dial(ctx, "ws"+strings.TrimPrefix(b.url, "http")+"/im/ws")
	var refused ws.StatusError
	switch {
	case errors.As(err, &refused):
		return nil, int(refused)
	case err != nil:
		t.Fatal(err)
	case early != nil:
		t.Fatal("the server spoke first")
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn, http.StatusSwitchingProtocols
}

// socketTLS is what a browser speaks under a WebSocket: HTTP 1.1.
func (b *browser) socketTLS() *tls.Config {
	if b.tls == nil {
		return nil
	}
	c := b.tls.Clone()
	c.NextProtos = []string{"http/1.1"}
	return c
}

func call(t *testing.T, socket io.ReadWriter, method, params string) answer {
	t.Helper()
	if err := wsutil.WriteClientText(socket, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, method, params)); err != nil {
		t.Fatal(err)
	}
	got, err := wsutil.ReadServerText(socket)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	return a
}

const open = `{"appId":"site","device":"d1"}`

func (b *browser) testSocket(t *testing.T) {
	socket, status := b.upgrade(t, b.url, b.cookie)
	if socket == nil {
		t.Fatalf("status %d", status)
	}
	a := call(t, socket, "session.open", open)
	var opened struct {
		User string `json:"user"`
	}
	if err := json.Unmarshal(a.Result, &opened); err != nil || opened.User != "ines" {
		t.Fatalf("session.open: %s %s", a.Result, a.reason())
	}
	if a := call(t, socket, "ping", `{}`); a.reason() != "" {
		t.Errorf("ping: %s", a.reason())
	}

	if socket, status := b.upgrade(t, b.url, ""); socket == nil {
		t.Errorf("a stranger's handshake: status %d", status)
	} else if a := call(t, socket, "session.open", open); a.reason() != "unauthenticated" {
		t.Errorf("a stranger's session: %s %s", a.reason(), a.Result)
	}
	if _, status := b.upgrade(t, "https://evil.example", b.cookie); status != http.StatusForbidden {
		t.Errorf("a foreign page: status %d", status)
	}
	if socket, status := b.upgrade(t, partner, b.cookie); socket == nil {
		t.Errorf("a partner's page: status %d", status)
	} else if a := call(t, socket, "session.open", open); a.reason() != "permission_denied" {
		t.Errorf("a partner's page with our cookie: %s %s", a.reason(), a.Result)
	}
}

// A proxy that does not pass Upgrade on is named in the answer.
func (b *browser) testNoSocket(t *testing.T) {
	if _, status := b.upgrade(t, b.url, b.cookie); status != http.StatusUpgradeRequired {
		t.Fatalf("status %d", status)
	}
	_, body := b.do(t, http.MethodGet, "/im/ws", "", "Origin", b.url, "Cookie", b.cookie)
	if !strings.Contains(string(body), "proxy") {
		t.Errorf("the reason is %q", body)
	}
}

func (b *browser) testRPC(t *testing.T) {
	send := func(id string) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"to":{"user":"zoe"},"clientId":%q,"content":{"text":"hi"}}}`, id)
	}
	post := func(id string, header ...string) (*http.Response, answer) {
		t.Helper()
		resp, body := b.do(t, http.MethodPost, "/im/rpc", send(id), append(header, "Content-Type", "application/json")...)
		var a answer
		if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
			if err := json.Unmarshal(body, &a); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
		}
		return resp, a
	}
	sender := func(a answer, user string) {
		t.Helper()
		var sent struct {
			Conversation string `json:"conversation"`
		}
		if err := json.Unmarshal(a.Result, &sent); err != nil || sent.Conversation != im.DirectID(user, "zoe") {
			t.Errorf("not sent by %s: %s %s", user, a.Result, a.reason())
		}
	}
	_, a := post("1", "Cookie", b.cookie, "Origin", b.url, "Sec-Fetch-Site", "same-origin")
	sender(a, "ines")
	resp, a := post("2", "Authorization", "Bearer paul", "Origin", partner, "Sec-Fetch-Site", "cross-site")
	sender(a, "paul")
	if got := resp.Header.Get("Access-Control-Allow-Origin"); got != partner {
		t.Errorf("Access-Control-Allow-Origin is %q", got)
	}
	_, a = post("3", "Authorization", "Bearer paul") // a program
	sender(a, "paul")
	if _, a = post("4", "Origin", b.url, "Sec-Fetch-Site", "same-origin"); a.reason() != "unauthenticated" {
		t.Errorf("a stranger: %s %s", a.reason(), a.Result)
	}
	if _, a = post("5", "Cookie", b.cookie, "Origin", partner, "Sec-Fetch-Site", "cross-site"); a.reason() != "permission_denied" {
		t.Errorf("a partner's page with our cookie: %s %s", a.reason(), a.Result)
	}
	if resp, _ = post("6", "Cookie", b.cookie, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page: %s", resp.Status)
	}
}

func (b *browser) testPreflight(t *testing.T) {
	ask := func(origin string) *http.Response {
		resp, _ := b.do(t, http.MethodOptions, "/im/rpc", "", "Origin", origin, "Sec-Fetch-Site", "cross-site",
			"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
		return resp
	}
	resp := ask(partner)
	allowed := strings.ToLower(resp.Header.Get("Access-Control-Allow-Headers"))
	if resp.StatusCode/100 != 2 || resp.Header.Get("Access-Control-Allow-Origin") != partner ||
		!strings.Contains(allowed, "authorization") || !strings.Contains(allowed, "content-type") {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if got := ask("https://evil.example").Header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("a foreign page is allowed: %q", got)
	}
}

const script = "/im/sdk/h5-im-sdk.js"

func wantScript(t *testing.T) []byte {
	t.Helper()
	want, err := fs.ReadFile(sdkjs.FS(), "h5-im-sdk.js")
	if err != nil {
		t.Fatal(err)
	}
	return want
}

func (b *browser) testScript(t *testing.T) {
	resp, got := b.do(t, http.MethodGet, script, "", "Accept-Encoding", "identity")
	if resp.StatusCode != http.StatusOK || !bytes.Equal(got, wantScript(t)) {
		t.Fatalf("%s, %d bytes", resp.Status, len(got))
	}
	if typ := resp.Header.Get("Content-Type"); !strings.HasPrefix(typ, "text/javascript") {
		t.Errorf("Content-Type is %q", typ)
	}
	tag := resp.Header.Get("ETag")
	if resp, got := b.do(t, http.MethodGet, script, "", "If-None-Match", tag, "Accept-Encoding", "identity"); tag == "" || resp.StatusCode != http.StatusNotModified || len(got) > 0 {
		t.Errorf("again with %q: %s, %d bytes", tag, resp.Status, len(got))
	}
}

func (b *browser) testGzip(t *testing.T) {
	resp, got := b.do(t, http.MethodGet, script, "", "Accept-Encoding", "gzip")
	if resp.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("%s %v", resp.Status, resp.Header)
	}
	r, err := gzip.NewReader(bytes.NewReader(got))
	if err != nil {
		t.Fatal(err)
	}
	if got, err = io.ReadAll(r); err != nil || !bytes.Equal(got, wantScript(t)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func (b *browser) testOpenRPC(t *testing.T) {
	resp, got := b.do(t, http.MethodGet, "/im/openrpc.json", "")
	var doc struct {
		OpenRPC string `json:"openrpc"`
		Methods []any  `json:"methods"`
	}
	if err := json.Unmarshal(got, &doc); err != nil || doc.OpenRPC == "" || len(doc.Methods) == 0 {
		t.Errorf("%s: %v: %.100s", resp.Status, err, got)
	}
}

// Whatever is asked for below the mount, no answer leads out of it.
func (b *browser) testRedirects(t *testing.T) {
	for _, path := range []string{
		"/im", "/im/", "/im/sdk", "/im/sdk/", "/im/sdk/index.html", "/im/rpc/", "/im/ws/", "/im/openrpc.json/", "/im/admin",
		"/im/sdk/../sdk/", "/im//sdk", "/im/./rpc", "/im//evil.example", "/im/sdk//evil.example/..",
	} {
		resp, _ := b.do(t, http.MethodGet, path, "")
		if resp.StatusCode/100 != 3 {
			continue
		}
		to, err := resp.Location()
		if err != nil {
			t.Errorf("%s: %s, %v", path, resp.Status, err)
			continue
		}
		if !strings.HasPrefix(to.String(), b.url+"/im/") {
			t.Errorf("%s redirects to %q", path, to)
		}
	}
}
