package im

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"example.com/h5im/im/wire"
	"example.com/h5im/transport"
)

// session is one connection of a device, from accept to close.
//
//	accepted --session.open--> open --reauth--> open
//	    |  OpenTimeout           |  credentials expired, peer gone, drain
//	    +-------------> closed <-+
type session struct {
	server *server
	conn   transport.Conn
	oneWay transport.OneWay // conn, if it is one
	codec  wire.Codec
	queue  *outQueue
	id     string
	origin transport.Origin
	ctx    context.Context // values of the request; ends with the session
	cancel context.CancelFunc

	mu        sync.Mutex
	request   *http.Request // for the Authenticator; nil when no longer needed
	identity  Identity
	device    string
	opened    bool
	closed    bool
	timer     *time.Timer // OpenTimeout, then the credentials' end, then the grace
	last      map[string]*ticket
	running   int
	mayRun    *sync.Cond // running sank, or closed
	malformed int
}

// maxMalformed is how many frames that are no protocol a client may send.
const maxMalformed = 8

// SessionInfo describes a session to an Extension.
type SessionInfo struct {
	ID       string
	Identity Identity
	Device   string
}

// accept starts a session on a new connection.
func (s *server) accept(conn transport.Conn, r *http.Request, origin transport.Origin) {
	x := s.newSession(conn, r, origin)
	if !s.sessions.add(x) {
		_ = conn.Close(transport.CloseRestart, "the server restarts")
		return
	}
	x.mu.Lock()
	x.timer = time.AfterFunc(s.limits.OpenTimeout, func() {
		x.close(transport.CloseOpenTimeout, "no session.open in time")
	})
	x.mu.Unlock()
	go x.read()
}

func (s *server) newSession(conn transport.Conn, r *http.Request, origin transport.Origin) *session {
	x := &session{
		server: s, conn: conn, codec: wire.JSON, id: s.ids.mint(), origin: origin,
		queue: newOutQueue(conn, &s.limits, s.flushers), last: map[string]*ticket{},
	}
	x.oneWay, _ = conn.(transport.OneWay)
	if conn.Info().Format == transport.Msgpack {
		x.codec = wire.Msgpack
	}
	// The request's context dies with the handshake; its values are the host's.
	values := context.WithoutCancel(hostContext(r, origin))
	x.ctx, x.cancel = context.WithCancel(values)
	x.request = withoutBody(r, values)
	x.mayRun = sync.NewCond(&x.mu)
	x.queue.gap = func(conversation string, rev int64) transport.Prepared {
		return x.encode(wire.EventGap, wire.GapEvent{Conversation: conversation, Rev: rev})
	}
	x.queue.failed = func(error) { x.close(transport.CloseSlow, "the client did not read") }
	return x
}

// withoutBody is what an Authenticator needs of a request that will be over.
func withoutBody(r *http.Request, ctx context.Context) *http.Request {
	return (&http.Request{
		Method: r.Method, URL: r.URL, Header: r.Header, Host: r.Host, RemoteAddr: r.RemoteAddr,
		RequestURI: r.RequestURI, TLS: r.TLS, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
	}).WithContext(ctx)
}

// read takes frames until the connection ends.
func (x *session) read() {
	defer x.server.sessions.forget(x)
	defer x.close(transport.CloseNormal, "")
	for {
		frame, err := x.conn.Read()
		if err != nil {
			if !errors.Is(err, transport.ErrClosed) {
				x.server.log.Debug("connection ended", "session", x.id, "err", err)
			}
			return
		}
		if !x.receive(frame) {
			return
		}
		if x.oneWay != nil && !x.isOpen() { // and no frame can follow
			_ = x.queue.flushed(x.ctx)
			x.close(transport.CloseUnauthenticated, "session.open comes first")
		}
	}
}

func (x *session) isOpen() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.opened
}

// encode makes an event ready to send; nil if it cannot be encoded.
func (x *session) encode(method string, params any) transport.Prepared {
	b, err := x.codec.AppendEvent(nil, method, params)
	if err != nil {
		x.server.log.Error("event not encoded", "method", method, "err", err)
		return nil
	}
	return x.conn.Prepare(b)
}

// notify sends an event of this session alone.
func (x *session) notify(method string, params any) {
	if msg := x.encode(method, params); msg != nil && x.queue.event(msg, "", 0) {
		x.server.flushers.add(x.queue)
	}
}

