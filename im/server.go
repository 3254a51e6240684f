package im

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"example.com/h5im/im/hub"
	"example.com/h5im/store"
	"example.com/h5im/transport"
)

// Server is a chat server. It is made by New and used by mounting it:
//
//	mux.Handle("/im/", http.StripPrefix("/im", srv))
//
// All methods may be called concurrently. The interface is sealed, so that
// methods can be added.
type Server interface {
	http.Handler

	// As acts as a user, in this process: every operation of the protocol under
	// the same policy and middleware as from outside. The identity is trusted.
	As(who Identity) Client

	// System acts as the host: every operation, without policy and without
	// asking for membership.
	System() HostClient

	// Revoke ends the open sessions that sel chooses, on all nodes and within a
	// second: each is told reason, and its client does not come back by itself
	// (close code 4201). It returns how many there were; with an error too, when
	// a node did not answer. It refuses no one who comes later: make the
	// Authenticator do so first. A session whose credentials were being checked
	// meanwhile does not open.
	Revoke(ctx context.Context, sel Selector, reason string) (closed int, err error)

	// Tail calls fn for every change of the store, messages first of all, until
	// ctx ends or the server shuts down, and then returns nil; an error tells that
	// the arguments are wrong, that this server runs the consumer already, or that
	// the last position was not stored. It never fails for a store that does.
	//
	// consumer (1 to 64 of [A-Za-z0-9_.-]) names whose position it is: that is
	// stored at most once a second and at the end, and the next Tail of the same
	// name, on any node, goes on from there. One node at a time runs it; where
	// several call Tail the others wait and take over at once when it is given
	// back, and within 12 s when its node died.
	//
	// Every change is given at least once, and those of a conversation in order,
	// one after the other: fn should do nothing the second time it sees a
	// Position (or message ID). It gets the object as it is now, so that an edit
	// that fell behind comes twice in its last state; expired messages are left
	// out. Its ctx ends with Timeout, the server, or the lease; then it has to
	// return, for another node may begin. What it is given is its own.
	//
	// An error of fn, or a panic, is tried again later while other conversations
	// go on, and in the end becomes a dead letter, after which the conversation
	// goes on. See TailOptions and DeadLetters.
	Tail(ctx context.Context, consumer string, opts *TailOptions, fn func(ctx context.Context, c Change) error) error

	// Tails lists the consumers that the store knows, by name: where each is, who
	// runs it, and how far it is behind.
	Tails(ctx context.Context) ([]TailStatus, error)

	// DeadLetters are the changes that a consumer gave up, to be listed, tried
	// again, or dropped.
	DeadLetters(consumer string) DeadLetters

	// Ready is nil while the server can serve, for a readiness probe.
	Ready() error

	// Shutdown refuses new connections, tells clients to go away, lets running
	// operations finish, flushes what clients are owed, and closes everything
	// that the server opened. Tails begin nothing more; their calls that still run
	// after the drain window have their contexts cancelled, and their positions
	// are stored. When ctx ends first, what is left is cut and
	// ctx's error returned; nothing acknowledged is lost either way. A later
	// call waits for the first. Call it before http.Server.Shutdown, which does
	// not know of upgraded connections.
	Shutdown(ctx context.Context) error

	sealed()
}

type server struct {
	config  Config
	log     *slog.Logger
	limits  Limits
	store   store.Store
	info    store.Info
	hub     hub.Hub
	table   map[string]*Operation
	methods []*Operation // in order
	handler Handler      // policy, middleware, operation
	// rewrites: there is middleware, which may change what is sent.
	rewrites bool
	types    map[string]func(content []byte) error
	routes   map[string]http.Handler
	origins  *transport.Origins
	cursors  *cursorSealer
	ids      *sessionIDs

	features      []string
	notifications []notification
	onOpen        []func(SessionInfo)
	onClose       []func(SessionInfo)

	appender  *appender
	publisher *publisher
	sessions  *registry
	flushers  *flushers
	newPeers  *peerLimit
	users     userBuckets
	revoked   revocations
	addresses addresses
	directs   directs
	tails     tails
	tailed    []*tail // by extensions

	handshakes *gate // of connections that begin
	opening    *gate // of session.open
	heavy      *gate // of operations that walk or write many rows

	ownsStore bool
	base      context.Context // of everything that runs; cancelled last
	cancel    context.CancelFunc
	work      sync.WaitGroup // goroutines of sessions, appender, publisher and extensions
	calls     inFlight       // operations that run
	draining  atomic.Bool
	shutdown  sync.Once
	done      chan struct{}
	doneErr   error
}

