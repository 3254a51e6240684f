package websocket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"example.com/h5im/transport"
	"example.com/h5im/transport/websocket"
)

// FuzzFrames sends anything after a handshake: no panic, no message above the
// limit, and the end once the client has gone.
func FuzzFrames(f *testing.F) {
	for _, seed := range [][]byte{
		text("hello"), frame(fin|opPing, []byte("?")), closing(1000, "bye"), frame(opText, nil),
		{fin | opText, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0}, {0x8A, 0x80, 1, 2, 3, 4, 0x8A, 0x80, 1},
		bytes.Repeat(frame(opCont, nil), 10), frame(fin|opText, make([]byte, 1001)),
	} {
		f.Add(seed)
	}
	tr := websocket.New(nil)
	conns := make(chan transport.Conn, 1)
	l := &memoryListener{conns: make(chan net.Conn), done: make(chan struct{})}
	serve(f, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = tr.Serve(w, r, transport.Limits{MaxFrameBytes: 1000}, func(c transport.Conn) { conns <- c })
	}), l)
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		l.conns <- far
		client := newRawClient(t, near, transport.JSON)
		conn := <-conns
		go func() {
			_ = client.send(b)
			client.Vanish()
		}()
		go io.Copy(io.Discard, client.r)
		for {
			msg, err := conn.Read()
			if len(msg) > 1000 {
				t.Errorf("a message of %d bytes", len(msg))
			}
			if err == nil {
				continue
			}
			if !errors.Is(err, transport.ErrClosed) && !errors.Is(err, transport.ErrFormat) && err != transport.ErrTooLarge {
				t.Errorf("Read: %v", err)
			}
			return
		}
	})
}
