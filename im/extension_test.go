package im_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"example.com/h5im/im"
	"example.com/h5im/store"
	"example.com/h5im/transport"
)

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
			"an event of no type":  func(s *im.Setup) error { s.Notification("x.a", nil); return nil },
			"an event of a number": func(s *im.Setup) error { s.Notification("x.a", 1); return nil },
			"an event that cannot travel": func(s *im.Setup) error {
				s.Notification("x.a", struct {
					C chan int `json:"c"`
				}{})
				return nil
			},
			"an operation without a name": func(s *im.Setup) error { s.Operation(im.Operation{}); return nil },
			"a mistake before what is right": func(s *im.Setup) error {
				s.Route("no path", nil)
				s.Route("/path", http.NotFoundHandler())
				return nil
			},
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
func TestExtensionThatTellsNonsense(t *testing.T) { // [P105]
	var setupOf *im.Setup
	srv := setup(t, im.Config{Extensions: []im.Extension{{Name: "odd", Install: func(s *im.Setup) error {
		setupOf = s
		s.Operation(im.NewOperation("odd.result", "Answers nonsense.", func(context.Context, *im.Op, *struct{}) (*oddResult, error) {
			return &oddResult{im.Object(`{"a":`)}, nil
		}))
		s.Notification("odd.sale", oddResult{})
		s.Feature("odd")
		return nil
	}}}})
	t.Run("an event that it did not declare is not sent", func(t *testing.T) {
		for name, params := range map[string]any{"message": orderResult{}, "odd.other": orderResult{}, "odd.result": orderResult{}, "odd.sale": oddResult{im.Object(`{"a":`)}} {
			if err := setupOf.Notify([]string{"bob"}, name, params); err == nil {
				t.Errorf("%s was sent", name)
			}
		}
	})
	t.Run("what it declares later counts for nothing", func(t *testing.T) {
		setupOf.Operation(im.NewOperation("odd.late", "", nop))
		setupOf.Notification("odd.late", orderResult{})
		setupOf.MessageType("odd.late", nil)
		setupOf.Use(nil)
		setupOf.Route("/late", http.NotFoundHandler())
		setupOf.OnSession(func(im.SessionInfo) { t.Error("told of a session") }, nil)
		setupOf.Feature("late")
		alice := srv.Connect("alice")
		refused(t, alice.Call("odd.late", nil, nil), im.ErrMethodNotFound)
		refused(t, alice.Call("message.send", map[string]any{"to": "bob", "clientId": "l", "type": "odd.late", "content": "x"}, nil), im.ErrInvalidArgument)
		if err := setupOf.Notify([]string{"bob"}, "odd.late", orderResult{}); err == nil {
			t.Error("the event was sent")
		}
		var opened struct {
			Features []string `json:"features"`
		}
		c := srv.Dial(transport.JSON)
		must(t, c.Call("session.open", map[string]any{"appId": "test", "token": "alice", "device": "d"}, &opened))
		if !slices.Equal(opened.Features, []string{"odd"}) {
			t.Errorf("features %v", opened.Features)
		}
		w := httptest.NewRecorder()
		if srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/late", nil)); !strings.Contains(w.Body.String(), "not an endpoint") {
			t.Errorf("%s", w.Body)
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
