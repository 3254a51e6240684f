package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/h5im/im"
)

// newMounted makes a chat for which everybody is his token.
func newMounted(t testing.TB) im.Server {
	srv, err := im.New(im.Config{
		AppID: "site", DataDir: t.TempDir(),
		Auth: im.AuthenticatorFunc(func(_ context.Context, h *im.Handshake) (im.Identity, error) {
			return im.Identity{User: h.Token}, nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Shutdown(context.Background()) })
	return srv
}

// status is a ResponseWriter as a logging middleware has one: it hides the
// Hijacker, and tells with Unwrap what it hides.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// router is a router of the kind of chi: middlewares around a tree of mounts,
// which cut their prefix off themselves.
type router struct {
	middlewares []func(http.Handler) http.Handler
	mounts      map[string]http.Handler
}

func (r *router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for prefix, mounted := range r.mounts {
			if rest, ok := strings.CutPrefix(req.URL.Path, prefix); ok {
				inner := req.Clone(req.Context())
				inner.URL.Path, inner.URL.RawPath = rest, ""
				mounted.ServeHTTP(w, inner)
				return
			}
		}
		http.NotFound(w, req)
	})
	for _, m := range r.middlewares {
		h = m(h)
	}
	h.ServeHTTP(w, req)
}

func TestMount(t *testing.T) {
	logged := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(&status{ResponseWriter: w}, r) })
	}
	works := map[string]func(http.Handler) http.Handler{
		"a ServeMux under a prefix": func(chat http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/im/", http.StripPrefix("/im", chat))
			return mux
		},
		"a ServeMux inside a ServeMux, with a method in the pattern beside it": func(chat http.Handler) http.Handler {
			inner, outer := http.NewServeMux(), http.NewServeMux()
			inner.Handle("/im/", http.StripPrefix("/im", chat))
			outer.Handle("/", inner)
			outer.HandleFunc("GET /other", http.NotFound)
			return outer
		},
		"a router that mounts and wraps": func(chat http.Handler) http.Handler {
			return &router{middlewares: []func(http.Handler) http.Handler{logged, logged}, mounts: map[string]http.Handler{"/im": chat}}
		},
		"a ResponseWriter with Unwrap only": func(chat http.Handler) http.Handler {
			return logged(http.StripPrefix("/im", chat))
		},
	}
	for name, mount := range works {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(mount(newMounted(t)))
			defer web.Close()
			s, resp := dial(t, web.URL, http.Header{"Origin": {web.URL}})
			if s == nil {
				body, _ := io.ReadAll(resp.Body)
				t.Fatalf("%s %s", resp.Status, body)
			}
			if a := s.call("session.open", map[string]any{"appId": "site", "device": "d1", "token": "ines"}); a.Error != nil {
				t.Fatal(a.reason())
			}
			resp, err := http.Get(web.URL + "/im/sdk/h5-im-sdk.js")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("sdk: %s", resp.Status)
			}
		})
	}

	t.Run("http.TimeoutHandler cannot carry a WebSocket, and the answer says so", func(t *testing.T) {
		web := httptest.NewServer(http.TimeoutHandler(http.StripPrefix("/im", newMounted(t)), time.Minute, ""))
		defer web.Close()
		s, resp := dial(t, web.URL, http.Header{"Origin": {web.URL}})
		if s != nil {
			t.Fatal("it upgraded")
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusNotImplemented || !strings.Contains(string(body), "TimeoutHandler") {
			t.Fatalf("%s %q", resp.Status, body)
		}
	})

	t.Run("nothing redirects out of the mount", func(t *testing.T) {
		mux := http.NewServeMux()
		mux.Handle("/im/", http.StripPrefix("/im", newMounted(t)))
		for _, path := range []string{
			"/im/", "/im/sdk", "/im/sdk/", "/im/sdk/index.html", "/im/rpc/", "/im/ws/", "/im/openrpc.json/", "/im/admin", "/im/sdk/../sdk/", "/im//sdk",
		} {
			r := httptest.NewRequest(http.MethodGet, "http://host.example"+path, nil)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			to := w.Header().Get("Location")
			if w.Code/100 == 3 && !strings.HasPrefix(to, "/im/") {
				t.Errorf("%s redirects to %q", path, to)
			}
		}
	})
}
