package websocket

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/h5im/transport"
)

// A socket is the network connection under the library and our own frames. Its
// Write is the library's; ours is send. Both write whole frames, one at a
// time, and none after a close frame.
type socket struct {
	net.Conn
	writeTimeout time.Duration

	// The reader's alone.
	ahead   []byte // read from the Conn, not yet by the library
	buf     [readAhead]byte
	readErr error // the network's last word

	heard atomic.Bool // since the pinger last asked

	// lastFrame is the close frame that close wants sent. Whoever holds mu, or
	// takes it next, sends it.
	lastFrame atomic.Pointer[[]byte]
	closing   atomic.Bool // no more frames of ours, whatever comes of lastFrame

	mu       sync.Mutex
	deadline time.Time // as the Conn has it
	closed   bool      // a close frame was written
	code     int       // of that, if the library wrote it
	torn     bool      // a frame was cut off in the middle: nothing can follow
}

// closePatience is how long a write that is under way may go on after close.
const closePatience = 250 * time.Millisecond

var errTorn = errors.New("transport/websocket: an earlier write failed")

// readAhead is enough for most frames of a client.
const readAhead = 256

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
	if n > 0 {
		if !s.heard.Load() {
			s.heard.Store(true)
		}
		return n, nil // an error beside bytes, as TLS may give, comes again
	}
	s.readErr = err
	return 0, err
}

// Write takes one whole control frame of the library. After a close frame
// there is nothing left to say: what it writes then is dropped.
func (s *socket) Write(frame []byte) (int, error) {
	if len(frame) < 2 || frame[0]&0x80 == 0 || len(frame) != 2+int(frame[1]) {
		return 0, errors.New("transport/websocket: the library wrote something else than a control frame")
	}
	s.mu.Lock()
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
	if len(frames) == 1 {
		return s.writeLocked(frames[0])
	}
	joined := joins.Get().(*[]byte)
	defer joins.Put(joined)
	b := (*joined)[:0]
	for _, frame := range frames {
		if len(b)+len(frame) > cap(b) && len(b) > 0 {
			if err := s.writeLocked(b); err != nil {
				return err
			}
			b = b[:0]
		}
		if len(frame) > cap(b) {
			if err := s.writeLocked(frame); err != nil {
				return err
			}
			continue
		}
		b = append(b, frame...)
	}
	if len(b) == 0 {
		return nil
	}
	return s.writeLocked(b)
}

// joins are buffers in which send joins frames. Joining beats writev for
// frames of this size, and over TLS it makes one record of them; net.Buffers
// would also leave every connection with the vector of its largest write.
var joins = sync.Pool{New: func() any {
	b := make([]byte, 0, 16<<10)
	return &b
}}

// ping asks the peer for a sign of life. It reports false when it could not,
// because another write is under way or the buffers are full.
func (s *socket) ping() (sent bool, err error) {
	const patience = 10 * time.Millisecond // the first attempt is immediate
	if !s.mu.TryLock() {
		return false, nil
	}
	defer s.unlock()
	if s.closed || s.closing.Load() {
		return false, nil
	}
	s.deadlineLocked(patience)
	n, err := s.Conn.Write(pingFrame)
	if err == nil {
		return true, nil
	}
	var timeout net.Error
	if n == 0 && errors.As(err, &timeout) && timeout.Timeout() {
		return false, nil
	}
	s.torn = true
	return false, err
}

// finish ends our side with a close frame, now or when the write that is under
// way has ended, which it soon must. Only the first call does anything.
func (s *socket) finish(frame []byte) {
	s.closing.Store(true)
	if s.lastFrame.CompareAndSwap(nil, &frame) {
		_ = s.Conn.SetWriteDeadline(time.Now().Add(closePatience))
		if s.mu.TryLock() {
			s.unlock()
		}
	}
}

// unlock releases mu and sends the close frame that finish may have left.
func (s *socket) unlock() {
	for {
		asked := s.lastFrameLocked()
		s.mu.Unlock()
		// finish may have come between the two.
		if asked || s.lastFrame.Load() == nil || !s.mu.TryLock() {
			return
		}
	}
}

// lastFrameLocked sends the close frame that finish has left, if it has.
func (s *socket) lastFrameLocked() (asked bool) {
	frame := s.lastFrame.Load()
	if frame != nil && !s.closed {
		s.closed = true
		s.deadlineLocked(closePatience)
		_ = s.writeFrameLocked(*frame)
	}
	return frame != nil
}

// writeLocked writes frames in the time that a write may take.
func (s *socket) writeLocked(frames []byte) error {
	// Moving a deadline costs more than looking at the clock, so it is set up
	// to a quarter too far and then left alone.
	if !s.closing.Load() {
		if now := time.Now(); s.deadline.Sub(now) < s.writeTimeout {
			s.deadline = now.Add(s.writeTimeout + s.writeTimeout/4)
			_ = s.Conn.SetWriteDeadline(s.deadline)
		}
	}
	return s.writeFrameLocked(frames)
}

func (s *socket) writeFrameLocked(frames []byte) error {
	if s.torn {
		return errTorn
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
	s.lastFrameLocked()
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
