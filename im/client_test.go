package im_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/store"
	"example.com/h5im/store/memory"
	"example.com/h5im/transport"
	"example.com/h5im/transport/pipe"
)

func TestInProcess(t *testing.T) {
	srv := setup(t, im.Config{})
	t.Run("a user in process is a user", func(t *testing.T) {
		bob := srv.Connect("bob")
		r, err := im.Call[im.SendParams, im.SendResult](ctx, srv.As(im.Identity{User: "alice"}), "message.send",
			im.SendParams{To: im.ToUser("bob"), ClientID: "c1", Content: im.Text("hello")})
		must(t, err)
		var m im.MessageView
		bob.Decode(bob.Event("message"), &m)
		if m.Seq != r.Seq || m.From != "alice" {
			t.Errorf("%+v", m)
		}
	})
	t.Run("the host sends to anyone, and as anyone", func(t *testing.T) {
		carol := srv.Connect("carol")
		_, err := im.Call[im.SendParams, im.SendResult](ctx, srv.System(), "message.send",
			im.SendParams{To: im.ToUser("carol"), ClientID: "s1", Type: im.TypeSystem, Content: im.Text("welcome")})
		must(t, err)
		var m im.MessageView
		carol.Decode(carol.Event("message"), &m)
		if m.From != "system" {
			t.Errorf("from %s", m.From)
		}
		must(t, srv.System().On("dave").Call(ctx, "message.send", im.SendParams{To: im.ToUser("carol"), ClientID: "d1", Content: im.Text("x")}, nil))
		carol.Decode(carol.Event("message"), &m)
		if m.From != "dave" {
			t.Errorf("from %s", m.From)
		}
	})
	t.Run("the host reads and changes any conversation", func(t *testing.T) {
		g := group(t, srv.Connect("owner"), "x")
		host := srv.System()
		must(t, host.Call(ctx, "member.add", im.MemberParams{Conversation: g.ID, Users: []string{"y"}}, nil))
		must(t, host.Call(ctx, "message.send", im.SendParams{To: im.ToConversation(g.ID), ClientID: "h1", Content: im.Text("x")}, nil))
		members, err := im.Call[im.MemberListParams, im.MemberListResult](ctx, host, "member.list", im.MemberListParams{Conversation: g.ID})
		must(t, err)
		if len(members.Members) != 3 {
			t.Errorf("%+v", members)
		}
		refused(t, host.Call(ctx, "conversation.get", im.ConversationParams{Conversation: "missing"}, nil), im.ErrNotFound)
	})
	t.Run("what a host passes is checked like anything else", func(t *testing.T) {
		alice := srv.As(im.Identity{User: "alice"})
		for _, content := range []string{`{"text":"a","text":"b"}`, `[1]`, `{"n":9007199254740993}`} {
			err := alice.Call(ctx, "message.send", map[string]any{"to": "bob", "clientId": "z", "type": "custom", "content": raw(content)}, nil)
			refused(t, err, im.ErrInvalidArgument)
		}
		refused(t, srv.As(im.Identity{}).Call(ctx, "ping", nil, nil), im.ErrInvalidArgument)
		_, err := srv.As(im.Identity{}).Listen(ctx, "d")
		refused(t, err, im.ErrInvalidArgument)
		_, err = alice.Listen(ctx, "no device")
		refused(t, err, im.ErrInvalidArgument)
		refused(t, alice.Call(ctx, "no.such", nil, nil), im.ErrMethodNotFound)
	})
	t.Run("a result goes into any type of its shape", func(t *testing.T) {
		var answer map[string]any
		must(t, srv.As(im.Identity{User: "alice"}).Call(ctx, "ping", struct{}{}, &answer))
		if _, ok := answer["serverTime"].(float64); !ok {
			t.Errorf("%v", answer)
		}
		if err := srv.As(im.Identity{User: "alice"}).Call(ctx, "ping", nil, &[]int{}); err == nil {
			t.Error("a list took it")
		}
	})
	t.Run("who does not take his events in time gets a gap, and Close ends a wait", func(t *testing.T) {
		srv := setup(t, im.Config{Limits: im.Limits{SendQueueFrames: 10}})
		events, err := srv.As(im.Identity{User: "bob"}).Listen(ctx, "bot")
		must(t, err)
		alice := srv.Connect("alice")
		for i := range 200 {
			send(t, alice, im.ToUser("bob"), "c"+strconv.Itoa(i), "x")
		}
		for name := ""; name != "gap"; {
			e, err := events.Next(ctx)
			must(t, err)
			name = e.Name
		}
		go events.Close()
		for err == nil {
			_, err = events.Next(ctx)
		}
		if !errors.Is(err, im.ErrSessionClosed) {
			t.Error(err)
		}
		must(t, events.Close())
	})
	t.Run("Listen asks the policy as session.open does", func(t *testing.T) {
		srv := setup(t, im.Config{Policy: im.PolicyFunc(func(_ context.Context, who im.Identity, op *im.Op) error {
			if op.Name == "session.open" && who.User == "banned" {
				return im.ErrPermissionDenied
			}
			return nil
		})})
		_, err := srv.As(im.Identity{User: "banned"}).Listen(ctx, "d")
		refused(t, err, im.ErrPermissionDenied)
		refused(t, srv.Dial(transport.JSON).Open("banned", "d"), im.ErrPermissionDenied)
		e, err := srv.As(im.Identity{User: "alice"}).Listen(ctx, "d")
		must(t, err)
		must(t, e.Close())
	})
	t.Run("Listen gives the events until it is closed", func(t *testing.T) {
		events, err := srv.As(im.Identity{User: "erin"}).Listen(ctx, "bot")
		must(t, err)
		send(t, srv.Connect("alice"), im.ToUser("erin"), "e1", "hello")
		patient, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		var names []string
		for len(names) < 2 {
			e, err := events.Next(patient)
			must(t, err)
			names = append(names, e.Name)
			var at struct {
				Rev  int64
				Role string
			}
			must(t, e.Decode(&at))
			if e.Name == "conversation" && at.Role != "member" {
				t.Errorf("the conversation does not tell the receiver's own part: %s", e.Params)
			}
			if at.Rev != int64(len(names))-1 {
				t.Errorf("%s has rev %d: the message would be taken for known", e.Name, at.Rev)
			}
		}
		if !slices.Equal(names, []string{"conversation", "message"}) {
			t.Errorf("%v: a conversation is told of before its first message", names)
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := events.Next(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		must(t, events.Close())
		if _, err := events.Next(ctx); !errors.Is(err, im.ErrSessionClosed) {
			t.Error(err)
		}
	})
}

type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }

type orderParams struct {
	Conversation string `json:"conversation"`
	Amount       int64  `json:"amount"`
}

type orderResult struct {
	Total int64 `json:"total"`
}

func TestExtension(t *testing.T) {
	var mu sync.Mutex
	var opened, closed []string
	note := func(list *[]string) func(im.SessionInfo) {
		return func(i im.SessionInfo) {
			mu.Lock()
			defer mu.Unlock()
			*list = append(*list, i.Identity.User)
		}
	}
	stopped := make(chan struct{})
	var setupOf *im.Setup
	shop := im.Extension{Name: "shop", Install: func(s *im.Setup) error {
		setupOf = s
		s.Operation(im.NewOperation("shop.order", "Orders.", func(ctx context.Context, op *im.Op, p *orderParams) (*orderResult, error) {
			return &orderResult{Total: p.Amount * 2}, nil
		}))
		s.MessageType("shop.card", func(content []byte) error {
			if string(content) != `{"sku":1}` {
				return im.ErrInvalidArgument.At("content.sku")
			}
			return nil
		})
		s.Notification("shop.sale", orderResult{})
		s.Route("/shop", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := s.Authenticate(r); err != nil {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}))
		s.OnSession(note(&opened), note(&closed))
		s.Feature("shop")
		s.Go(func(ctx context.Context) { <-ctx.Done(); close(stopped) })
		return nil
	}}
	srv := setup(t, im.Config{Extensions: []im.Extension{shop}})
	alice, bob := srv.Connect("alice"), srv.Connect("bob")
	g := group(t, alice)
	t.Run("its operation has the rules of the table", func(t *testing.T) {
		var r orderResult
		must(t, alice.Call("shop.order", orderParams{g.ID, 21}, &r))
		if r.Total != 42 {
			t.Errorf("%+v", r)
		}
		refused(t, bob.Call("shop.order", orderParams{g.ID, 21}, nil), im.ErrNotFound)
	})
	t.Run("its message type is validated", func(t *testing.T) {
		must(t, alice.Call("message.send", map[string]any{"to": "bob", "clientId": "c1", "type": "shop.card", "content": raw(`{"sku":1}`)}, nil))
		refused(t, alice.Call("message.send", map[string]any{"to": "bob", "clientId": "c2", "type": "shop.card", "content": raw(`{"sku":2}`)}, nil), im.ErrInvalidArgument)
	})
	t.Run("its event reaches every session of a user", func(t *testing.T) {
		must(t, setupOf.Notify([]string{"bob"}, "shop.sale", orderResult{Total: 7}))
		var r orderResult
		bob.Decode(bob.Event("shop.sale"), &r)
		if r.Total != 7 {
			t.Errorf("%+v", r)
		}
	})
	t.Run("its route is served", func(t *testing.T) {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/shop/x", nil))
		if w.Code != http.StatusUnauthorized {
			t.Error(w.Code)
		}
	})
	t.Run("its records are its own", func(t *testing.T) {
		_, err := setupOf.Records().Write(ctx, store.RecordWrite{Key: "k", Value: []byte("v"), If: store.NoRecord})
		must(t, err)
		r, err := setupOf.Records().Get(ctx, "k", 0)
		must(t, err)
		if string(r.Value) != "v" || r.Namespace != "shop" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("it is told of sessions, and stopped by Shutdown", func(t *testing.T) {
		must(t, srv.Shutdown(ctx))
		<-stopped
		slices.Sort(closed)
		if !slices.Equal(opened, []string{"alice", "bob"}) || !slices.Equal(closed, []string{"alice", "bob"}) {
			t.Errorf("opened %v, closed %v", opened, closed)
		}
	})
	t.Run("what it may not declare makes New fail", func(t *testing.T) {
		for name, install := range map[string]func(*im.Setup) error{
			"a foreign operation": func(s *im.Setup) error { s.Operation(im.NewOperation("ping", "", nop)); return nil },
			"an operation twice": func(s *im.Setup) error {
				s.Operation(im.NewOperation("x.a", "", nop))
				s.Operation(im.NewOperation("x.a", "", nop))
				return nil
			},
			"a taken message type": func(s *im.Setup) error { s.MessageType("text", nil); return nil },
			"a taken route":        func(s *im.Setup) error { s.Route("/rpc", nil); return nil },
			"an error of its own":  func(s *im.Setup) error { return errors.New("no") },
			"an unprefixed event":  func(s *im.Setup) error { s.Notification("message", orderResult{}); return nil },
		} {
			_, err := im.New(im.Config{AppID: "x", Auth: im.AuthenticatorFunc(func(context.Context, *im.Handshake) (im.Identity, error) { return im.Identity{}, nil }),
				DataDir: t.TempDir(), Extensions: []im.Extension{{Name: "x", Install: install}}})
			if err == nil {
				t.Errorf("%s was taken", name)
			}
		}
	})
}

type oddResult struct {
	Object im.Object `json:"object"`
}

// What an extension makes wrongly breaks nothing but itself.
func TestExtensionThatTellsNonsense(t *testing.T) {
	var setupOf *im.Setup
	srv := setup(t, im.Config{Extensions: []im.Extension{{Name: "odd", Install: func(s *im.Setup) error {
		setupOf = s
		s.Operation(im.NewOperation("odd.result", "Answers nonsense.", func(context.Context, *im.Op, *struct{}) (*oddResult, error) {
			return &oddResult{im.Object(`{"a":`)}, nil
		}))
		s.Notification("odd.sale", oddResult{})
		return nil
	}}}})
	t.Run("an event that it did not declare is not sent", func(t *testing.T) {
		for name, params := range map[string]any{"message": orderResult{}, "odd.other": orderResult{}, "odd.result": orderResult{}, "odd.sale": oddResult{im.Object(`{"a":`)}} {
			if err := setupOf.Notify([]string{"bob"}, name, params); err == nil {
				t.Errorf("%s was sent", name)
			}
		}
	})
	t.Run("a result that is no JSON is an error of its own request", func(t *testing.T) {
		for _, format := range []transport.Format{transport.JSON, transport.Msgpack} {
			c := srv.Dial(format)
			must(t, c.Open("alice", "d"))
			odd, ping := c.Start("odd.result", nil), c.Start("ping", nil)
			refused(t, c.Await(odd, nil), im.ErrInternal)
			must(t, c.Await(ping, nil))
		}
		_, body := postAs(srv, "alice", `[{"jsonrpc":"2.0","id":1,"method":"odd.result"},{"jsonrpc":"2.0","id":2,"method":"ping"}]`)
		if !json.Valid([]byte(body)) || !strings.Contains(body, "internal") || !strings.Contains(body, "serverTime") {
			t.Errorf("%s", body)
		}
	})
}

func nop(context.Context, *im.Op, *orderParams) (*orderResult, error) { return &orderResult{}, nil }

func TestShutdown(t *testing.T) {
	t.Run("clients are told, running sends finish, connections end with a code to reconnect", func(t *testing.T) {
		srv := setup(t, im.Config{})
		alice := srv.Connect("alice")
		g := group(t, alice, "bob")
		var ids []int64
		for i := range 30 {
			ids = append(ids, alice.Start("message.send", im.SendParams{To: im.ToConversation(g.ID), ClientID: string(rune('a' + i)), Content: im.Text("x")}))
		}
		must(t, srv.Shutdown(ctx))
		ended(t, alice, transport.CloseRestart)
		alice.Event("goaway")
		acked := 0
		for _, id := range ids {
			if alice.Await(id, nil) == nil {
				acked++
			}
		}
		t.Logf("%d of %d were acknowledged", acked, len(ids))
		if err := srv.Ready(); err == nil {
			t.Error("ready after shutdown")
		}
		refused(t, srv.System().Call(ctx, "ping", nil, nil), im.ErrUnavailable)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ws", nil))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		must(t, srv.Shutdown(ctx)) // again: waits for the first
	})
	t.Run("an answer that is being written when it begins arrives", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Transports: []transport.Transport{slowly{}}})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://im.test/slowly", nil)
			must(t, err)
			c := srv.DialRequest(r)
			must(t, c.Open("alice", "d"))
			id := c.Start("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: "c", Content: im.Text("x")})
			synctest.Wait() // it is stored, and its answer is being framed
			must(t, srv.Shutdown(ctx))
			must(t, c.Await(id, nil))
		})
	})
	t.Run("a configuration that cannot work is refused with its field", func(t *testing.T) {
		auth := im.AuthenticatorFunc(func(context.Context, *im.Handshake) (im.Identity, error) { return im.Identity{}, nil })
		for _, c := range []im.Config{
			{}, {AppID: "a b", Auth: auth}, {AppID: "x"},
			{AppID: "x", Auth: auth, AllowedOrigins: []string{"*"}},
			{AppID: "x", Auth: auth, AllowedOrigins: []string{"https://a.example/path"}},
			{AppID: "x", Auth: auth, Limits: im.Limits{Page: 200}},
			{AppID: "x", Auth: auth, Limits: im.Limits{Batch: -1}},
		} {
			c.DataDir = t.TempDir()
			if _, err := im.New(c); err == nil {
				t.Errorf("%+v was taken", c)
			}
		}
	})
}

