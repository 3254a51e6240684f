package websocket

import (
	"sync"
	"sync/atomic"
	"time"

	"example.com/h5im/transport"
)

// A pinger asks idle peers for a sign of life, and closes those that gave none
// since they were asked. Connections of one interval share a wheel.
type pinger struct {
	mu     sync.Mutex
	wheels map[time.Duration]*wheel
}

// A wheel visits each of its connections once per interval, a part of them at
// every turn, so that the work is spread evenly. It turns while it has any.
type wheel struct {
	interval time.Duration
	timer    *time.Timer
	turn     int
	spokes   [spokes][]*conn
	conns    int
}

const spokes = 16

// pingState is what a connection keeps for its pinger.
type pingState struct {
	talked atomic.Bool // a message came since the last visit
	asked  bool        // pinged at the last visit; the wheel's alone

	// Guarded by the pinger.
	wheel *wheel
	spoke int
	index int // in the spoke
}

// add begins to watch c. An interval of 0: never.
func (p *pinger) add(c *conn, interval time.Duration) {
	if interval <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.wheels[interval]
	if w == nil {
		if p.wheels == nil {
			p.wheels = map[time.Duration]*wheel{}
		}
		w = &wheel{interval: interval}
		w.timer = time.AfterFunc(w.pause(), func() { p.visit(w) })
		p.wheels[interval] = w
	}
	// The spoke that has just been visited: the first visit is an interval away.
	spoke := (w.turn + spokes - 1) % spokes
	c.pings.wheel, c.pings.spoke, c.pings.index = w, spoke, len(w.spokes[spoke])
	w.spokes[spoke] = append(w.spokes[spoke], c)
	w.conns++
}

// remove ends the watch. It may be called for a connection that has none.
func (p *pinger) remove(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := c.pings.wheel
	if w == nil {
		return
	}
	c.pings.wheel = nil
	spoke := w.spokes[c.pings.spoke]
	last := len(spoke) - 1
	spoke[c.pings.index] = spoke[last]
	spoke[c.pings.index].pings.index = c.pings.index
	spoke[last] = nil
	w.spokes[c.pings.spoke] = spoke[:last]
	w.conns--
	if w.conns == 0 {
		w.timer.Stop()
		delete(p.wheels, w.interval)
	}
}

// visit looks after the connections of one spoke.
func (p *pinger) visit(w *wheel) {
	p.mu.Lock()
	conns := append([]*conn(nil), w.spokes[w.turn]...)
	w.turn = (w.turn + 1) % spokes
	p.mu.Unlock()

	for _, c := range conns {
		c.lookAfter()
	}

	p.mu.Lock()
	if w.conns > 0 {
		w.timer.Reset(w.pause())
	}
	p.mu.Unlock()
}

// pause is the time between two turns.
func (w *wheel) pause() time.Duration { return max(w.interval/spokes, time.Millisecond) }

// lookAfter is the visit to one connection. It waits for nothing, because the
// others of the wheel come after it.
func (c *conn) lookAfter() {
	heard, talked := c.socket.heard.Swap(false), c.pings.talked.Swap(false)
	switch {
	case c.pings.asked && !heard:
		go c.close(transport.CloseGone, "no sign of life") // whose buffers may be full
	case talked:
		c.pings.asked = false
	default:
		c.pings.asked = c.socket.ping(c.cut)
	}
}
