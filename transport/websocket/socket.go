package websocket

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/h5im/transport"
)

// A socket is the network connection under the library and our own frames. Its
// Write is the library's; ours is send. Both write whole frames, one at a time,
// and none after a close frame.
type socket struct {
	net.Conn
	raw            syscall.RawConn // the Conn's; nil: no write without waiting
	writeTimeout   time.Duration
	messageTimeout time.Duration

	// The reader's alone.
	ahead        []byte // read from the Conn, not yet by the library
	buf          [readAhead]byte
	readErr      error     // the network's last word
	readDeadline time.Time // as the Conn has it
	inMessage    bool

	heard   atomic.Bool // since the pinger last asked
	closing atomic.Bool // no more frames of ours, whatever comes of the last

	leftMu sync.Mutex
	left   *left // nil: nothing

	mu       sync.Mutex
	closed   bool      // a close frame was written
	torn     bool      // a frame was cut off in the middle: nothing can follow
	rest     []byte    // of a frame that trySend could send in part only
	code     int       // of the close frame, if the library wrote it
	deadline time.Time // as the Conn has it
}

// left is what is to be sent while somebody holds mu: that one sends it before
// it lets go.
type left struct {
	pongs []byte // whole frames, at most maxPongs
	last  []byte // the close frame that finish wants sent
}

const (
	// readAhead is enough for most frames of a client.
	readAhead = 256
	// maxPongs bounds what a peer may ask while it does not read.
	maxPongs = 1 << 10
	// writeChunk is how much of a write has the write's timeout for itself: as
	// much as a record of TLS holds, whose connection no timeout can be taken
	// back from.
	writeChunk = 16 << 10
	// closePatience is how long a write that is under way may go on after close.
	closePatience = 250 * time.Millisecond
)

var errTorn = errors.New("transport/websocket: an earlier write failed")

// wait returns when there is something to read for the library, which has
// nothing buffered and expects a new frame. An idle connection waits here and
// not deep inside the library, which halves the stacks of its goroutines.
func (s *socket) wait() error {
	for {
		for len(s.ahead) == 0 {
			n, err := s.read(s.buf[:])
			if err != nil {
				return err
			}
			s.ahead = s.buf[:n]
		}
		if !bytes.HasPrefix(s.ahead, pongHead) || len(s.ahead) < len(pongHead)+maskBytes {
			return nil
		}
		// The answer to our ping has done its work by arriving.
		s.ahead = s.ahead[len(pongHead)+maskBytes:]
	}
}

func (s *socket) Read(p []byte) (int, error) {
	if len(s.ahead) > 0 {
		n := copy(p, s.ahead)
		s.ahead = s.ahead[n:]
		return n, nil
	}
	return s.read(p)
}

func (s *socket) read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if n == 0 && !s.inMessage && !s.readDeadline.IsZero() && errors.Is(err, os.ErrDeadlineExceeded) {
		// It was meant for a message that has come in time.
		s.readDeadline = time.Time{}
		_ = s.Conn.SetReadDeadline(s.readDeadline)
		n, err = s.Conn.Read(p)
	}
	if n > 0 {
		if !s.heard.Load() {
			s.heard.Store(true)
		}
		return n, nil // an error beside bytes, as TLS may give, comes again
	}
	s.readErr = err
	return 0, err
}

// beginMessage bounds the time until endMessage. The deadline stays behind
// afterwards, for the next message or for read to find, because moving it costs
// more than looking at the clock; so it is set up to a quarter too far.
func (s *socket) beginMessage() {
	s.inMessage = true
	if now := time.Now(); s.readDeadline.Sub(now) < s.messageTimeout {
		s.readDeadline = now.Add(s.messageTimeout + s.messageTimeout/4)
		_ = s.Conn.SetReadDeadline(s.readDeadline)
	}
}

func (s *socket) endMessage() { s.inMessage = false }

