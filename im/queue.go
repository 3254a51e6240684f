package im

import (
	"context"
	"errors"
	"slices"
	"sync"

	"example.com/h5im/transport"
)

// outQueue is what one session has still to send. Replies and events leave in
// the order in which they came. Whoever adds to an idle queue starts a goroutine
// that writes until the queue is empty, so that an idle session has none.
//
// Events are bounded: above the limits the conversation with the most queued
// bytes loses its events to one gap, which the client repairs at its own speed.
// Replies are bounded by the requests in flight and, through waitForRoom, by the
// reader.
type outQueue struct {
	conn      transport.Conn
	try       transport.TryWriter // conn, if it is one
	flushers  *flushers
	maxBytes  int
	maxFrames int
	// gap makes the event that stands for lost ones.
	gap func(conversation string, rev int64) transport.Prepared
	// failed is called once, without the lock, when a write fails.
	failed func(error)

	mu      sync.Mutex
	items   []outItem
	held    []outItem // events that wait for the reply of a sync
	holds   int
	bytes   int // of items, of held and of what is being written
	events  struct{ bytes, frames int }
	gaps    int // in items and held
	writing bool
	closed  bool
	idle    *sync.Cond // signalled when bytes sink or the queue closes
}

type outItem struct {
	msg          transport.Prepared
	conversation string // of an event; "" for a reply
	rev          int64
	event        bool
	gap          bool
}

// writeBatch bounds what one Write takes, so that memory is given back steadily.
const writeBatch = 64

func newOutQueue(conn transport.Conn, l *Limits, f *flushers) *outQueue {
	q := &outQueue{conn: conn, flushers: f, maxBytes: l.SendQueueBytes, maxFrames: l.SendQueueFrames}
	q.try, _ = conn.(transport.TryWriter)
	q.idle = sync.NewCond(&q.mu)
	return q
}

// reply adds an answer.
func (q *outQueue) reply(msg transport.Prepared) {
	q.mu.Lock()
	q.addLocked(outItem{msg: msg})
	mine := q.claimLocked()
	q.mu.Unlock()
	if mine {
		q.flush()
	}
}

// event adds an event of a conversation at a rev; "" and 0 where it has none.
// It reports whether the caller has to give the queue to the flushers.
func (q *outQueue) event(msg transport.Prepared, conversation string, rev int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.coveredLocked(conversation, rev) {
		return false
	}
	q.addLocked(outItem{msg: msg, conversation: conversation, rev: rev, event: true})
	if q.events.bytes > q.maxBytes || q.events.frames > q.maxFrames {
		q.shedLocked()
	}
	return q.claimLocked()
}

// hold keeps events back until release, so that a sync's answer, which was read
// before them, goes out before them.
func (q *outQueue) hold() {
	q.mu.Lock()
	q.holds++
	q.mu.Unlock()
}

func (q *outQueue) release() {
	q.mu.Lock()
	if q.holds--; q.holds == 0 && len(q.held) > 0 {
		q.items = append(q.items, q.held...)
		q.held = nil
	}
	mine := q.claimLocked()
	q.mu.Unlock()
	if mine {
		q.flush()
	}
}

func (q *outQueue) addLocked(it outItem) {
	if q.closed {
		return
	}
	q.bytes += len(it.msg)
	if it.event {
		q.events.bytes += len(it.msg)
		q.events.frames++
		if q.holds > 0 {
			q.held = append(q.held, it)
			return
		}
	}
	q.items = append(q.items, it)
}

// claimLocked reports whether the caller has to write what is queued.
func (q *outQueue) claimLocked() bool {
	if q.writing || len(q.items) == 0 {
		return false
	}
	q.writing = true
	if q.try == nil {
		go q.write()
		return false
	}
	return true
}

// coveredLocked tells that a gap which still waits already stands for the event.
func (q *outQueue) coveredLocked(conversation string, rev int64) bool {
	if q.gaps == 0 || conversation == "" || rev == 0 {
		return false
	}
	for _, list := range [][]outItem{q.items, q.held} {
		for i := range list {
			if it := &list[i]; it.gap && it.conversation == conversation {
				if rev > it.rev {
					q.bytes -= len(it.msg)
					q.events.bytes -= len(it.msg)
					it.msg, it.rev = q.gap(conversation, rev), rev
					q.bytes += len(it.msg)
					q.events.bytes += len(it.msg)
				}
				return true
			}
		}
	}
	return false
}

