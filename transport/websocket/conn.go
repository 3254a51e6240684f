package websocket

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"

	"example.com/h5im/transport"
)

// closeTimeout is how long the peer has to answer a close frame.
const closeTimeout = time.Second

// A conn is one connection. It has no goroutine and no timer of its own while
// it is open; the library has one goroutine.
//
//	open --close--> closing --peer's close, error or closeTimeout--> over
//	open --error, peer's close------------------------------------> over
type conn struct {
	transport *Transport
	format    transport.Format
	remote    string
	lib       *libraryConn
	libReader *bufio.Reader // that lib reads from
	socket    socket
	pings     pingState // the pinger's

	mu     sync.Mutex
	linger *time.Timer // while closing
	over   bool
}

var _ transport.TryWriter = (*conn)(nil)

func (c *conn) Info() transport.Info {
	return transport.Info{Kind: "websocket", Format: c.format, Remote: c.remote}
}

func (c *conn) Prepare(msg []byte) transport.Prepared {
	first := byte(finText)
	if c.format == transport.Msgpack {
		first = finBinary
	}
	return appendFrame(make([]byte, 0, maxHeader+len(msg)), first, msg)
}

func (c *conn) Write(msgs []transport.Prepared) error {
	return c.written(c.socket.send(msgs))
}

// TryWrite is transport.TryWriter's.
func (c *conn) TryWrite(msgs []transport.Prepared) (n int, err error) {
	n, err = c.socket.trySend(msgs)
	if errors.Is(err, transport.ErrWait) {
		return n, err
	}
	return n, c.written(err)
}

// written ends the connection after a write that failed, and says why.
func (c *conn) written(err error) error {
	switch {
	case err == nil, errors.Is(err, transport.ErrClosed):
		return err
	case c.socket.closing.Load():
		err = transport.ErrClosed // the wait was cut short by Close
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("transport/websocket: the peer did not read: %w", err)
	default:
		err = fmt.Errorf("%w: %w", transport.ErrClosed, err)
	}
	c.cut()
	return err
}

func (c *conn) Read() ([]byte, error) {
	if c.isOver() {
		return nil, transport.ErrClosed
	}
	var verdict error // why we are closing, once we are
	for {
		typ, msg, err := c.next()
		switch {
		case err != nil:
			return nil, c.ended(err, verdict)
		case c.socket.closing.Load():
			// Sent before the peer saw our close frame.
		case typ != c.messageType():
			verdict = transport.ErrFormat
			c.close(transport.CloseWrongType, "this connection speaks "+c.format.Subprotocol())
		case typ == messageText && !utf8.Valid(msg):
			verdict = fmt.Errorf("%w: a text frame that is not UTF-8", transport.ErrFormat)
			c.close(transport.CloseNotUTF8, "not UTF-8")
		default:
			c.pings.talked.Store(true)
			return msg, nil
		}
	}
}

// next reads one message through the library. A context would have to be
// watched and closes the connection when it ends, so there is none.
func (c *conn) next() (typ messageType, msg []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.transport.log.Error("websocket: panic in the library", "panic", p, "stack", string(debug.Stack()))
			c.close(transport.CloseInternal, "")
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if c.libReader.Buffered() == 0 {
		if err := c.socket.wait(); err != nil {
			return 0, nil, err
		}
	}
	typ, r, err := c.lib.Reader(context.Background())
	if err != nil {
		return 0, nil, err
	}
	c.socket.beginMessage()
	defer c.socket.endMessage()
	scratch := scratches.Get().(*[]byte)
	b := (*scratch)[:0]
	for err == nil {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		var n int
		n, err = r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
	}
	switch {
	case !errors.Is(err, io.EOF):
	case c.socket.readErr != nil:
		// The library takes the network's end inside a message for the
		// message's.
		err = io.ErrUnexpectedEOF
	default:
		msg, err = append(make([]byte, 0, len(b)), b...), nil
	}
	if cap(b) <= maxScratch {
		*scratch = b[:0]
	}
	scratches.Put(scratch)
	return typ, msg, err
}

// scratches are where messages are put together, so that an idle connection
// holds no buffer and a message no more than its size.
var scratches = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}

const maxScratch = 64 << 10

func (c *conn) messageType() messageType {
	if c.format == transport.Msgpack {
		return messageBinary
	}
	return messageText
}

// ended ends the connection after next has failed, and says why for Read.
func (c *conn) ended(err, verdict error) error {
	closing := c.socket.closing.Load()
	told, orderly := closeReason(err)
	switch {
	case orderly:
	case c.socket.readErr == nil:
		// The peer broke the protocol. The library may have told it so.
		c.close(transport.CloseProtocolError, "")
		c.drain()
	case errors.Is(c.socket.readErr, os.ErrDeadlineExceeded):
		c.close(transport.CloseSlow, "a message took too long")
		c.drain()
	}
	c.cut()
	switch {
	case verdict != nil:
		return verdict
	case closing, errors.Is(err, io.EOF):
		return transport.ErrClosed
	case orderly:
		return told
	case c.socket.libraryCode() == transport.CloseTooLarge:
		return transport.ErrTooLarge
	default:
		return fmt.Errorf("%w: %w", transport.ErrClosed, err)
	}
}

// drain discards what the peer still sends, until it has seen our close frame
// or closeTimeout is over. To close with bytes unread would reset the
// connection, and the close frame might be lost with it.
func (c *conn) drain() {
	c.socket.closeWrite()
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	for {
		if _, err := c.socket.Read((*scratch)[:cap(*scratch)]); err != nil {
			return
		}
	}
}

// Close tells the peer and lets the connection end: Read, if it is called,
// takes the peer's answer; in any case it is over after closeTimeout.
func (c *conn) Close(code int, reason string) error {
	c.close(code, reason)
	return nil
}

func (c *conn) close(code int, reason string) {
	c.mu.Lock()
	first := !c.over && c.linger == nil
	if first {
		c.linger = time.AfterFunc(closeTimeout, c.cut)
	}
	c.mu.Unlock()
	if first {
		c.socket.finish(closeFrame(code, transport.CutReason(reason)))
	}
}

func (c *conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// cut ends the connection at once and frees what it holds.
func (c *conn) cut() {
	c.mu.Lock()
	first := !c.over
	c.over = true
	if c.linger != nil {
		c.linger.Stop()
	}
	c.mu.Unlock()
	if !first {
		return
	}
	c.transport.pinger.remove(c)
	c.socket.closing.Store(true)
	defer func() {
		if p := recover(); p != nil {
			c.transport.log.Error("websocket: panic in the library", "panic", p, "stack", string(debug.Stack()))
			_ = c.socket.Close()
		}
	}()
	_ = c.lib.CloseNow() // it says that the connection is closed
}
