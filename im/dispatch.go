package im

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"example.com/h5im/im/wire"
	"example.com/h5im/store"
	"example.com/h5im/transport"
)

// request is one request on its way through a session.
type request struct {
	id     wire.ID
	op     *Operation
	params any
	place  *ticket
	answer func([]byte) // takes the encoded answer
}

// ticket is a request's place in its session's order. Operations of a session
// on one conversation, and the requests of one batch, commit in arrival order;
// others run at the same time. A send that follows a send need not wait for the
// commit: its place in the appender's queue is enough.
type ticket struct {
	send   bool
	before [2]*ticket    // of the conversation, and of the batch
	staged chan struct{} // closed when the append is queued, at the latest with done
	done   chan struct{}
	once   sync.Once
}

func newTicket(send bool) *ticket {
	return &ticket{send: send, staged: make(chan struct{}), done: make(chan struct{})}
}

func (t *ticket) wait() {
	for _, b := range t.before {
		switch {
		case b == nil:
		case b.send && t.send:
			<-b.staged
		default:
			<-b.done
		}
	}
	t.before = [2]*ticket{}
}

func (t *ticket) stage() { t.once.Do(func() { close(t.staged) }) }

func (t *ticket) finish() {
	t.stage()
	close(t.done)
}

// receive takes one frame and starts its requests. It returns false when the
// session should end.
func (x *session) receive(frame []byte) bool {
	reqs, _, err := x.codec.Parse(frame, x.server.limits.scan())
	if err != nil {
		x.reply(x.errorAnswer(wire.NullID(), x.server.public(nil, err)))
		if x.malformed++; x.malformed > maxMalformed {
			x.close(transport.CloseProtocol, "this is not the protocol")
			return false
		}
		return true
	}
	if !x.run(reqs, func(int) func([]byte) { return x.reply }) {
		return false
	}
	x.queue.waitForRoom()
	return true
}

// run starts the requests of a frame, each with where its answer goes. It
// returns false when the session has closed meanwhile.
func (x *session) run(reqs []wire.Request, answer func(i int) func([]byte)) bool {
	var before *ticket
	for i := range reqs {
		if reqs[i].Err != nil {
			answer(i)(x.errorAnswer(reqs[i].ID, ErrorFromWire(reqs[i].Err)))
			continue
		}
		if reqs[i].ID.IsNone() {
			continue // no operation of this version is ephemeral
		}
		r, err := x.decode(&reqs[i])
		if err != nil {
			answer(i)(x.errorAnswer(reqs[i].ID, x.server.public(nil, err)))
			continue
		}
		r.answer = answer(i)
		if !x.start(r, before) {
			return false
		}
		before = r.place
	}
	return true
}

func (l *Limits) scan() wire.ScanLimits { return wire.ScanLimits{MaxBatch: l.Batch} }

// decode finds a request's operation and reads its params, those of a stranger
// for session.open alone.
func (x *session) decode(r *wire.Request) (*request, error) {
	o := x.server.table[r.Method]
	if o == nil {
		return nil, ErrMethodNotFound
	}
	x.mu.Lock()
	opened := x.opened
	x.mu.Unlock()
	if !opened && o.need != needNothing {
		return nil, x.server.refuse(ErrUnauthenticated.With("session.open comes first"))
	}
	params := o.newParams()
	if err := x.codec.Decode(r.Params, params); err != nil {
		return nil, err
	}
	return &request{id: r.ID, op: o, params: params, place: newTicket(o.need == needSender)}, nil
}

// start runs a request in its place, when there is room for one more.
func (x *session) start(r *request, before *ticket) bool {
	x.mu.Lock()
	for x.running >= x.server.limits.InFlight && !x.closed {
		x.mayRun.Wait()
	}
	if x.closed {
		x.mu.Unlock()
		return false
	}
	x.running++
	key := ""
	if r.op.conversation != nil {
		key = r.op.conversation(x.identity.User, r.params)
	}
	r.place.before[1] = before
	if key != "" {
		r.place.before[0] = x.last[key]
		x.last[key] = r.place
	}
	op := &Op{
		Name: r.op.name, Identity: x.identity, Session: x.id, Device: x.device,
		Conversation: key, Params: r.params, session: x, remote: !x.trusted, staged: r.place.stage,
	}
	x.mu.Unlock()
	if r.op.need == needNothing {
		x.serve(r, op) // what follows in the same breath belongs to the open session
	} else {
		x.server.work.Go(func() { x.serve(r, op) })
	}
	return true
}

// serve runs one request and answers it.
func (x *session) serve(r *request, op *Op) {
	r.place.wait()
	if op.Name == "sync" {
		x.queue.hold()
		defer x.queue.release()
	}
	if x.server.calls.begin() { // until its answer is queued: Shutdown flushes it
		defer x.server.calls.end()
	}
	result, err := x.server.execute(x.ctx, r.op, op)
	r.answer(x.encodeAnswer(op, r.id, result, err))
	r.place.finish()
	x.mu.Lock()
	if x.last[op.Conversation] == r.place {
		delete(x.last, op.Conversation)
	}
	x.running--
	x.mayRun.Broadcast()
	x.mu.Unlock()
	if op.Name == "session.close" && err == nil {
		_ = x.queue.flushed(x.ctx)
		x.close(transport.CloseNormal, "session.close")
	}
}