// Write takes one whole control frame of the library. After a close frame
// there is nothing left to say: what it writes then is dropped. A pong does not
// wait for a write that is under way, because the library would give the
// connection up after five seconds, and the peer may be slow.
func (s *socket) Write(frame []byte) (int, error) {
	if len(frame) < 2 || frame[0]&0x80 == 0 || len(frame) != 2+int(frame[1]) {
		return 0, errors.New("transport/websocket: the library wrote something else than a control frame")
	}
	if !s.mu.TryLock() {
		if frame[0] == finPong && s.leavePong(frame) {
			return len(frame), nil
		}
		s.mu.Lock()
	}
	defer s.unlock()
	if s.closed {
		return len(frame), nil
	}
	if frame[0] == finClose {
		s.closed, s.code = true, closeCode(frame)
	}
	return len(frame), s.writeLocked(frame)
}

// send writes whole frames in order: small ones together, large ones alone.
func (s *socket) send(frames []transport.Prepared) error {
	s.mu.Lock()
	defer s.unlock()
	if s.closed || s.closing.Load() {
		return transport.ErrClosed
	}
	if len(frames) == 0 {
		return s.writeLocked(nil)
	}
	joined := joins.Get().(*[]byte)
	defer joins.Put(joined)
	for len(frames) > 0 {
		b, n := join(*joined, frames)
		if err := s.writeLocked(b); err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

// trySend is send as far as it goes without waiting, for the peer or for
// another write.
func (s *socket) trySend(frames []transport.Prepared) (sent int, err error) {
	if s.raw == nil || !s.mu.TryLock() {
		return 0, transport.ErrWait
	}
	sent, err = s.trySendLocked(frames)
	s.mu.Unlock()
	// What was left meanwhile has to be sent, which may have to wait.
	if err == nil && s.anyLeft() {
		err = transport.ErrWait
	}
	return sent, err
}

func (s *socket) trySendLocked(frames []transport.Prepared) (sent int, err error) {
	switch {
	case s.closed || s.closing.Load():
		return 0, transport.ErrClosed
	case s.torn:
		return 0, errTorn
	case len(s.rest) > 0:
		return 0, transport.ErrWait
	}
	joined := joins.Get().(*[]byte)
	defer joins.Put(joined)
	for sent < len(frames) {
		b, n := join(*joined, frames[sent:])
		s.extendLocked()
		wrote, err := tryWrite(s.raw, b)
		if err != nil {
			s.torn = true
			return sent, err
		}
		if wrote == len(b) {
			sent += n
			continue
		}
		for wrote >= len(frames[sent]) {
			wrote -= len(frames[sent])
			sent++
		}
		if wrote > 0 {
			s.rest = frames[sent][wrote:]
			sent++
		}
		return sent, transport.ErrWait
	}
	return sent, nil
}

// join returns the first n frames as one: as many as fit into buf, or one that
// does not.
func join(buf []byte, frames []transport.Prepared) (b []byte, n int) {
	if len(frames) == 1 || len(frames[0])+len(frames[1]) > cap(buf) {
		return frames[0], 1
	}
	b = buf[:0]
	for n < len(frames) && len(b)+len(frames[n]) <= cap(b) {
		b = append(b, frames[n]...)
		n++
	}
	return b, n
}

// joins are buffers in which send joins frames. Joining beats writev for
// frames of this size, and over TLS it makes one record of them; net.Buffers
// would also leave every connection with the vector of its largest write.
var joins = sync.Pool{New: func() any {
	b := make([]byte, 0, 16<<10)
	return &b
}}

// ping asks the peer for a sign of life, beside its caller, because the peer's
// buffers may be full. It reports false when another write is under way, whose
// deadline will tell as well. failed is called if the peer cannot be asked.
func (s *socket) ping(failed func()) (asked bool) {
	if !s.mu.TryLock() {
		return false
	}
	go func() {
		var err error
		if !s.closed && !s.closing.Load() {
			err = s.writeLocked(pingFrame)
		}
		s.unlock()
		if err != nil {
			failed()
		}
	}()
	return true
}

// finish ends our side with a close frame, now or when the write that is under
// way has ended, which it soon must.
func (s *socket) finish(frame []byte) {
	s.closing.Store(true)
	s.leave(func(l *left) { l.last = frame })
	_ = s.Conn.SetWriteDeadline(time.Now().Add(closePatience))
	if s.mu.TryLock() {
		s.unlock()
	}
}

// leavePong leaves a pong to whoever holds mu, if there is room.
func (s *socket) leavePong(frame []byte) bool {
	room := false
	s.leave(func(l *left) {
		if room = len(l.pongs)+len(frame) <= maxPongs; room {
			l.pongs = append(l.pongs, frame...)
		}
	})
	if room && s.mu.TryLock() { // nobody does any more
		s.unlock()
	}
	return room
}

// leave adds to what is left.
func (s *socket) leave(add func(*left)) {
	s.leftMu.Lock()
	defer s.leftMu.Unlock()
	if s.left == nil {
		s.left = new(left)
	}
	add(s.left)
}

// unlock releases mu after it has sent what was left.
func (s *socket) unlock() {
	for {
		s.sendLeftLocked()
		s.mu.Unlock()
		if !s.anyLeft() || !s.mu.TryLock() { // come between the two
			return
		}
	}
}

func (s *socket) anyLeft() bool {
	s.leftMu.Lock()
	defer s.leftMu.Unlock()
	return s.left != nil
}

func (s *socket) sendLeftLocked() {
	s.leftMu.Lock()
	l := s.left
	s.left = nil
	s.leftMu.Unlock()
	if l == nil || s.closed {
		return
	}
	if l.pongs != nil {
		_ = s.writeLocked(l.pongs) // the next to write finds it torn
	}
	if l.last != nil {
		s.closed = true
		s.deadlineLocked(closePatience)
		_ = s.writeFramesLocked(s.rest)
		_ = s.writeFramesLocked(l.last)
	}
}

// writeLocked writes frames, behind what rests of an earlier one, in the time
// that the peer has to take them.
func (s *socket) writeLocked(frames []byte) error {
	if rest := s.rest; rest != nil {
		s.rest = nil
		if err := s.writeLocked(rest); err != nil {
			return err
		}
	}
	if len(frames) == 0 {
		return nil
	}
	for len(frames) > writeChunk {
		s.extendLocked()
		if err := s.writeFramesLocked(frames[:writeChunk]); err != nil {
			return err
		}
		frames = frames[writeChunk:]
	}
	s.extendLocked()
	return s.writeFramesLocked(frames)
}

// extendLocked sees to it that the peer has the time of a write from now on.
// Moving a deadline costs more than looking at the clock, so it is set up to a
// quarter too far and then left alone.
func (s *socket) extendLocked() {
	now := time.Now()
	if s.closing.Load() || s.deadline.Sub(now) >= s.writeTimeout {
		return
	}
	s.deadline = now.Add(s.writeTimeout + s.writeTimeout/4)
	_ = s.Conn.SetWriteDeadline(s.deadline)
	if s.closing.Load() { // finish came between the two
		s.deadlineLocked(closePatience)
	}
}

func (s *socket) writeFramesLocked(frames []byte) error {
	if s.torn {
		return errTorn
	}
	if len(frames) == 0 {
		return nil
	}
	_, err := s.Conn.Write(frames)
	if err != nil {
		s.torn = true
	}
	return err
}

// closeWrite tells the peer that nothing follows, not even a close frame.
func (s *socket) closeWrite() {
	s.mu.Lock()
	s.sendLeftLocked()
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	s.mu.Unlock()
}

// libraryCode returns the code of the close frame that the library wrote on
// its own account, 0 if it wrote none.
func (s *socket) libraryCode() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code
}

// deadlineLocked gives one write a deadline of its own; the next has to set
// its own again.
func (s *socket) deadlineLocked(d time.Duration) {
	s.deadline = time.Time{}
	_ = s.Conn.SetWriteDeadline(time.Now().Add(d))
}

// Close ends the network connection. A peer that does not read cannot delay it:
// TLS would wait to say goodbye.
func (s *socket) Close() error {
	if tls, ok := s.Conn.(interface{ NetConn() net.Conn }); ok {
		return tls.NetConn().Close()
	}
	return s.Conn.Close()
}