// slowly is a pipe that takes its time to frame answers.
type slowly struct{ pipe.Transport }

func (slowly) Path() string { return "/slowly" }

func (t slowly) Serve(w http.ResponseWriter, r *http.Request, l transport.Limits, start func(transport.Conn)) error {
	return t.Transport.Serve(w, r, l, func(c transport.Conn) { start(slowConn{c}) })
}

type slowConn struct{ transport.Conn }

func (c slowConn) Prepare(msg []byte) transport.Prepared {
	if bytes.Contains(msg, []byte(`"result"`)) {
		time.Sleep(time.Second)
	}
	return c.Conn.Prepare(msg)
}

// What was committed is told, though whoever asked for it has gone meanwhile.
func TestCallerGoesAway(t *testing.T) {
	inner := memory.New(nil)
	defer inner.Close()
	s := &leaving{Store: inner}
	srv := setup(t, im.Config{Store: s})
	alice, bob := srv.Connect("alice"), srv.Connect("bob")
	g := group(t, alice, "bob")
	send(t, bob, im.ToConversation(g.ID), "c1", "x")
	bob.Event("conversation")
	for _, c := range []struct {
		op     string
		params any
		event  string
	}{
		{"conversation.create", im.CreateParams{Kind: "group", Members: []string{"bob"}}, "conversation"},
		{"conversation.mark", im.MarkParams{Conversation: g.ID, Delivered: 1, Read: 1}, "receipt"},
		{"member.add", im.MemberParams{Conversation: g.ID, Users: []string{"carol"}}, "member"},
		{"member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"carol"}}, "member"},
	} {
		t.Run(c.op, func(t *testing.T) {
			leaver := srv.Dial(transport.JSON)
			must(t, leaver.Open("alice", "phone"))
			s.leave.Store(leaver)
			leaver.Start(c.op, c.params)
			bob.Event(c.event)
		})
	}
}

// leaving is a store whose caller hangs up during a write; like bolt, it then
// tells the caller so while it commits.
type leaving struct {
	store.Store
	leave atomic.Pointer[imtest.Client]
}

func (s *leaving) cut(ctx context.Context) error {
	c := s.leave.Swap(nil)
	if c == nil {
		return nil
	}
	c.Close()
	if ctx.Done() != nil {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (s *leaving) Create(ctx context.Context, c store.NewConversation) (store.Created, error) {
	created, err := s.Store.Create(context.WithoutCancel(ctx), c)
	return created, errors.Join(err, s.cut(ctx))
}

func (s *leaving) ChangeMembers(ctx context.Context, c store.MembersChange) (store.MembersChanged, error) {
	changed, err := s.Store.ChangeMembers(context.WithoutCancel(ctx), c)
	return changed, errors.Join(err, s.cut(ctx))
}

func (s *leaving) Mark(ctx context.Context, m store.Mark) (store.Marked, error) {
	marked, err := s.Store.Mark(context.WithoutCancel(ctx), m)
	return marked, errors.Join(err, s.cut(ctx))
}
