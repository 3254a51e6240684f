package im

import "example.com/h5im/transport"

// Sessions counts what the server remembers of sessions and of users who have one.
func Sessions(s Server) (sessions, users int) {
	r := s.(*server).sessions
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.conns), len(r.byUser)
}

// Tickets counts the places in the order of sessions that are remembered.
func Tickets(s Server) (n int) {
	for _, x := range s.(*server).sessions.all() {
		x.mu.Lock()
		n += len(x.last)
		x.mu.Unlock()
	}
	return n
}

// KeepMemberLists bounds the cache of member lists.
func KeepMemberLists(s Server, n int) { s.(*server).publisher.keep = n }

// MemberLists counts the member lists that are kept.
func MemberLists(s Server) int {
	p := s.(*server).publisher
	p.membersMu.Lock()
	defer p.membersMu.Unlock()
	return len(p.members)
}

// Queue is a session's queue, for tests of its rules.
type Queue struct{ *outQueue }

// NewQueue makes a queue over conn. A gap reads "gap conversation rev".
func NewQueue(conn transport.Conn, bytes, frames int, gap func(conversation string, rev int64) transport.Prepared, failed func(error)) Queue {
	q := newOutQueue(conn, &Limits{SendQueueBytes: bytes, SendQueueFrames: frames}, newFlushers())
	q.gap, q.failed = gap, failed
	return Queue{q}
}

// Reply, Event, Hold and Release are the queue's own.
func (q Queue) Reply(msg string) { q.reply(transport.Prepared(msg)) }

// Event adds an event.
func (q Queue) Event(msg, conversation string, rev int64) {
	if q.event(transport.Prepared(msg), conversation, rev) {
		q.flushers.add(q.outQueue)
	}
}

// Hold keeps events back until Release.
func (q Queue) Hold() { q.hold() }

// Release ends a Hold.
func (q Queue) Release() { q.release() }

// WaitForRoom returns when there is room for more answers.
func (q Queue) WaitForRoom() { q.waitForRoom() }

// Queued is how much is queued, as the queue counts it.
func (q Queue) Queued() (bytes, eventBytes, eventFrames int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes, q.events.bytes, q.events.frames
}
