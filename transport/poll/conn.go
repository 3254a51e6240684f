package poll

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"example.com/h5im/transport"
)

// conn is one peer that polls:
//
//	Write -> next --GET ack=n--> sent (frame n+1) --GET ack=n+1--> forgotten
//
// Write waits while next is full, as for a socket.
type conn struct {
	info    transport.Info
	wait    time.Duration
	gone    time.Duration
	answer  chan []byte   // the POST's
	closing chan struct{} // closed by the first Close
	ended   chan struct{}

	first []byte // until it is read; of the reader alone

	mu       sync.Mutex
	answered bool
	next     [][]byte      // not handed out
	size     int           // of next, in bytes
	taken    chan struct{} // closed when next is handed out; nil if nobody waits
	frame    int64         // number of sent
	sent     []byte        // a whole response, until it is acknowledged
	waiting  *poll         // the GET that waits
	beat     bool          // the next one must not
	farewell []byte        // set by Close
	over     bool
	gaveUp   bool        // over because nobody polled
	timer    *time.Timer // ends the connection: nobody polls, or Close lingers
}

// poll is a GET that waits.
type poll struct {
	wake  chan struct{} // of size 1: there may be something to hand out
	leave bool          // with nothing: another GET came, or a sign of life is wanted
}

func (p *poll) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

var _ transport.OneWay = (*conn)(nil)

// room is how much waits for a GET before a Write has to.
const room = 64 << 10

// linger is how long the last words wait for a GET.
const linger = 900 * time.Millisecond

func newConn(info transport.Info, first []byte, o Options) *conn {
	c := &conn{
		info: info, first: first, wait: o.Wait, gone: o.Gone,
		answer: make(chan []byte, 1), closing: make(chan struct{}), ended: make(chan struct{}),
	}
	c.timer = time.AfterFunc(c.gone, c.end)
	c.timer.Stop() // until the POST is answered
	return c
}

func (c *conn) Info() transport.Info { return c.info }

// Read returns the frame that began the connection, then waits for the end.
func (c *conn) Read() ([]byte, error) {
	if first := c.first; first != nil {
		c.first = nil
		return first, nil
	}
	<-c.ended
	return nil, transport.ErrClosed
}

// Prepare returns msg: messages are joined where they are handed out.
func (c *conn) Prepare(msg []byte) transport.Prepared { return msg }

// Write returns when there is room, as with a socket. Its time is that in which
// a peer has to poll.
func (c *conn) Write(msgs []transport.Prepared) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answered && !c.doneLocked() && len(msgs) > 0 {
		c.answered = true
		c.answer <- msgs[0]
		msgs = msgs[1:]
	}
	for c.size >= room && !c.doneLocked() {
		taken := make(chan struct{})
		c.taken = taken
		c.mu.Unlock()
		select {
		case <-taken:
		case <-c.closing:
		case <-c.ended:
		}
		c.mu.Lock()
		if c.gaveUp {
			return fmt.Errorf("transport/poll: %w", os.ErrDeadlineExceeded)
		}
	}
	if c.doneLocked() {
		return transport.ErrClosed
	}
	for _, m := range msgs {
		c.next = append(c.next, m)
		c.size += len(m) + 1
	}
	if c.waiting != nil && len(msgs) > 0 {
		c.waiting.stir()
	}
	return nil
}

func (c *conn) doneLocked() bool { return c.over || c.farewell != nil }

// Beat sends the GET that waits home, or the next one.
func (c *conn) Beat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		c.beat = true
		return
	}
	c.waiting.leave = true
	c.waiting.stir()
}

// Close hands its last words to the GET that waits, or to one that comes soon.
func (c *conn) Close(code int, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doneLocked() {
		return nil
	}
	c.farewell = transport.CloseNotice(code, reason)
	close(c.closing)
	c.timer.Reset(linger)
	if c.waiting != nil {
		c.waiting.stir()
	}
	if !c.answered {
		c.answered = true
		c.answer <- c.farewell
	}
	return nil
}

