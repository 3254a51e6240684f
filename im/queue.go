package im

import (
	"context"
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
	maxBytes  int
	maxFrames int
	// gap makes the event that stands for lost ones.
	gap func(conversation string, rev int64) transport.Prepared
	// failed is called once, without the lock, when a write fails.
	failed func(error)

	mu     sync.Mutex
	items  []outItem
	held   []outItem // events that wait for the reply of a sync
	holds  int
	bytes  int // of items, of held and of what is being written
	events struct{ bytes, frames int }
	gaps   int // in items and held
	writer bool
	closed bool
	idle   *sync.Cond // signalled when bytes sink or the queue closes
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

func newOutQueue(conn transport.Conn, l *Limits) *outQueue {
	q := &outQueue{conn: conn, maxBytes: l.SendQueueBytes, maxFrames: l.SendQueueFrames}
	q.idle = sync.NewCond(&q.mu)
	return q
}

// reply adds an answer.
func (q *outQueue) reply(msg transport.Prepared) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.addLocked(outItem{msg: msg})
}

// event adds an event of a conversation at a rev; "" and 0 where it has none.
func (q *outQueue) event(msg transport.Prepared, conversation string, rev int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.coveredLocked(conversation, rev) {
		return
	}
	q.addLocked(outItem{msg: msg, conversation: conversation, rev: rev, event: true})
	if q.events.bytes > q.maxBytes || q.events.frames > q.maxFrames {
		q.shedLocked()
	}
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
	defer q.mu.Unlock()
	if q.holds--; q.holds == 0 && len(q.held) > 0 {
		q.items = append(q.items, q.held...)
		q.held = nil
		q.wakeLocked()
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
	q.wakeLocked()
}

func (q *outQueue) wakeLocked() {
	if !q.writer {
		q.writer = true
		go q.write()
	}
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

// write sends until nothing is left.
func (q *outQueue) write() {
	var batch [writeBatch]transport.Prepared
	for {
		q.mu.Lock()
		n := min(len(q.items), writeBatch)
		if n == 0 || q.closed {
			q.writer = false
			q.idle.Broadcast()
			q.mu.Unlock()
			return
		}
		size := 0
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
		q.mu.Unlock()

		err := q.conn.Write(batch[:n])

		q.mu.Lock()
		q.bytes -= size
		q.idle.Broadcast()
		q.mu.Unlock()
		if err != nil {
			q.close()
			q.failed(err)
			return
		}
	}
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
	for (q.writer || len(q.items) > 0) && !q.closed && ctx.Err() == nil {
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
