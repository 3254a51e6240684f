package im

import (
	"context"
	"net/http"
	"time"
)

// Identity is who somebody is, as the host says.
type Identity struct {
	// User is the host's id of the user: 1 to 128 bytes of printable UTF-8.
	User string
	// ExpiresAt is when the credentials end; the zero time: never. The session
	// is asked for new ones and closed 25 s later if none come.
	ExpiresAt time.Time
	// Attrs are the host's own, for its Policy and Middleware.
	Attrs map[string]string
}

// Handshake is what an Authenticator sees.
type Handshake struct {
	// Request is the HTTP request that opened the connection, or the POST; it is
	// never nil. Where a request with a cookie does not provably come from the
	// host's own origin, the Cookie header and all values of its context are
	// absent, so that a foreign page cannot borrow a visitor's session. When an
	// identity without ExpiresAt is renewed, the request is an empty one.
	Request *http.Request
	// Token is that of session.open, or else the bearer token of the request.
	Token string
	// Device is the client's installation; "" for POST /rpc.
	Device string
	// Previous is the identity that a session renews, nil otherwise.
	Previous *Identity
}

// Authenticator says who a request is. It is called for every session.open and
// every POST, concurrently, with a context that ends when the server gives up
// waiting.
//
// To refuse it returns an error of the catalogue: ErrUnauthenticated,
// ErrTokenExpired, ErrClockSkew, ErrPermissionDenied, ErrRateLimited. Any other
// error means that it could not tell, and the client tries again later. Compare
// times with 60 s of leeway.
type Authenticator interface {
	Authenticate(ctx context.Context, h *Handshake) (Identity, error)
}

// AuthenticatorFunc is a function as an Authenticator.
type AuthenticatorFunc func(ctx context.Context, h *Handshake) (Identity, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(ctx context.Context, h *Handshake) (Identity, error) {
	return f(ctx, h)
}

// Policy says who may do what, beyond the rules of the operation table. It runs
// before Middleware, and an error denies. nil means the table's rules alone.
type Policy interface {
	// Allow is called for every operation of a user, concurrently. It must not
	// change op. Errors are treated as an Authenticator's.
	Allow(ctx context.Context, who Identity, op *Op) error
}

// PolicyFunc is a function as a Policy.
type PolicyFunc func(ctx context.Context, who Identity, op *Op) error

// Allow calls f.
func (f PolicyFunc) Allow(ctx context.Context, who Identity, op *Op) error { return f(ctx, who, op) }

// ConversationNamer is a Policy that lets users choose the id of a new
// conversation. Without it only System may.
type ConversationNamer interface {
	AllowName(ctx context.Context, who Identity, id string) error
}

// Directory knows the host's users. It is optional: without one every valid id
// is somebody, and profiles carry the id alone.
type Directory interface {
	// Profiles returns what the host tells of these users, by id. Ids that it
	// does not return do not exist. Called concurrently, with 1 to 500 ids.
	Profiles(ctx context.Context, ids []string) (map[string]Profile, error)
}

// Profile is what a host tells of a user.
type Profile struct {
	Name   string
	Avatar string // a URL
	Ext    []byte // a JSON object of the host's own, or nil
}
