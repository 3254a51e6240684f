package transport

import "errors"

// ErrWait tells that a TryWriter's peer takes nothing more now.
var ErrWait = errors.New("transport: the peer has to be waited for")

// A TryWriter is a Conn that can also write without waiting, so that one
// goroutine can serve many connections.
type TryWriter interface {
	Conn

	// TryWrite is Write as far as it goes without waiting for the peer. It
	// returns how many messages were taken, and ErrWait where that is not all:
	// then Write has to follow, with what is left or with nothing, because the
	// end of the last message taken may be waiting in the Conn. Otherwise its
	// errors are those of Write. It counts as a Write: one at a time.
	TryWrite(msgs []Prepared) (n int, err error)
}
