package im

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/h5im/im/wire"
	"example.com/h5im/transport"
)

// session is one connection of a device, from accept to close.
//
//	accepted --session.open--> open --reauth--> open
//	    |  OpenTimeout           |  credentials expired, peer gone, drain
//	    +-------------> closed <-+
type session struct {
	server  *server
	conn    transport.Conn
	oneWay  transport.OneWay // conn, if it is one
	codec   wire.Codec
	queue   *outQueue
	id      string
	origin  transport.Origin
	ctx     context.Context // values of the request; ends with the session
	cancel  context.CancelFunc
	since   time.Time
	trusted bool   // of this process: never asked for credentials
	leave   func() // gives back the connection's place among those of its address
	buckets buckets

	mu        sync.Mutex
	request   *http.Request // for the Authenticator; nil when no longer needed
	token     string        // of the last session.open, where it will be asked again
	identity  Identity
	device    string
	client    string
	address   string
	opened    bool
	closed    bool
	timer     *time.Timer // OpenTimeout, then the credentials' end, then the grace
	recheck   *time.Timer // Config.Revalidate
	last      map[string]*ticket
	running   int
	mayRun    *sync.Cond // running sank, or closed
	malformed int
}

// maxMalformed is how many frames that are no protocol a client may send.
const maxMalformed = 8

// SessionInfo describes a session.
type SessionInfo struct {
	ID        string
	Identity  Identity // of a session on another node: User alone
	Device    string
	Client    string // what session.open said it is, "" if nothing: not to be trusted
	Transport string // "websocket", "sse", "poll", "local", ...
	Address   string // where it comes from, as Config.ClientAddress says
	Since     time.Time
}

func (x *session) info() SessionInfo {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.infoLocked()
}

func (x *session) infoLocked() SessionInfo {
	return SessionInfo{
		ID: x.id, Identity: x.identity, Device: x.device, Client: x.client,
		Transport: x.conn.Info().Kind, Address: x.address, Since: x.since,
	}
}

// accept starts a session on a new connection. leave is called at its end.
func (s *server) accept(conn transport.Conn, r *http.Request, origin transport.Origin, address string, leave func()) {
	x := s.newSession(conn, r, origin)
	x.address, x.leave = address, leave
	if !s.sessions.add(x) {
		leave()
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
		server: s, conn: conn, codec: wire.JSON, id: s.ids.mint(), origin: origin, since: s.config.Now(), leave: func() {},
		queue: newOutQueue(conn, &s.limits, s.flushers), last: map[string]*ticket{},
	}
	x.oneWay, _ = conn.(transport.OneWay)
	if conn.Info().Format == transport.Msgpack {
		x.codec = wire.Msgpack
	}
	// The request's context dies with the handshake; its values are the host's.
	values := context.WithoutCancel(hostContext(r, origin))
	x.ctx, x.cancel = context.WithCancel(values)
	x.request = withoutBody(values, r)
	x.mayRun = sync.NewCond(&x.mu)
	x.queue.gap = func(conversation string, rev int64) transport.Prepared {
		return x.encode(wire.EventGap, wire.GapEvent{Conversation: conversation, Rev: rev})
	}
	x.queue.failed = func(error) { x.close(transport.CloseSlow, "the client did not read") }
	return x
}

// withoutBody is what an Authenticator needs of a request that will be over.
func withoutBody(ctx context.Context, r *http.Request) *http.Request {
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
	opened, info := x.opened, x.infoLocked()
	for _, t := range []*time.Timer{x.timer, x.recheck} {
		if t != nil {
			t.Stop()
		}
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
	began := time.Now()
	h := x.credentials(p.Token, p.Device)
	if h.Previous == nil {
		if err := s.opening.enter(ctx); err != nil {
			return nil, err
		}
		defer s.opening.leave()
	}
	id, err := s.authenticate(ctx, h, x.origin)
	if err != nil {
		return nil, err
	}
	if h.Previous != nil && id.User != h.Previous.User {
		return nil, ErrPermissionDenied.With("a session cannot change its user")
	}
	op.Identity, op.Device = id, p.Device
	if err := s.allow(ctx, op); err != nil {
		return nil, err
	}
	x.mu.Lock()
	x.client = cutText(p.Client, maxClientName)
	if s.config.Revalidate > 0 {
		x.token = p.Token
	}
	x.mu.Unlock()
	if err := x.open(ctx, id, p.Device, began); err != nil {
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

// credentials are what the Authenticator sees of a session, for the first time
// or again.
func (x *session) credentials(token, device string) *Handshake {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := &Handshake{Request: x.request, Token: token, Device: device}
	if x.opened {
		previous := x.identity
		h.Previous = &previous
	}
	if h.Request == nil {
		h.Request = (&http.Request{Method: http.MethodGet, URL: new(url.URL), Header: http.Header{}}).WithContext(x.ctx)
	}
	return h
}

// open records who the session is, and attaches it the first time. began is
// when its credentials were taken to be checked.
func (x *session) open(ctx context.Context, id Identity, device string, began time.Time) error {
	s := x.server
	x.mu.Lock()
	first := !x.opened
	if x.closed {
		x.mu.Unlock()
		return ErrUnavailable
	}
	x.identity, x.device = id, device
	info := x.infoLocked()
	x.mu.Unlock()
	if first {
		if err := s.sessions.open(x, id.User); err != nil {
			return err
		}
	}
	err := error(nil)
	if s.revoked.since(began, &info) {
		err = s.refuse(ErrUnauthenticated.With("the session was revoked"))
	} else if first {
		err = s.admit(ctx, x)
	}
	if err != nil {
		if first {
			s.sessions.detach(x, id.User)
		}
		return err
	}
	x.mu.Lock()
	x.opened = true
	if x.timer != nil {
		x.timer.Stop()
	}
	if !id.ExpiresAt.IsZero() {
		x.timer = time.AfterFunc(id.ExpiresAt.Sub(s.config.Now()), x.expire)
	} else if s.config.Revalidate == 0 {
		x.request = nil // the server will not ask again: it costs more memory than the rest of a session
	}
	if s.config.Revalidate > 0 && first && !x.trusted {
		x.recheck = time.AfterFunc(jittered(s.config.Revalidate), x.revalidate)
	}
	closed := x.closed
	x.mu.Unlock()
	if closed {
		s.sessions.remove(x, id.User)
		return ErrUnavailable
	}
	if first {
		for _, f := range s.onOpen {
			f(info)
		}
	}
	return nil
}

// maxClientName is how much is kept of what a client says it is.
const maxClientName = 64

// cutText returns the printable beginning of a text, n bytes at most.
func cutText(s string, n int) string {
	for i, r := range s {
		if i+utf8.RuneLen(r) > n || !unicode.IsPrint(r) {
			return s[:i]
		}
	}
	return s
}

// expire asks for new credentials and closes the session if none come in time.
func (x *session) expire() {
	grace := x.server.limits.ReauthGrace
	x.notify(wire.EventReauth, wire.ReauthEvent{GraceMs: grace.Milliseconds()})
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.closed {
		if x.timer != nil {
			x.timer.Stop()
		}
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
