package pipe

import (
	"bytes"
	"fmt"
	"sync"
	"unicode/utf8"

	"example.com/h5im/transport"
)

// room is how many bytes wait in each direction before a writer has to.
const room = 64 << 10

func newPair(format transport.Format, limits transport.Limits, remote string) (*Peer, *conn) {
	if limits.MaxFrameBytes <= 0 {
		limits.MaxFrameBytes = transport.DefaultMaxFrameBytes
	}
	c := &conn{
		info:   transport.Info{Kind: "pipe", Format: format, Remote: remote},
		limits: limits, in: newStream(room), out: newStream(room),
	}
	return &Peer{conn: c}, c
}

// A conn is the server's end.
type conn struct {
	info    transport.Info
	limits  transport.Limits
	in, out *stream
	once    sync.Once
}

func (c *conn) Info() transport.Info { return c.info }

func (c *conn) Prepare(msg []byte) transport.Prepared { return msg }

func (c *conn) Read() ([]byte, error) {
	f, err := c.in.read()
	if err != nil {
		_ = c.Close(transport.CloseNormal, "")
		return nil, err
	}
	switch {
	case len(f.payload) > c.limits.MaxFrameBytes:
		_ = c.Close(transport.CloseTooLarge, fmt.Sprintf("frames may have %d bytes", c.limits.MaxFrameBytes))
		return nil, transport.ErrTooLarge
	case f.format != c.info.Format:
		_ = c.Close(transport.CloseWrongType, "this connection speaks "+c.info.Format.Subprotocol())
		return nil, transport.ErrFormat
	case f.format == transport.JSON && !utf8.Valid(f.payload):
		_ = c.Close(transport.CloseNotUTF8, "not UTF-8")
		return nil, fmt.Errorf("%w: a text frame that is not UTF-8", transport.ErrFormat)
	}
	return f.payload, nil
}

func (c *conn) Write(msgs []transport.Prepared) error {
	frames := make([]frame, len(msgs))
	for i, msg := range msgs {
		frames[i] = frame{c.info.Format, msg}
	}
	err := c.out.write(frames, c.limits.WriteTimeout)
	if err != nil {
		_ = c.Close(transport.CloseSlow, "")
	}
	return err
}

func (c *conn) Close(code int, reason string) error {
	c.once.Do(func() {
		c.in.close(transport.ErrClosed, true)
		c.out.close(&transport.CloseError{Code: code, Reason: transport.CutReason(reason)}, false)
	})
	return nil
}

// Peer is the client's end of a connection. Its methods may be called
// concurrently.
type Peer struct{ conn *conn }

// Read returns the payload of the next frame from the server. After the last
// one it returns a *transport.CloseError with the server's code and reason, or
// ErrClosed after a Close of its own.
func (p *Peer) Read() ([]byte, error) {
	f, err := p.conn.out.read()
	return bytes.Clone(f.payload), err
}

// Write sends one frame of the connection's format. It waits while the server
// does not read.
func (p *Peer) Write(payload []byte) error { return p.WriteFrame(p.conn.info.Format, payload) }

// WriteFrame sends a frame of a type of the caller's choice.
func (p *Peer) WriteFrame(format transport.Format, payload []byte) error {
	return p.conn.in.write([]frame{{format, bytes.Clone(payload)}}, 0)
}

// Close tells the server the code and reason, after what was written.
func (p *Peer) Close(code int, reason string) error {
	p.conn.in.close(&transport.CloseError{Code: code, Reason: transport.CutReason(reason)}, false)
	p.conn.out.close(transport.ErrClosed, true)
	return nil
}

// Vanish ends the connection without a word, as a lost network does once it is
// noticed.
func (p *Peer) Vanish() {
	p.conn.in.close(transport.ErrClosed, true)
	p.conn.out.close(transport.ErrClosed, true)
}
