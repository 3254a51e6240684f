package websocket_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/h5im/transport"
)

// A rawClient speaks RFC 6455 byte by byte, also wrongly.
type rawClient struct {
	net.Conn
	r     *bufio.Reader
	muted atomic.Bool

	mu     sync.Mutex // of writing
	closed bool
}

const (
	fin      = 0x80
	opCont   = 0x0
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
)

const handshake = "GET /ws HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: %s\r\n\r\n"

// newRawClient shakes hands on conn and sends early along with the request.
func newRawClient(t testing.TB, conn net.Conn, format transport.Format, early ...byte) *rawClient {
	t.Helper()
	c := &rawClient{Conn: conn, r: bufio.NewReader(conn)}
	if _, err := conn.Write(append(fmt.Appendf(nil, handshake, format.Subprotocol()), early...)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols ||
		answer.Header.Get("Sec-WebSocket-Protocol") != format.Subprotocol() ||
		answer.Header.Get("Sec-WebSocket-Accept") != "ICX+Yqv66kxgM0FcWaLWlFLwTAI=" {
		body, _ := io.ReadAll(answer.Body)
		t.Fatalf("handshake: %d %v %s", answer.StatusCode, answer.Header, body)
	}
	return c
}

// frame encodes a masked frame.
func frame(first byte, payload []byte) []byte {
	var b []byte
	switch n := len(payload); {
	case n < 126:
		b = append(b, first, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

func text(s string) []byte { return frame(fin|opText, []byte(s)) }

func closing(code int, reason string) []byte {
	return frame(fin|opClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
}

// send writes raw bytes.
func (c *rawClient) send(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.Conn.Write(b)
	return err
}

// next reads one frame, which has to be as RFC 6455 wants a server's.
func (c *rawClient) next() (op byte, payload []byte, err error) {
	head := make([]byte, 2, 10)
	if _, err := io.ReadFull(c.r, head); err != nil {
		return 0, nil, err
	}
	if head[0]&0xF0 != fin || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("malformed frame from the server: % x", head)
	}
	op = head[0] & 0xF
	n := uint64(head[1])
	switch n {
	case 126:
		_, err = io.ReadFull(c.r, head[:2])
		n = uint64(binary.BigEndian.Uint16(head))
	case 127:
		_, err = io.ReadFull(c.r, head[:8])
		n = binary.BigEndian.Uint64(head[:8])
	}
	if err != nil {
		return 0, nil, err
	}
	if n > 16<<20 {
		return 0, nil, fmt.Errorf("frame of %d bytes from the server", n)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.r, payload)
	return op, payload, err
}

var errAfterClose = errors.New("a frame came after the close frame")

// Read is transporttest.Client's.
func (c *rawClient) Read() ([]byte, error) {
	for {
		op, payload, err := c.next()
		if err != nil {
			return nil, err
		}
		switch op {
		case opText, opBinary:
			return payload, nil
		case opPing:
			if !c.muted.Load() {
				_ = c.send(frame(fin|opPong, payload))
			}
		case opPong:
		case opClose:
			told := &transport.CloseError{Code: 1005}
			if len(payload) >= 2 {
				told.Code, told.Reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
			}
			c.mu.Lock()
			answered := c.closed
			c.closed = true
			c.mu.Unlock()
			if !answered {
				_ = c.send(frame(fin|opClose, payload[:min(2, len(payload))]))
			}
			// The server ends the connection, and says no more.
			if op, _, err := c.next(); err == nil {
				return nil, fmt.Errorf("%w: opcode %d", errAfterClose, op)
			}
			c.Conn.Close()
			return nil, told
		default:
			return nil, fmt.Errorf("opcode %d from the server", op)
		}
	}
}

func (c *rawClient) Write(format transport.Format, payload []byte) error {
	first := byte(fin | opText)
	if format == transport.Msgpack {
		first = fin | opBinary
	}
	return c.send(frame(first, payload))
}

func (c *rawClient) Close(code int, reason string) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	return c.send(closing(code, reason))
}

func (c *rawClient) Vanish() { c.Conn.Close() }

func (c *rawClient) Mute() { c.muted.Store(true) }

func (c *rawClient) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("this connection has no sides")
	}
	return half.CloseWrite()
}

// listen serves h over TCP.
func listen(t testing.TB, h http.Handler) (dial func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, h, l)
	return func() net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
}

// listenInMemory serves h without a network, for bubbles.
func listenInMemory(t testing.TB, h http.Handler) (dial func() net.Conn) {
	l := &memoryListener{conns: make(chan net.Conn), done: make(chan struct{})}
	serve(t, h, l)
	return func() net.Conn {
		client, server := net.Pipe()
		l.conns <- server
		return client
	}
}

func serve(t testing.TB, h http.Handler, l net.Listener) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Hour}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
}

type memoryListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

func contains(s string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(s, part) {
			return false
		}
	}
	return true
}
