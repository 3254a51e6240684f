package im

import (
	"slices"
	"sync"

	"example.com/h5im/im/hub"
	"example.com/h5im/im/wire"
	"example.com/h5im/transport"
)

// registry knows the sessions of this node and gives them what the hub brings.
type registry struct {
	server *server

	mu     sync.RWMutex
	conns  map[*session]struct{}
	byUser map[string][]*session // open sessions
	byName map[string]*session   // without a socket, until the connection has ended
}

func newRegistry(s *server) *registry {
	return &registry{server: s, conns: map[*session]struct{}{}, byUser: map[string][]*session{}, byName: map[string]*session{}}
}

// add begins to count a connection and the goroutine that will read it; false
// when the server drains.
func (r *registry) add(s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.server.draining.Load() {
		return false
	}
	r.conns[s] = struct{}{}
	if s.oneWay != nil {
		r.byName[s.id] = s
	}
	r.server.work.Add(1)
	return true
}

// named returns the session without a socket of an id, nil if there is none.
func (r *registry) named(id string) *session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byName[id]
}

// forget ends what is left of a session whose connection has ended.
func (r *registry) forget(s *session) {
	if s.oneWay != nil {
		r.mu.Lock()
		delete(r.byName, s.id)
		r.mu.Unlock()
	}
	s.leave()
	r.server.work.Done()
}

// open attaches a session to its user: from now on it gets his events.
func (r *registry) open(s *session, user string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.conns[s]; !ok {
		return ErrUnavailable // closed meanwhile
	}
	sessions := r.byUser[user]
	if len(sessions) >= r.server.limits.SessionsPerUser {
		return ErrSessionLimit.over("sessions", r.server.limits.SessionsPerUser)
	}
	if len(sessions) == 0 {
		if err := r.server.hub.Subscribe(userTopic(user)); err != nil {
			return err
		}
	}
	r.byUser[user] = append(slices.Clone(sessions), s)
	return nil
}

// remove forgets a session.
func (r *registry) remove(s *session, user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, s)
	r.detachLocked(s, user)
}

// detach undoes open.
func (r *registry) detach(s *session, user string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.detachLocked(s, user)
}

func (r *registry) detachLocked(s *session, user string) {
	sessions := r.byUser[user]
	i := slices.Index(sessions, s)
	if i < 0 {
		return
	}
	if len(sessions) == 1 {
		delete(r.byUser, user)
		if err := r.server.hub.Unsubscribe(userTopic(user)); err != nil {
			r.server.log.Warn("topic still subscribed", "user", user, "err", err) // costs a look-up for each event
		}
		return
	}
	r.byUser[user] = slices.Delete(slices.Clone(sessions), i, i+1)
}

// attached are the sessions of a user, or of everybody for "", that match.
func (r *registry) attached(user string, match func(*SessionInfo) bool) (found []*session) {
	r.mu.RLock()
	var all []*session
	if user != "" {
		all = r.byUser[user] // never changed, only replaced
	} else {
		for _, sessions := range r.byUser {
			all = append(all, sessions...)
		}
	}
	r.mu.RUnlock()
	for _, s := range all {
		if info := s.info(); match(&info) {
			found = append(found, s)
		}
	}
	return found
}

func (r *registry) all() []*session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*session, 0, len(r.conns))
	for s := range r.conns {
		all = append(all, s)
	}
	return all
}

// deliver gives an envelope to the sessions of its topics.
func (r *registry) deliver(topics []string, env hub.Envelope) {
	origin, body, ok := splitEvent(env.Payload)
	if !ok {
		r.server.log.Error("event of an unknown version", "conversation", env.Key)
		r.gap()
		return
	}
	e := event{json: body}
	var claimed [flushShare]*outQueue // to be flushed while others are still to get it
	n := 0
	defer func() { r.server.flushers.add(claimed[:n]...) }()
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, topic := range topics {
		for _, s := range r.byUser[topicUser(topic)] {
			if s.id == origin {
				continue
			}
			msg, err := e.prepare(s.conn)
			if err != nil {
				r.server.log.Error("event not encoded", "conversation", env.Key, "err", err)
				return
			}
			if s.queue.event(msg, env.Key, env.Rev) {
				claimed[n] = s.queue
				if n++; n == len(claimed) {
					r.server.flushers.add(claimed[:]...)
					n = 0
				}
			}
		}
	}
}

// gap tells every session that events may have been lost.
func (r *registry) gap() {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, sessions := range r.byUser {
		for _, s := range sessions {
			s.notify(wire.EventGap, wire.GapEvent{})
		}
	}
}

// event is an event on its way to many sessions: encoded once per codec, framed
// once per transport.
type event struct {
	json     []byte
	msgpack  []byte
	prepared []preparedEvent
}

type preparedEvent struct {
	kind   string
	format transport.Format
	msg    transport.Prepared
}

func (e *event) prepare(conn transport.Conn) (transport.Prepared, error) {
	info := conn.Info()
	for i := range e.prepared {
		if p := &e.prepared[i]; p.kind == info.Kind && p.format == info.Format {
			return p.msg, nil
		}
	}
	body := e.json
	if info.Format == transport.Msgpack {
		if e.msgpack == nil {
			var err error
			if e.msgpack, err = wire.Transcode(nil, e.json); err != nil {
				return nil, err
			}
		}
		body = e.msgpack
	}
	msg := conn.Prepare(body)
	e.prepared = append(e.prepared, preparedEvent{info.Kind, info.Format, msg})
	return msg, nil
}

// An event's payload between nodes: one byte of version, the length of the
// origin's session id and the id, then the event as JSON.
const eventVersion = 1

// eventHeader begins a payload with room for size bytes of JSON.
func eventHeader(origin string, size int) []byte {
	b := make([]byte, 0, 2+len(origin)+size)
	return append(append(b, eventVersion, byte(len(origin))), origin...)
}

func splitEvent(payload []byte) (origin string, body []byte, ok bool) {
	if len(payload) < 2 || payload[0] != eventVersion || len(payload) < 2+int(payload[1]) {
		return "", nil, false
	}
	n := 2 + int(payload[1])
	return string(payload[2:n]), payload[n:], true
}
