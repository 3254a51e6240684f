package websocket_test

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/h5im/transport"
	"example.com/h5im/transport/websocket"
)

// narrow gives its connections small buffers, so that the kernel takes messages
// in parts.
type narrow struct{ net.Listener }

const narrowBuffer = 32 << 10

func (l narrow) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(narrowBuffer)
	}
	return c, err
}

func listenNarrow(t testing.TB, h http.Handler) (dial func() net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, h, narrow{l})
	return func() net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(narrowBuffer)
		}
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
}

// narrowPair returns a connection whose kernel takes messages in parts.
func narrowPair(t *testing.T) (transport.TryWriter, *rawClient) {
	t.Helper()
	conns := make(chan transport.Conn, 1)
	tr := websocket.New(nil)
	dial := listenNarrow(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = tr.Serve(w, r, patient, func(c transport.Conn) { conns <- c })
	}))
	client := newRawClient(t, dial(), transport.JSON)
	t.Cleanup(func() { client.Vanish() })
	if err := client.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := (<-conns).(transport.TryWriter)
	go func() {
		for {
			if _, err := c.Read(); err != nil {
				return
			}
		}
	}()
	return c, client
}

// fill tries to write what make makes until the peer has to be waited for. It
// returns how many messages were taken, and how many of them in the last try.
func fill(t *testing.T, c transport.TryWriter, make func() []transport.Prepared) (taken, last int, left []transport.Prepared) {
	t.Helper()
	for {
		msgs := make()
		n, err := c.TryWrite(msgs)
		taken += n
		switch {
		case errors.Is(err, transport.ErrWait):
			return taken, n, msgs[n:]
		case err != nil:
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, c transport.Conn, msgs []transport.Prepared) (wait func()) {
	written := make(chan error, 1)
	go func() { written <- c.Write(msgs) }()
	return func() {
		t.Helper()
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
}

// The pong of the library comes between two messages, and what is tried again
// before the rest of a message was written waits.
func TestTriesInParts(t *testing.T) {
	c, client := narrowPair(t)
	msg := bytes.Repeat([]byte("x"), 50_000)
	one := func() []transport.Prepared { return []transport.Prepared{c.Prepare(msg)} }
	parted := 0
	for range 20 {
		taken, last, _ := fill(t, c, one)
		pongs := 0
		next := func() {
			t.Helper()
			switch op, got, err := client.next(); {
			case err != nil:
				t.Fatal(err)
			case op == opPong && string(got) == "there?":
				pongs++
			case op == opText && bytes.Equal(got, msg):
				taken--
			default:
				t.Fatalf("opcode %d with %d bytes", op, len(got))
			}
		}
		for taken > last {
			next()
		}
		if last == 1 {
			parted++
			if n, err := c.TryWrite(one()); n != 0 || !errors.Is(err, transport.ErrWait) {
				t.Fatalf("trying again took %d: %v", n, err)
			}
		}
		if err := client.send(frame(fin|opPing, []byte("there?"))); err != nil {
			t.Fatal(err)
		}
		wait := write(t, c, nil)
		for pongs < 1 || taken > 0 {
			next()
		}
		wait()
	}
	if parted == 0 {
		t.Error("the kernel took whole messages alone")
	}
}

func TestJoinedTriesInParts(t *testing.T) {
	c, client := narrowPair(t)
	made, read := 0, 0
	message := func(i int) string { return strings.Repeat("x", i%400) + strconv.Itoa(i) }
	many := func() (msgs []transport.Prepared) {
		for range 60 {
			msgs = append(msgs, c.Prepare([]byte(message(made))))
			made++
		}
		return msgs
	}
	for range 20 {
		_, _, left := fill(t, c, many)
		wait := write(t, c, left)
		for ; read < made; read++ {
			switch _, got, err := client.next(); {
			case err != nil:
				t.Fatal(err)
			case string(got) != message(read):
				t.Fatalf("message %d is %.500q", read, got)
			}
		}
		wait()
	}
}

// A pong that comes while a message is tried is sent whoever is there to send it.
func TestPongsBesideTries(t *testing.T) {
	c, client := narrowPair(t)
	msg := []transport.Prepared{c.Prepare([]byte("x"))}
	kick := make(chan bool)
	tried := make(chan error, 1)
	go func() {
		for range kick {
			n, err := c.TryWrite(msg)
			if errors.Is(err, transport.ErrWait) {
				err = c.Write(msg[n:])
			}
			tried <- err
		}
	}()
	defer close(kick)
	ping := frame(fin|opPing, nil)
	for range 3000 {
		if err := client.send(ping); err != nil {
			t.Fatal(err)
		}
		kick <- true
		for range 2 {
			if _, _, err := client.next(); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-tried; err != nil {
			t.Fatal(err)
		}
	}
}