// shedLocked replaces the queued events of the busiest conversation by a gap.
func (q *outQueue) shedLocked() {
	weight := map[string]int{}
	for _, list := range [][]outItem{q.items, q.held} {
		for _, it := range list {
			if it.event && !it.gap {
				weight[it.conversation] += len(it.msg)
			}
		}
	}
	busiest, most := "", -1
	for c, w := range weight {
		if w > most {
			busiest, most = c, w
		}
	}
	if most < 0 {
		return // nothing but gaps, one per conversation
	}
	var last int64
	placed := false
	shed := func(list []outItem) []outItem {
		kept := list[:0]
		for _, it := range list {
			if !it.event || it.conversation != busiest {
				kept = append(kept, it)
				continue
			}
			last = max(last, it.rev)
			if it.gap {
				q.gaps--
			}
			q.bytes -= len(it.msg)
			q.events.bytes -= len(it.msg)
			q.events.frames--
			if !placed {
				placed = true
				q.gaps++
				kept = append(kept, outItem{conversation: busiest, event: true, gap: true})
			}
		}
		clear(list[len(kept):])
		return kept
	}
	q.items = shed(q.items)
	q.held = shed(q.held)
	for _, list := range [][]outItem{q.items, q.held} {
		for i := range list {
			if it := &list[i]; it.gap && it.msg == nil {
				it.msg, it.rev = q.gap(busiest, last), last
				q.bytes += len(it.msg)
				q.events.bytes += len(it.msg)
				q.events.frames++
			}
		}
	}
}

// flush writes one batch of a claimed queue, without waiting for the peer. What
// is left goes to the flushers, or to a goroutine that waits.
func (q *outQueue) flush() {
	batch := batches.Get().(*[writeBatch]transport.Prepared)
	defer batches.Put(batch)
	n, size := q.take(batch)
	sent, err := q.try.TryWrite(batch[:n])
	switch {
	case err == nil, n == 0: // closed meanwhile
		if q.wrote(size) {
			q.flushers.add(q)
		}
	case errors.Is(err, transport.ErrWait):
		go q.wait(slices.Clone(batch[sent:n]), size)
	default:
		go q.fail(err)
	}
	clear(batch[:n])
}

// wait sends what flush could not, and goes on.
func (q *outQueue) wait(rest []transport.Prepared, size int) {
	if err := q.conn.Write(rest); err != nil {
		q.fail(err)
	} else if q.wrote(size) {
		q.write()
	}
}

// write writes a claimed queue until nothing is left.
func (q *outQueue) write() {
	batch := batches.Get().(*[writeBatch]transport.Prepared)
	defer batches.Put(batch)
	for more := true; more; {
		n, size := q.take(batch)
		if err := q.conn.Write(batch[:n]); err != nil && n > 0 {
			q.fail(err)
			return
		}
		clear(batch[:n])
		more = q.wrote(size)
	}
}

// batches are where writes are gathered, on their way to the connection.
var batches = sync.Pool{New: func() any { return new([writeBatch]transport.Prepared) }}

// take fills batch from the front of the queue and returns how many messages
// and bytes that is.
func (q *outQueue) take(batch *[writeBatch]transport.Prepared) (n, size int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(len(q.items), writeBatch)
	for i, it := range q.items[:n] {
		batch[i] = it.msg
		size += len(it.msg)
		if it.event {
			q.events.bytes -= len(it.msg)
			q.events.frames--
		}
		if it.gap {
			q.gaps--
		}
	}
	if n == len(q.items) {
		clear(q.items)
		q.items = q.items[:0]
		if cap(q.items) > writeBatch {
			q.items = nil
		}
	} else {
		q.items = append(q.items[:0:0], q.items[n:]...)
	}
	return n, size
}

// wrote accounts for what was written. It reports whether there is more, and
// otherwise ends the claim.
func (q *outQueue) wrote(size int) (more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes -= size
	q.writing = len(q.items) > 0
	q.idle.Broadcast()
	return q.writing
}

// fail ends the queue after a write that failed.
func (q *outQueue) fail(err error) {
	q.close()
	q.failed(err)
}

// waitForRoom returns when the client has read enough of its answers, or the
// queue closes.
func (q *outQueue) waitForRoom() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.bytes > q.maxBytes && !q.closed && q.holds == 0 {
		q.idle.Wait()
	}
}

// flushed returns when everything is written, the queue closed, or ctx ended.
func (q *outQueue) flushed(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		q.mu.Lock()
		q.idle.Broadcast()
		q.mu.Unlock()
	})
	defer stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	for (q.writing || len(q.items) > 0) && !q.closed && ctx.Err() == nil {
		q.idle.Wait()
	}
	return ctx.Err()
}

// close drops what is queued. The goroutine that writes, if any, ends.
func (q *outQueue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.items, q.held = nil, nil
	q.idle.Broadcast()
}
