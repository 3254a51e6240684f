package im

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"time"

	"example.com/h5im/im/wire"
	"example.com/h5im/transport"
)

// Client is a user, or the host, acting in this process. Its methods may be
// called concurrently.
type Client interface {
	// Call runs an operation. req is its params struct or a pointer to it, or
	// anything that encodes to the same JSON; nil: no params. resp, where not
	// nil, points to the result struct, or to what the same JSON decodes into.
	// Errors of the catalogue are *Error. See Call for the typed way in.
	Call(ctx context.Context, op string, req, resp any) error

	// Listen begins a session of a device, which gets the events of its user
	// until Close. It counts as one of the user's sessions. device is 1 to 64
	// bytes of [A-Za-z0-9_.-].
	Listen(ctx context.Context, device string) (Events, error)
}

// HostClient is the Client of the host itself.
type HostClient interface {
	Client
	// On acts as a user, with the powers of the host.
	On(user string) Client
}

// Events are the events of a session in this process. What a slow reader does
// not take in time becomes a gap event, as for any client.
type Events interface {
	// Next waits for an event. After Close, or when the server has ended the
	// session, it returns ErrSessionClosed; when ctx ends, ctx's error.
	Next(ctx context.Context) (Event, error)
	// Session is the id of the session.
	Session() string
	Close() error
}

// Event is a notification from the server.
type Event struct {
	Name   string // wire names, such as "message"
	Params []byte // JSON
}

// Decode reads the params into a pointer to a struct, such as *Message's wire form.
func (e Event) Decode(v any) error { return json.Unmarshal(e.Params, v) }

// Call runs an operation of a client with typed params and result:
//
//	receipt, err := im.Call[im.SendParams, im.SendResult](ctx, srv.As(alice), "message.send", im.SendParams{...})
func Call[Req, Resp any](ctx context.Context, c Client, op string, req Req) (Resp, error) {
	var resp Resp
	err := c.Call(ctx, op, req, &resp)
	return resp, err
}

type client struct {
	server *server
	who    Identity
	host   bool
}

// As acts as a user in this process.
func (s *server) As(who Identity) Client { return &client{server: s, who: who} }

// System acts as the host.
func (s *server) System() HostClient {
	return &hostClient{client{server: s, who: Identity{User: s.config.HostUser}, host: true}}
}

type hostClient struct{ client }

func (c *hostClient) On(user string) Client {
	return &client{server: c.server, who: Identity{User: user}, host: true}
}

// Call goes through the JSON codec, so that what a host passes is checked as
// strictly as what comes from outside.
func (c *client) Call(ctx context.Context, name string, req, resp any) error {
	s := c.server
	if !validUser(c.who.User) {
		return ErrInvalidArgument.With("the identity has no valid user id").At("user")
	}
	var params []byte
	if req != nil {
		var err error
		if params, err = json.Marshal(req); err != nil {
			return fmt.Errorf("im: %s: params: %w", name, err)
		}
		if err := wire.ScanJSON(params, c.server.limits.scan()); err != nil {
			return c.server.public(nil, err)
		}
	}
	op := &Op{Name: name, Identity: c.who, Host: c.host}
	result, err := s.call(ctx, wire.JSON, op, params)
	if err != nil {
		return s.public(op, err)
	}
	return assign(resp, result)
}

// assign copies a result to where the caller wants it.
func assign(resp, result any) error {
	if resp == nil {
		return nil
	}
	to, from := reflect.ValueOf(resp), reflect.ValueOf(result)
	if to.Kind() == reflect.Pointer && to.Type() == from.Type() {
		to.Elem().Set(from.Elem())
		return nil
	}
	b, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("im: result: %w", err)
	}
	if err := json.Unmarshal(b, resp); err != nil {
		return fmt.Errorf("im: result: %w", err)
	}
	return nil
}

// Listen begins a session over a connection that never leaves the process.
func (c *client) Listen(ctx context.Context, device string) (Events, error) {
	s := c.server
	switch {
	case !validUser(c.who.User):
		return nil, ErrInvalidArgument.With("the identity has no valid user id").At("user")
	case !validName(device, 64):
		return nil, ErrInvalidArgument.With("device is 1 to 64 of [A-Za-z0-9_.-]").At("device")
	}
	op := &Op{Name: "session.open", Identity: c.who, Host: c.host, Device: device, Params: &wire.OpenParams{AppID: s.config.AppID, Device: device}}
	if err := s.allow(ctx, op); err != nil {
		return nil, s.public(op, err)
	}
	conn := newLocalConn()
	x := s.newSession(conn, (&http.Request{}).WithContext(ctx), transport.Same)
	x.trusted = true
	if !s.sessions.add(x) {
		return nil, ErrUnavailable.With("the server shuts down")
	}
	go x.read()
	if err := x.open(ctx, c.who, device, time.Now()); err != nil {
		x.close(transport.CloseNormal, "")
		return nil, s.public(op, err)
	}
	return &localEvents{session: x, conn: conn}, nil
}

type localEvents struct {
	session *session
	conn    *localConn
}

func (e *localEvents) Session() string { return e.session.id }

func (e *localEvents) Close() error {
	e.session.close(transport.CloseNormal, "")
	return nil
}

func (e *localEvents) Next(ctx context.Context) (Event, error) {
	for {
		if msg, ok := e.conn.take(); ok {
			answers, err := wire.JSON.ParseServer(msg)
			if err != nil || len(answers) != 1 {
				return Event{}, fmt.Errorf("im: event not readable: %w", err)
			}
			return Event{Name: answers[0].Method, Params: answers[0].Params}, nil
		}
		select {
		case <-e.conn.more:
		case <-e.conn.gone:
			return Event{}, ErrSessionClosed
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// ErrSessionClosed is returned by Events.Next after the session has ended.
var ErrSessionClosed = errors.New("im: session closed")

// localConn is the connection of Listen. It holds as much as one write; what
// waits behind it is bounded by the session's queue.
type localConn struct {
	mu     sync.Mutex
	msgs   []transport.Prepared
	closed bool
	taken  *sync.Cond    // msgs became empty, or closed
	more   chan struct{} // holds a token when msgs has something
	gone   chan struct{} // closed by Close
}

func newLocalConn() *localConn {
	c := &localConn{more: make(chan struct{}, 1), gone: make(chan struct{})}
	c.taken = sync.NewCond(&c.mu)
	return c
}

func (c *localConn) Info() transport.Info {
	return transport.Info{Kind: "local", Format: transport.JSON}
}
func (c *localConn) Prepare(msg []byte) transport.Prepared { return msg }

func (c *localConn) Read() ([]byte, error) {
	<-c.gone
	return nil, transport.ErrClosed
}

func (c *localConn) Write(msgs []transport.Prepared) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.msgs) > 0 && !c.closed {
		c.taken.Wait()
	}
	if c.closed {
		return transport.ErrClosed
	}
	c.msgs = append(c.msgs, msgs...)
	select {
	case c.more <- struct{}{}:
	default:
	}
	return nil
}

func (c *localConn) take() ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.msgs) == 0 {
		return nil, false
	}
	msg := c.msgs[0]
	c.msgs = c.msgs[1:]
	c.taken.Broadcast()
	return msg, true
}

func (c *localConn) Close(int, string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.gone)
		c.taken.Broadcast()
	}
	return nil
}