// close ends the session once: code and reason are told where the transport can.
func (x *session) close(code int, reason string) {
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		return
	}
	x.closed = true
	opened, info := x.opened, SessionInfo{ID: x.id, Identity: x.identity, Device: x.device}
	if x.timer != nil {
		x.timer.Stop()
	}
	x.mayRun.Broadcast()
	x.mu.Unlock()

	x.server.sessions.remove(x, info.Identity.User)
	x.queue.close()
	_ = x.conn.Close(code, reason)
	x.cancel()
	if opened {
		for _, f := range x.server.onClose {
			f(info)
		}
	}
}

// openSession is session.open: the first time it opens, later it renews.
func (s *server) openSession(ctx context.Context, op *Op, p *wire.OpenParams) (*wire.OpenResult, error) {
	x := op.session
	if x == nil {
		return nil, ErrUnsupported.With("session.open needs a connection; POST authenticates every request")
	}
	if p.AppID != s.config.AppID {
		return nil, ErrAppUnknown.At("appId")
	}
	if !validName(p.Device, 64) {
		return nil, ErrInvalidArgument.With("device is 1 to 64 of [A-Za-z0-9_.-]").At("device")
	}
	x.mu.Lock()
	request, opened := x.request, x.opened
	var previous *Identity
	if opened {
		id := x.identity
		previous = &id
	}
	x.mu.Unlock()

	if request == nil {
		request = (&http.Request{Method: http.MethodGet, URL: new(url.URL), Header: http.Header{}}).WithContext(x.ctx)
	}
	id, err := s.authenticate(ctx, &Handshake{Request: request, Token: p.Token, Device: p.Device, Previous: previous}, x.origin)
	if err != nil {
		return nil, err
	}
	if opened && id.User != previous.User {
		return nil, ErrPermissionDenied.With("a session cannot change its user")
	}
	op.Identity, op.Device = id, p.Device
	if err := s.allow(ctx, op); err != nil {
		return nil, err
	}
	if err := x.open(id, p.Device); err != nil {
		return nil, err
	}
	result := &wire.OpenResult{
		Session: x.id, User: id.User, Device: p.Device, ServerTime: int64(s.now()), Epoch: s.info.Epoch,
		Limits: s.limits.wire(), Features: s.features,
	}
	if !id.ExpiresAt.IsZero() {
		result.ExpiresAt = id.ExpiresAt.UnixMilli()
	}
	return result, nil
}

// open records who the session is, and attaches it the first time.
func (x *session) open(id Identity, device string) error {
	s := x.server
	x.mu.Lock()
	first := !x.opened
	if x.closed {
		x.mu.Unlock()
		return ErrUnavailable
	}
	x.identity, x.device = id, device
	x.mu.Unlock()
	if first {
		if err := s.sessions.open(x, id.User); err != nil {
			return err
		}
	}
	x.mu.Lock()
	x.opened = true
	if x.timer != nil {
		x.timer.Stop()
	}
	if id.ExpiresAt.IsZero() {
		x.request = nil // the server will not ask again: it costs more memory than the rest of a session
	} else {
		x.timer = time.AfterFunc(id.ExpiresAt.Sub(s.config.Now()), x.expire)
	}
	closed := x.closed
	x.mu.Unlock()
	if closed {
		s.sessions.remove(x, id.User)
		return ErrUnavailable
	}
	if first {
		for _, f := range s.onOpen {
			f(SessionInfo{ID: x.id, Identity: id, Device: device})
		}
	}
	return nil
}

// expire asks for new credentials and closes the session if none come in time.
func (x *session) expire() {
	grace := x.server.limits.ReauthGrace
	x.notify(wire.EventReauth, wire.ReauthEvent{GraceMs: grace.Milliseconds()})
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.closed {
		x.timer = time.AfterFunc(grace, func() { x.close(transport.CloseExpired, "the credentials have expired") })
	}
}

// closeSession is session.close. The connection closes after the answer.
func (s *server) closeSession(context.Context, *Op, *wire.Empty) (*wire.Empty, error) {
	return &wire.Empty{}, nil
}

func (s *server) ping(_ context.Context, op *Op, _ *wire.Empty) (*wire.PingResult, error) {
	if x := op.session; x != nil && x.oneWay != nil {
		x.oneWay.Beat()
	}
	return &wire.PingResult{ServerTime: int64(s.now())}, nil
}

func (l *Limits) wire() wire.Limits {
	return wire.Limits{
		FrameBytes: l.FrameBytes, ContentBytes: l.ContentBytes, Batch: l.Batch, Page: l.Page, MaxPage: l.MaxPage,
		TitleBytes: l.TitleBytes, MembersPerCall: l.MembersPerCall, Members: l.Members, Mentions: l.Mentions,
		SessionsPerUser: l.SessionsPerUser, NewDirectPeersPerHour: l.NewDirectPeersPerHour,
	}
}
