package im

import (
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
// called from Install only.
type Setup struct {
	server     *server
	name       string
	middleware []Middleware
	sealed     bool
	err        error
}

// declare notes the first mistake, which makes New fail.
func (s *Setup) declare(err error) {
	if s.sealed {
		err = errors.New("declared after Install")
	}
	if s.err == nil {
		s.err = err
	}
}

// Operation adds an operation made by NewOperation. Its name must begin with
// the extension's name and a dot.
func (s *Setup) Operation(o Operation) {
	if !strings.HasPrefix(o.name, s.name+".") || o.handle == nil {
		s.declare(fmt.Errorf("operation %q must begin with %q", o.name, s.name+"."))
		return
	}
	s.declare(errors.Join(wire.CheckType(o.params), wire.CheckType(o.result), s.server.addOperation(o)))
}

// Notification declares an event and the struct of its params, a zero value of
// which is given, for the OpenRPC document. Its name must begin with the
// extension's name and a dot.
func (s *Setup) Notification(name string, params any) {
	t := reflect.TypeOf(params)
	if !strings.HasPrefix(name, s.name+".") || t == nil || t.Kind() != reflect.Struct {
		s.declare(fmt.Errorf("notification %q must begin with %q and have a struct", name, s.name+"."))
		return
	}
	s.declare(wire.CheckType(t))
	s.server.notifications = append(s.server.notifications, notification{name, t})
}

// MessageType adds a type of message. validate checks the content, a JSON
// object, and may be nil; its error should be a copy of ErrInvalidArgument.
func (s *Setup) MessageType(name string, validate func(content []byte) error) {
	if _, taken := s.server.types[name]; taken || !validName(name, 64) {
		s.declare(fmt.Errorf("message type %q is taken or no name", name))
		return
	}
	s.declare(nil)
	s.server.types[name] = validate
}

// Use adds a middleware, inside those of Config and of earlier extensions.
func (s *Setup) Use(m Middleware) {
	s.declare(nil)
	s.middleware = append(s.middleware, m)
}

// Route serves a path below the mount point, such as "/upload". It answers its
// own origin and authentication questions; see Authenticate.
func (s *Setup) Route(path string, h http.Handler) {
	if !strings.HasPrefix(path, "/") || path == "/" || strings.HasSuffix(path, "/") || s.server.routes[path] != nil {
		s.declare(fmt.Errorf("route %q is taken or no path", path))
		return
	}
	s.declare(nil)
	s.server.routes[path] = h
}

// OnSession is told of sessions that open and close, of several at the same
// time. Neither may block; either may be nil.
func (s *Setup) OnSession(opened, closed func(SessionInfo)) {
	s.declare(nil)
	if opened != nil {
		s.server.onOpen = append(s.server.onOpen, opened)
	}
	if closed != nil {
		s.server.onClose = append(s.server.onClose, closed)
	}
}

// Feature is named in the answer of session.open, so that clients know.
func (s *Setup) Feature(name string) {
	s.declare(nil)
	s.server.features = append(s.server.features, name)
}

// Go runs f in a goroutine of the server's: ctx ends when the server shuts
// down, and Shutdown waits for f.
func (s *Setup) Go(f func(ctx context.Context)) { s.server.work.Go(func() { f(s.server.base) }) }

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
