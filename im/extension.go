package im

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"example.com/h5im/im/hub"
	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// Extension is a feature installed on a server. The core knows none.
type Extension struct {
	// Name is the prefix of its operations, events and records: 1 to 32 of
	// [A-Za-z0-9_.-].
	Name string
	// Install declares what the extension adds. It is called once, by New,
	// before anything is served.
	Install func(*Setup) error
}

// Setup is what an Extension installs itself with. Its declaring methods may be
// called from Install only: later they do nothing but log an error.
type Setup struct {
	server     *server
	name       string
	middleware []Middleware
	sealed     bool
	err        error
}

// declare tells whether a declaration counts. The first mistake makes New fail.
func (s *Setup) declare(mistake error) bool {
	if s.sealed {
		s.server.log.Error("declared after Install", "extension", s.name)
		return false
	}
	s.err = cmp.Or(s.err, mistake)
	return mistake == nil
}

// Operation adds an operation made by NewOperation. Its name must begin with
// the extension's name and a dot.
func (s *Setup) Operation(o Operation) {
	mistake := s.named("operation", o.name)
	if mistake == nil {
		mistake = errors.Join(wire.CheckType(o.params), wire.CheckType(o.result))
	}
	if s.declare(mistake) {
		s.declare(s.server.addOperation(o))
	}
}

// named checks the name of what an extension adds.
func (s *Setup) named(what, name string) error {
	if !strings.HasPrefix(name, s.name+".") || !validName(name, 64) {
		return fmt.Errorf("%s %q: a name begins with %q and is at most 64 of [A-Za-z0-9_.-]", what, name, s.name+".")
	}
	return nil
}

// Notification declares an event and the struct of its params, a zero value of
// which is given, for the OpenRPC document. Its name must begin with the
// extension's name and a dot.
func (s *Setup) Notification(name string, params any) {
	t, mistake := reflect.TypeOf(params), s.named("notification", name)
	if mistake == nil {
		if t == nil || t.Kind() != reflect.Struct {
			mistake = fmt.Errorf("notification %q: params are a struct, not a %T", name, params)
		} else {
			mistake = wire.CheckType(t)
		}
	}
	if s.declare(mistake) {
		s.server.notifications = append(s.server.notifications, notification{name, t})
	}
}

// MessageType adds a type of message: a name of 1 to 64 of [A-Za-z0-9_.-] that
// nobody has taken. validate checks the content, a JSON object, and may be nil;
// its error should be a copy of ErrInvalidArgument.
func (s *Setup) MessageType(name string, validate func(content []byte) error) {
	var mistake error
	if _, taken := s.server.types[name]; taken || !validName(name, 64) {
		mistake = fmt.Errorf("message type %q is taken or no name", name)
	}
	if s.declare(mistake) {
		s.server.types[name] = validate
	}
}

// Use adds a middleware, inside those of Config and of earlier extensions.
func (s *Setup) Use(m Middleware) {
	if s.declare(nil) {
		s.middleware = append(s.middleware, m)
	}
}

// Route serves a path below the mount point, such as "/upload". It answers its
// own origin and authentication questions; see Authenticate.
func (s *Setup) Route(path string, h http.Handler) {
	var mistake error
	if !strings.HasPrefix(path, "/") || path == "/" || strings.HasSuffix(path, "/") || s.server.routes[path] != nil {
		mistake = fmt.Errorf("route %q is taken or no path", path)
	}
	if s.declare(mistake) {
		s.server.routes[path] = h
	}
}

// OnSession is told of sessions that open and close, of several at the same
// time. Neither may block; either may be nil.
func (s *Setup) OnSession(opened, closed func(SessionInfo)) {
	if !s.declare(nil) {
		return
	}
	if opened != nil {
		s.server.onOpen = append(s.server.onOpen, opened)
	}
	if closed != nil {
		s.server.onClose = append(s.server.onClose, closed)
	}
}

// Feature is named in the answer of session.open, so that clients know.
func (s *Setup) Feature(name string) {
	if s.declare(nil) {
		s.server.features = append(s.server.features, name)
	}
}

// Go runs f in a goroutine of the server's: ctx ends when the server shuts
// down, and Shutdown waits for f.
func (s *Setup) Go(f func(ctx context.Context)) { s.server.work.Go(func() { f(s.server.base) }) }

// Tail runs Server.Tail from New until the server shuts down. The name of its
// consumer must begin with the extension's name and a dot. A new one that begins
// with FromNow misses nothing that is sent after New has returned.
func (s *Setup) Tail(consumer string, opts *TailOptions, fn func(ctx context.Context, c Change) error) {
	t, mistake := s.server.newTail(context.Background(), consumer, opts, fn)
	if mistake == nil {
		mistake = s.named("tail", consumer)
	}
	if mistake == nil && slices.ContainsFunc(s.server.tailed, func(t *tail) bool { return t.consumer == consumer }) {
		mistake = fmt.Errorf("tail %q is declared twice", consumer)
	}
	if s.declare(mistake) {
		if t.start < 0 {
			t.start = s.server.info.Position
		}
		s.server.tailed = append(s.server.tailed, t)
	}
}

// System is the host's client, for use after New has returned.
func (s *Setup) System() HostClient { return s.server.System() }

// Authenticate asks the host's Authenticator who an HTTP request of a Route is,
// under the same rules about origins and cookies as everywhere.
func (s *Setup) Authenticate(r *http.Request) (Identity, error) {
	return s.server.authenticate(r.Context(), &Handshake{Request: r}, s.server.origins.Check(r))
}

// Notify sends an event to all sessions of some users. It is not stored. name is
// one that Notification has declared, and params is of the type declared with it
// or a pointer to it. It may be called at any time after Install.
func (s *Setup) Notify(users []string, name string, params any) error {
	if !slices.ContainsFunc(s.server.notifications, func(n notification) bool {
		return n.name == name && strings.HasPrefix(name, s.name+".") && n.params == reflect.Indirect(reflect.ValueOf(params)).Type()
	}) {
		return fmt.Errorf("im: extension %s: notification %q is not declared with a %T", s.name, name, params)
	}
	body, err := wire.JSON.AppendEvent(eventHeader("", 512), name, params)
	if err != nil {
		return fmt.Errorf("im: notification %s cannot be sent: %w", name, err)
	}
	topics := make([]string, len(users))
	for i, u := range users {
		topics[i] = userTopic(u)
	}
	s.server.publisher.do(func() {
		s.server.publisher.send(topics, hub.Envelope{Class: hub.Signal, Payload: body})
	})
	return nil
}

// Records is the extension's own space of records.
func (s *Setup) Records() Records { return Records{store: s.server.store, namespace: s.name} }

// Records is one namespace of the store's records. See store.Records.
type Records struct {
	store     store.Store
	namespace string
}

// Get reads one record; store.ErrNotFound if it is absent or expired.
func (r Records) Get(ctx context.Context, key string, now store.Millis) (store.Record, error) {
	return r.store.GetRecord(ctx, r.namespace, key, now)
}

// Write does all writes in one transaction or none.
func (r Records) Write(ctx context.Context, writes ...store.RecordWrite) ([]int64, error) {
	for i := range writes {
		writes[i].Namespace = r.namespace
	}
	return r.store.WriteRecords(ctx, writes)
}

// List reads records in key order.
func (r Records) List(ctx context.Context, q store.RecordsQuery) ([]store.Record, error) {
	q.Namespace = r.namespace
	return r.store.ListRecords(ctx, q)
}

type notification struct {
	name   string
	params reflect.Type
}
