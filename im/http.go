package im

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"example.com/h5im/im/wire"
	"example.com/h5im/sdkjs"
	"example.com/h5im/transport"
)

// coreRoutes are the paths below the mount point. There is no http.ServeMux
// below: it would redirect out of the mount.
func (s *server) coreRoutes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"/rpc":          http.HandlerFunc(s.serveRPC),
		"/openrpc.json": http.HandlerFunc(s.serveOpenRPC),
		"/sdk":          sdkHandler(sdkjs.FS()),
	}
	transports := s.config.Transports
	if transports == nil {
		transports = defaultTransports()
	}
	for _, t := range transports {
		routes[t.Path()] = s.transportHandler(t)
	}
	return routes
}

// ServeHTTP serves a path below the mount point: exactly a route's, or below it.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() && r.Header.Get(sessionHeader) == "" {
		w.Header().Set("Retry-After", strconv.Itoa(int(goawayRetry.Seconds())))
		httpError(w, http.StatusServiceUnavailable, "the server shuts down")
		return
	}
	p := path.Clean("/" + r.URL.Path)
	for route := p; route != "/"; route = path.Dir(route) {
		if h := s.routes[route]; h != nil {
			h.ServeHTTP(w, r)
			return
		}
	}
	httpError(w, http.StatusNotFound, "not an endpoint of the IM server; is it mounted with http.StripPrefix?")
}

// transportHandler checks the origin, which no transport does, and makes a
// session of every connection.
func (s *server) transportHandler(t transport.Transport) http.Handler {
	limits := transport.Limits{
		MaxFrameBytes: s.limits.FrameBytes, WriteTimeout: s.limits.WriteTimeout, PingInterval: s.limits.PingInterval,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin, ok := s.checkOrigin(w, r)
		if !ok {
			return
		}
		if name := r.Header.Get(sessionHeader); name != "" {
			s.resume(w, r, origin, name)
			return
		}
		address := s.clientAddress(r)
		if !s.addresses.enter(address) {
			w.Header().Set("Retry-After", "60")
			httpError(w, http.StatusTooManyRequests, "too many connections from this address")
			return
		}
		if err := s.handshakes.enter(r.Context()); err != nil {
			s.addresses.leave(address)
			s.refuseRPC(w, mediaJSON, wire.JSON, s.public(nil, err))
			return
		}
		shaken := sync.OnceFunc(s.handshakes.leave)
		err := t.Serve(w, r, limits, func(conn transport.Conn) {
			shaken()
			s.accept(conn, r, origin, address, func() { s.addresses.leave(address) })
		})
		shaken()
		if err != nil {
			s.addresses.leave(address)
			s.log.Debug("connection refused", "path", r.URL.Path, "remote", r.RemoteAddr, "err", err)
		}
	})
}

// checkOrigin answers what may not come from where it does, and CORS
// (https://fetch.spec.whatwg.org/#cors-preflight-fetch) for pages of other
// origins: with a token, never for credentials.
func (s *server) checkOrigin(w http.ResponseWriter, r *http.Request) (origin transport.Origin, ok bool) {
	origin = s.origins.Check(r)
	if origin == transport.Foreign {
		httpError(w, http.StatusForbidden, "this origin may not connect; list it in Config.AllowedOrigins, or set Config.PublicOrigin behind a proxy")
		return origin, false
	}
	h := w.Header()
	if origin == transport.Allowed {
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		h.Set("Access-Control-Expose-Headers", "Date, Retry-After")
	}
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, "+sessionHeader)
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return origin, false
	}
	return origin, true
}

// sdkHandler serves the browser SDK to any page: it is public.
func sdkHandler(files fs.FS) http.Handler {
	tags := map[string]string{}
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if b, err := fs.ReadFile(files, name); err == nil {
				tags[name] = fmt.Sprintf(`"%x"`, sha256.Sum256(b))
			}
		}
		return err
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, name, _ := strings.Cut(path.Clean("/"+r.URL.Path), "/sdk/")
		tag, found := tags[name]
		if !found {
			httpError(w, http.StatusNotFound, "there is no such file in the SDK")
			return
		}
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Cross-Origin-Resource-Policy", "cross-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache") // a deploy changes it; the ETag answers 304
		h.Set("ETag", tag)
		http.ServeFileFS(w, r, files, name)
	})
}

func httpError(w http.ResponseWriter, status int, message string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte("im: " + message + "\n"))
}
