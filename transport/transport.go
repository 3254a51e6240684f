// Package transport turns HTTP requests into connections that carry frames.
//
// Package websocket is the default, pipe the in-memory reference, and
// transporttest the suite that every transport passes. A session sees a Conn
// and never a socket.
package transport

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Format is how the messages of a connection are encoded. It is fixed when the
// connection is accepted.
type Format uint8

// The formats.
const (
	JSON    Format = iota // text frames, subprotocol im.v1.json, the default
	Msgpack               // binary frames, subprotocol im.v1.msgpack
)

// Subprotocol is the WebSocket subprotocol that names the format.
func (f Format) Subprotocol() string {
	if f == Msgpack {
		return "im.v1.msgpack"
	}
	return "im.v1.json"
}

func (f Format) String() string {
	if f == Msgpack {
		return "msgpack"
	}
	return "json"
}

// ErrClosed is returned by Read and Write after Close, and after the peer has
// gone. Test with errors.Is: a *CloseError or a network's error may carry it.
var ErrClosed = errors.New("transport: connection closed")

// ErrTooLarge is returned by Read for a frame above the limit. The connection
// has told the peer (close code 1009) and is closed.
var ErrTooLarge = errors.New("transport: frame too large")

// ErrFormat is returned by Read for a frame of the wrong type, such as a
// binary frame on a JSON connection. The connection is closed (code 1003).
var ErrFormat = errors.New("transport: wrong frame type")

// CloseError is the ErrClosed of a connection whose peer said why it closed.
type CloseError struct {
	Code   int    // 1005 where the peer gave none
	Reason string // valid UTF-8, from the peer: not to be trusted
}

func (e *CloseError) Error() string {
	return fmt.Sprintf("transport: the peer closed with %d %q", e.Code, e.Reason)
}

// Is makes a CloseError an ErrClosed.
func (e *CloseError) Is(target error) bool { return target == ErrClosed }

// Transport turns an HTTP request into a Conn.
type Transport interface {
	// Path is where the transport is served, relative to the mount point: "/ws".
	Path() string

	// Serve answers one request. Either it calls start exactly once with a
	// connection that start owns from then on, or it answers the request with
	// an HTTP error that explains itself and returns that error. start returns
	// at once; the peer may have its answer a moment before. A transport that
	// hijacks returns after start, so that net/http can free its buffers; one
	// that streams returns when the Conn is closed.
	//
	// The caller has checked the request's origin. The request and its context
	// are not used after Serve has returned.
	Serve(w http.ResponseWriter, r *http.Request, limits Limits, start func(Conn)) error
}

// The limits where Limits says none.
const (
	DefaultMaxFrameBytes  = 256 << 10
	DefaultMessageTimeout = time.Minute
)

// Limits bound a connection.
type Limits struct {
	// MaxFrameBytes is the limit of a frame from the peer; larger ones close
	// with 1009. Defaults to DefaultMaxFrameBytes.
	MaxFrameBytes int
	// MessageTimeout is how long one message may take to arrive, from its first
	// frame to its end, give or take a quarter; slower ones close with 4001.
	// Between messages a peer may be silent. Defaults to DefaultMessageTimeout.
	MessageTimeout time.Duration
	// WriteTimeout is how long a Write may wait for a peer that takes nothing,
	// give or take a quarter: one that has taken a little (16 KiB) is given as
	// long again. 0: for ever.
	WriteTimeout time.Duration
	// PingInterval is how often an idle peer is asked for a sign of life below
	// the protocol; one that gives none by the next is gone. 0: never.
	PingInterval time.Duration
}

// Conn is one connection. Read is called by one goroutine, Write by one at a
// time, the rest by any, also at the same time.
type Conn interface {
	// Info describes the connection. It never changes.
	Info() Info

	// Read returns the next frame: one message or one array of messages. The
	// bytes belong to the caller. It returns ErrClosed after an orderly or
	// disorderly end (a *CloseError where the peer gave its reason), ErrTooLarge
	// or ErrFormat; after any error the connection is closed and its resources
	// are free.
	Read() ([]byte, error)

	// Prepare returns what Write wants for an encoded message, so that one that
	// goes to many connections is framed once. The result may be used with
	// every Conn of the same Info.Kind and Info.Format, and neither it nor msg
	// may be changed afterwards. It may share memory with msg.
	Prepare(msg []byte) Prepared

	// Write sends messages in order, in as few system calls as it can, and
	// returns when the network took them. It neither changes nor keeps the slice.
	// After an error the connection is closed; a timeout is
	// os.ErrDeadlineExceeded.
	Write(msgs []Prepared) error

	// Close tells the peer the code and reason (at most 123 bytes; longer ones
	// are cut at a whole character) where the transport can, and ends the
	// connection within a second: Write returns ErrClosed at once, Read when it
	// has ended. Close does not wait for that, and for a slow peer a moment at
	// most. Later calls do nothing.
	Close(code int, reason string) error
}

// Prepared is a message as a transport writes it. Only the transport that made
// it reads it.
type Prepared []byte

// Info describes a connection.
type Info struct {
	Kind   string // "websocket", "pipe", ...
	Format Format
	Remote string // the peer's address as net/http tells it
}

// Close codes. 4000 to 4099: reconnect with backoff. 4100 to 4199:
// authenticate first. 4200 to 4299: do not reconnect.
// Below 4000: RFC 6455, https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
const (
	CloseNormal          = 1000
	CloseGoingAway       = 1001
	CloseProtocolError   = 1002 // the peer broke the transport's own rules
	CloseWrongType       = 1003
	CloseNotUTF8         = 1007 // a text frame that is no text
	CloseTooLarge        = 1009
	CloseInternal        = 1011
	CloseRestart         = 4000 // the server shuts down
	CloseSlow            = 4001 // the peer did not read, or took too long over a message
	CloseOpenTimeout     = 4002 // no session.open in time
	CloseGone            = 4003 // the peer gave no sign of life
	CloseUnauthenticated = 4100
	CloseExpired         = 4101
	CloseProtocol        = 4200 // not the protocol at all
	CloseKicked          = 4201
	CloseTooMany         = 4202 // more sessions than a user may have
)