// end is called when nobody polls any more.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gaveUp = c.farewell == nil
	c.endLocked()
}

func (c *conn) endLocked() {
	if c.over {
		return
	}
	c.over = true
	c.timer.Stop()
	c.next, c.sent, c.size = nil, nil, 0
	close(c.ended)
	if c.waiting != nil {
		c.waiting.stir()
	}
}

// Resume answers a GET.
func (c *conn) Resume(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "poll with GET", http.StatusMethodNotAllowed)
		return
	}
	ack, err := strconv.ParseInt(r.URL.Query().Get("ack"), 10, 64)
	if err != nil {
		http.Error(w, "ack is the number of the last frame that has come, 0 if none has", http.StatusBadRequest)
		return
	}
	body, status := c.poll(ack, r.Context().Done(), func() { patience(w) })
	if status != 0 {
		http.Error(w, pollErrors[status], status)
		return
	}
	respond(w, body)
}

var pollErrors = map[int]string{
	http.StatusBadRequest: "ack names neither the last frame nor the one before",
	http.StatusNotFound:   "there is no such session here",
}

// poll returns the frame after ack, nil if there is none in time, or an HTTP
// status.
func (c *conn) poll(ack int64, gone <-chan struct{}, waits func()) (body []byte, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.over:
		return nil, http.StatusNotFound
	case ack == c.frame:
		c.sent = nil
	case ack == c.frame-1 && c.sent != nil:
		c.restLocked()
		return c.sent, 0
	default:
		return nil, http.StatusBadRequest
	}
	me := &poll{wake: make(chan struct{}, 1)}
	if c.waiting != nil { // its peer has given it up
		c.waiting.leave = true
		c.waiting.stir()
	}
	c.waiting = me
	if c.farewell == nil {
		c.timer.Stop()
	}
	beat := c.beat
	c.beat = false
	if !beat && c.next == nil && c.farewell == nil {
		c.mu.Unlock()
		waits()
		timeout := time.NewTimer(c.wait)
		c.sleep(me, timeout.C, gone)
		timeout.Stop()
		c.mu.Lock()
	}
	if c.waiting != me {
		return nil, 0
	}
	c.waiting = nil
	if c.over {
		return nil, http.StatusNotFound
	}
	c.restLocked()
	return c.takeLocked(), 0
}

// sleep returns when there is something to hand out, or no use in waiting.
func (c *conn) sleep(me *poll, timeout <-chan time.Time, gone <-chan struct{}) {
	for {
		select {
		case <-me.wake:
		case <-timeout:
			return
		case <-gone:
			return
		}
		c.mu.Lock()
		awake := me.leave || c.next != nil || c.farewell != nil || c.over
		c.mu.Unlock()
		if awake {
			return
		}
	}
}

func (c *conn) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restLocked()
}

// restLocked begins the time in which the peer has to come again.
func (c *conn) restLocked() {
	if c.farewell == nil && !c.over {
		c.timer.Reset(c.gone)
	}
}

// takeLocked hands out what is to be sent, the last words at the end.
func (c *conn) takeLocked() []byte {
	msgs := c.next
	if c.farewell != nil {
		msgs = append(msgs, c.farewell)
	}
	if len(msgs) == 0 {
		return nil
	}
	c.frame++
	body := append(make([]byte, 0, 40+c.size+len(c.farewell)), `{"frame":`...)
	body = append(strconv.AppendInt(body, c.frame, 10), `,"messages":[`...)
	for i, m := range msgs {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, m...)
	}
	c.sent = append(body, ']', '}')
	c.next, c.size = nil, 0
	if c.taken != nil {
		close(c.taken)
		c.taken = nil
	}
	body = c.sent
	if c.farewell != nil {
		c.endLocked()
	}
	return body
}