// encodeAnswer is the answer to a request: its result, or its error.
func (x *session) encodeAnswer(op *Op, id wire.ID, result any, err error) []byte {
	if err == nil {
		var b []byte
		if b, err = x.codec.AppendResult(nil, id, result); err == nil {
			return b
		}
	}
	return x.errorAnswer(id, x.server.public(op, err))
}

func (x *session) errorAnswer(id wire.ID, e *Error) []byte {
	return x.codec.AppendError(nil, id, e.wire())
}

// reply queues an answer on the connection.
func (x *session) reply(b []byte) { x.queue.reply(x.conn.Prepare(b)) }

// execute runs one operation: what every way in has in common.
func (s *server) execute(ctx context.Context, o *Operation, op *Op) (result any, err error) {
	if !s.calls.begin() {
		return nil, ErrUnavailable.With("the server shuts down").after(goawayRetry)
	}
	defer s.calls.end()
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, fmt.Errorf("im: %s panicked: %v\n%s", op.Name, p, debug.Stack())
		}
	}()
	if o.conversation != nil && !validConversation(op.Conversation) {
		if op.Conversation == "" {
			return nil, ErrInvalidArgument.With("this names no conversation").At(o.target)
		}
		return nil, ErrNotFound
	}
	if o.replay != nil {
		if op.fingerprint, err = fingerprint(op); err != nil {
			return nil, err
		}
		if result, found, err := o.replay(s, ctx, op); found || err != nil {
			return result, err
		}
	}
	if o.need != needNothing { // session.open has a gate of its own, and no user yet
		if err := s.meter(o, op); err != nil {
			return nil, err
		}
		if op.remote && o.rate == rateHeavy {
			if err := s.heavy.enter(ctx); err != nil {
				return nil, err
			}
			defer s.heavy.leave()
		}
	}
	if o.need == needMember || o.need == needOwner {
		if err := s.loadMember(ctx, o, op); err != nil {
			return nil, err
		}
	}
	return s.handler(ctx, op)
}

// uncut is the context of a write: what the store has taken it commits, and then
// it must be told, though the caller has gone meanwhile.
func uncut(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// loadMember reads the conversation and the caller's row. Who has none learns
// the same as of a conversation that does not exist.
func (s *server) loadMember(ctx context.Context, o *Operation, op *Op) (err error) {
	op.head, op.member, err = s.store.Conversation(ctx, op.Conversation, op.Identity.User)
	if err != nil {
		return fromStore(err)
	}
	if op.Host {
		return nil
	}
	if !op.member.Active() {
		return ErrNotFound
	}
	if o.need == needOwner && op.member.Role != store.Owner {
		return ErrPermissionDenied
	}
	return nil
}

// chain is policy, then middleware, then the operation.
func (s *server) chain(middleware []Middleware) Handler {
	h := func(ctx context.Context, op *Op) (any, error) {
		return s.table[op.Name].handle(s, ctx, op)
	}
	for _, m := range slices.Backward(middleware) {
		h = m(h)
	}
	return func(ctx context.Context, op *Op) (any, error) {
		if s.table[op.Name].need != needNothing { // session.open asks when it knows who
			if err := s.allow(ctx, op); err != nil {
				return nil, err
			}
		}
		return h(ctx, op)
	}
}

// allow asks the host's policy.
func (s *server) allow(ctx context.Context, op *Op) error {
	if op.Host || s.config.Policy == nil {
		return nil
	}
	return s.config.Policy.Allow(ctx, op.Identity, op)
}

// fingerprint is a hash of the request as it was decoded, the same in either codec.
func fingerprint(op *Op) (f store.Fingerprint, err error) {
	scratch := fingerprints.Get().(*[]byte)
	defer fingerprints.Put(scratch)
	b := append(append((*scratch)[:0], op.Name...), 0)
	if b, err = wire.AppendCanonical(b, op.Params); err != nil {
		return f, err
	}
	if cap(b) <= maxFingerprint {
		*scratch = b
	}
	sum := sha256.Sum256(b)
	copy(f[:], sum[:])
	return f, nil
}

// fingerprints are where requests are written to be hashed.
var fingerprints = sync.Pool{New: func() any { return new([]byte) }}

const maxFingerprint = 64 << 10

// public is what a client may see of an error. What is not in the catalogue is
// logged under an incident that the client can name.
func (s *server) public(op *Op, err error) *Error {
	var e *Error
	var w *wire.Error
	switch {
	case errors.As(err, &e):
		if e.Code >= 500 && err.Error() != e.Error() { // it wraps a cause
			s.log.Error("operation failed", append(logOp(op), "err", err)...)
		}
		return e
	case errors.As(err, &w):
		return ErrorFromWire(w)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ErrUnavailable
	}
	c := *ErrInternal
	c.Incident = randomMessageID()
	s.log.Error("operation failed", append(logOp(op), "incident", c.Incident, "err", err)...)
	return &c
}

func logOp(op *Op) []any {
	if op == nil {
		return nil
	}
	return []any{"op", op.Name, "user", op.Identity.User, "device", op.Device, "session", op.Session, "conversation", op.Conversation}
}
