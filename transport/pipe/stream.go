package pipe

import (
	"os"
	"sync"
	"time"

	"example.com/h5im/transport"
)

// A frame is what travels: its bytes and the format that its type stands for.
type frame struct {
	format  transport.Format
	payload []byte
}

// A stream carries frames one way, like one direction of a socket: bounded,
// and readable to the end after its writer has closed it.
type stream struct {
	mu     sync.Mutex
	change sync.Cond
	frames []frame
	bytes  int
	room   int   // bytes that may wait; one frame of any size always may
	end    error // why nothing follows, once nothing does
}

func newStream(room int) *stream {
	s := &stream{room: room}
	s.change.L = &s.mu
	return s
}

// write waits for room, at most for timeout if that is not 0.
func (s *stream) write(frames []frame, timeout time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := false
	if timeout > 0 {
		timer := time.AfterFunc(timeout, func() {
			s.mu.Lock()
			late = true
			s.change.Broadcast()
			s.mu.Unlock()
		})
		defer timer.Stop()
	}
	for _, f := range frames {
		for s.end == nil && !late && s.bytes > 0 && s.bytes+len(f.payload) > s.room {
			s.change.Wait()
		}
		if s.end != nil {
			return transport.ErrClosed
		}
		if late {
			return os.ErrDeadlineExceeded
		}
		s.frames = append(s.frames, f)
		s.bytes += len(f.payload)
		s.change.Broadcast()
	}
	return nil
}

// read waits for a frame. The end comes after the last of them.
func (s *stream) read() (frame, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.frames) == 0 && s.end == nil {
		s.change.Wait()
	}
	if len(s.frames) == 0 {
		return frame{}, s.end
	}
	f := s.frames[0]
	s.frames = s.frames[1:]
	s.bytes -= len(f.payload)
	s.change.Broadcast()
	return f, nil
}

// close ends the stream; only the first end counts. The reader still gets what
// was written, unless it is discarded.
func (s *stream) close(end error, discard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end == nil {
		s.end = end
	}
	if discard {
		s.frames, s.bytes, s.end = nil, 0, end
	}
	s.change.Broadcast()
}
