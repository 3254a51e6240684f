package im

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"example.com/h5im/transport"
)

// leeway is how far the clocks of a token's issuer and ours may differ.
const leeway = 60 * time.Second

// authenticate asks the host who a request is. A cookie counts only where the
// request provably comes from the host's own origin: a browser sends it along
// for any page.
func (s *server) authenticate(ctx context.Context, h *Handshake, origin transport.Origin) (Identity, error) {
	if r := h.Request; r != nil {
		if h.Token == "" {
			h.Token = bearer(r)
		}
		if origin != transport.Same && r.Header.Get("Cookie") != "" {
			if h.Token == "" {
				return Identity{}, s.refuse(ErrPermissionDenied.With(
					"a cookie counts only with an Origin header, or Sec-Fetch-Site, of the server's own origin; else send a token").At("Origin"))
			}
			ctx = valueless{ctx}
			h.Request = r.WithContext(hostContext(r, origin))
			h.Request.Header = r.Header.Clone()
			h.Request.Header.Del("Cookie")
		}
	}
	if origin != transport.Same && origin != transport.Absent && h.Token == "" {
		return Identity{}, s.refuse(ErrUnauthenticated.With("a page of another origin needs a token"))
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.AuthTimeout)
	defer cancel()
	id, err := s.callAuthenticator(ctx, h)
	if err != nil {
		return Identity{}, s.refuse(err)
	}
	switch {
	case !validUser(id.User):
		return Identity{}, fmt.Errorf("im: the Authenticator returned the user id %q: it must be 1 to 128 bytes of printable UTF-8", id.User)
	case id.User == s.config.HostUser:
		return Identity{}, s.refuse(ErrPermissionDenied.With("this user is the server itself"))
	case !id.ExpiresAt.IsZero() && id.ExpiresAt.Add(leeway).Before(s.config.Now()):
		return Identity{}, s.refuse(ErrTokenExpired)
	}
	return id, nil
}

// hostContext is the context of a request as the host's code may have it. Where
// a cookie proves nothing, neither does what a middleware of the host's has put
// into the context because of it.
func hostContext(r *http.Request, origin transport.Origin) context.Context {
	if origin == transport.Same || r.Header.Get("Cookie") == "" {
		return r.Context()
	}
	return valueless{r.Context()}
}

// valueless is a context without its values.
type valueless struct{ context.Context }

// Value finds nothing.
func (valueless) Value(any) any { return nil }

func (s *server) callAuthenticator(ctx context.Context, h *Handshake) (id Identity, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("im: the Authenticator panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return s.config.Auth.Authenticate(ctx, h)
}

// refuse adds the server's time to an error of authentication, by which a
// client finds out that its clock is wrong.
func (s *server) refuse(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	c := *e
	c.ServerTime = s.config.Now()
	return &c
}

// bearer is the token of the Authorization header (RFC 6750, section 2.1).
func bearer(r *http.Request) string {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