// New makes a server. It opens the default store where Config names none.
func New(c Config) (Server, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	origins, err := transport.NewOrigins(c.PublicOrigin, c.AllowedOrigins)
	if err != nil {
		return nil, fmt.Errorf("im: %w", err)
	}
	s := &server{
		config: c, log: c.Logger, limits: c.Limits, store: c.Store, hub: c.Hub,
		table: map[string]*Operation{}, types: builtinTypes(), origins: origins,
		newPeers: newPeerLimit(c.Limits.NewDirectPeersPerHour, c.Now), done: make(chan struct{}),
	}
	processors := runtime.GOMAXPROCS(0)
	s.handshakes = newGate(4*processors, maxWaiting, gatePatience)
	s.handshakes.rest = shakeRest
	s.opening = newGate(c.Limits.Opening, maxWaiting, gatePatience)
	s.heavy = newGate(8*processors, maxWaiting, gatePatience)
	s.addresses = addresses{limit: c.Limits.SessionsPerAddress, count: map[string]int{}}
	s.revoked.keep = 2 * c.Limits.AuthTimeout
	s.base, s.cancel = context.WithCancel(context.Background())
	s.sessions = newRegistry(s)
	s.flushers = newFlushers()
	s.appender = &appender{server: s}
	s.publisher = &publisher{server: s, members: map[string]memberList{}, keep: maxMemberLists}
	for _, o := range operations() {
		if err := s.addOperation(o); err != nil {
			return nil, err
		}
	}
	s.routes = s.coreRoutes()
	if err := s.open(); err != nil {
		s.abandon()
		return nil, err
	}
	s.serveTails()
	if c.Retention != nil {
		s.work.Go(s.keepRetention)
	}
	return s, nil
}

// open starts what has to be closed again.
func (s *server) open() (err error) {
	if s.store == nil {
		if s.store, err = s.config.defaultStore(); err != nil {
			return err
		}
		s.ownsStore = true
	}
	if s.info, err = s.store.Info(s.base); err != nil {
		return fmt.Errorf("im: store: %w", err)
	}
	if s.cursors, err = newCursorSealer(s.info, s.config.AppID, s.config.Now); err != nil {
		return err
	}
	middleware := s.config.Middleware
	for _, e := range s.config.Extensions {
		setup := &Setup{server: s, name: e.Name}
		if !validName(e.Name, 32) || e.Install == nil {
			return fmt.Errorf("im: extension %q: needs a name of [A-Za-z0-9_.-] and an Install", e.Name)
		}
		if err := errors.Join(e.Install(setup), setup.err); err != nil {
			return fmt.Errorf("im: extension %s: %w", e.Name, err)
		}
		setup.sealed = true
		middleware = append(middleware[:len(middleware):len(middleware)], setup.middleware...)
	}
	s.handler = s.chain(middleware)
	s.rewrites = len(middleware) > 0
	if s.hub == nil {
		s.hub = hub.NewLocal()
	}
	if s.ids, err = newSessionIDs(s.info, s.hub.Node()); err != nil {
		return err
	}
	err = s.hub.Start(s.base, hub.Handler{
		Deliver: s.sessions.deliver,
		Answer:  s.answerNode,
		Gap:     s.sessions.gap,
	})
	if err != nil {
		return fmt.Errorf("im: hub: %w", err)
	}
	return nil
}

// abandon undoes a New that failed.
func (s *server) abandon() {
	s.cancel()
	s.work.Wait()
	if s.ownsStore {
		_ = s.store.Close() // New's own error is the one to tell
	}
}

func (s *server) sealed() {}

func (s *server) addOperation(o Operation) error {
	if s.table[o.name] != nil {
		return fmt.Errorf("im: operation %s is declared twice", o.name)
	}
	s.table[o.name] = &o
	s.methods = append(s.methods, &o)
	return nil
}

// now is the server's time as records keep it.
func (s *server) now() store.Millis { return store.MillisOf(s.config.Now()) }

// Ready is nil while the server can serve.
func (s *server) Ready() error {
	if s.draining.Load() {
		return ErrUnavailable.With("the server shuts down")
	}
	ctx, cancel := context.WithTimeout(s.base, s.limits.AuthTimeout)
	defer cancel()
	if _, err := s.store.Info(ctx); err != nil {
		return fmt.Errorf("im: store: %w", err)
	}
	return nil
}
