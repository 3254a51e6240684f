package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"example.com/h5im/transport"

	// The library's home is now github.com/coder/websocket, with the same API
	// (staticcheck says so: SA1019). This file alone names it.
	library "nhooyr.io/websocket"
)

type (
	libraryConn = library.Conn
	messageType = library.MessageType
)

const (
	messageText   = library.MessageText
	messageBinary = library.MessageBinary

	// The socket reads ahead already. What the library reads above its buffer
	// it reads past it.
	libraryReadBuffer = 16
	// The library writes control frames only: 2 + 125 bytes at most, which must
	// reach the socket in one Write.
	libraryWriteBuffer = 128

	handshakeTimeout = 10 * time.Second
)

// shakeHands answers the handshake on s and returns the library's end, and the
// reader that it buffers with.
func shakeHands(w http.ResponseWriter, r *http.Request, s *socket, format transport.Format) (_ *libraryConn, _ *bufio.Reader, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("handshake: %v", p)
		}
	}()
	answer := &handshake{header: w.Header().Clone(), socket: s}
	if answer.header == nil {
		answer.header = http.Header{}
	}
	options := &library.AcceptOptions{
		Subprotocols: []string{format.Subprotocol()},
		// Our caller has checked the origin with its scheme and port, which
		// the library does not.
		InsecureSkipVerify: true,
		CompressionMode:    library.CompressionDisabled,
	}
	conn, err := library.Accept(answer, r, options)
	if err == nil && answer.err != nil {
		err = answer.err
		_ = conn.CloseNow() // its goroutine would wait for ever
	}
	return conn, answer.reader, err
}

// closeReason returns what the peer's close frame said, if err comes of one.
func closeReason(err error) (*transport.CloseError, bool) {
	var told library.CloseError
	if !errors.As(err, &told) {
		return nil, false
	}
	return &transport.CloseError{Code: int(told.Code), Reason: string(bytes.ToValidUTF8([]byte(told.Reason), []byte("\uFFFD")))}, true
}

// handshake is the ResponseWriter that the library answers to once the
// connection is ours.
type handshake struct {
	header http.Header
	socket *socket
	reader *bufio.Reader
	err    error
}

func (h *handshake) Header() http.Header         { return h.header }
func (h *handshake) Write(p []byte) (int, error) { return len(p), nil }

func (h *handshake) WriteHeader(status int) {
	// Set by middleware for a body that there is not.
	for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding"} {
		h.header.Del(name)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = h.header.Write(&b) // a Buffer takes everything
	b.WriteString("\r\n")
	_ = h.socket.Conn.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	_, h.err = h.socket.Conn.Write(b.Bytes())
	_ = h.socket.Conn.SetWriteDeadline(time.Time{})
}

func (h *handshake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.reader = bufio.NewReaderSize(h.socket, libraryReadBuffer)
	return h.socket, bufio.NewReadWriter(h.reader, bufio.NewWriterSize(h.socket, libraryWriteBuffer)), nil
}
