package websocket_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"example.com/h5im/transport"
	"example.com/h5im/transport/websocket"
)

// hijacked is a ResponseWriter whose connection is what edit makes of it.
type hijacked struct {
	plain
	edit func(net.Conn, *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter)
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	conn, rw = h.edit(conn, rw)
	return conn, rw, nil
}

// gone is the connection of a peer that reset it behind its request.
type gone struct{ net.Conn }

func (gone) Write([]byte) (int, error) { return 0, errors.New("connection reset by peer") }

func TestAFailedHandshakeLeavesNothing(t *testing.T) {
	for name, edit := range map[string]func(net.Conn, *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter){
		"of a peer that has gone":      func(c net.Conn, rw *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) { return gone{c}, rw },
		"of a Hijack without a reader": func(c net.Conn, _ *bufio.ReadWriter) (net.Conn, *bufio.ReadWriter) { return c, nil },
	} {
		t.Run(name, func(t *testing.T) {
			served := make(chan error, 1)
			tr := websocket.New(nil)
			dial := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served <- tr.Serve(hijacked{plain{w}, edit}, r, patient, func(transport.Conn) { t.Error("it was started") })
			}))
			conn := dial()
			defer conn.Close()
			if _, err := io.WriteString(conn, strings.ReplaceAll(handshake, "%s", "im.v1.json")); err != nil {
				t.Fatal(err)
			}
			if err := <-served; err == nil {
				t.Error("Serve returned no error")
			}
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the connection is left open: %v", err)
			}
			wantNoLibrary(t)
		})
	}
}

// wantNoLibrary waits until no goroutine of the library is left, which has
// nothing of this module on its stack.
func wantNoLibrary(t *testing.T) {
	t.Helper()
	late := time.After(patience)
	for {
		stacks := make([]byte, 1<<20)
		if !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "websocket.newConn") {
			return
		}
		select {
		case <-late:
			t.Fatal("a goroutine of the library is left")
		case <-time.After(time.Millisecond):
		}
	}
}
