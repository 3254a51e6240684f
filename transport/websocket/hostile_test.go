package websocket_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/h5im/transport"
	"example.com/h5im/transport/websocket"
)

const patience = 20 * time.Second

// pair returns both ends of one JSON connection over TCP; early travels with
// the handshake.
func pair(t *testing.T, limits transport.Limits, early ...byte) (transport.Conn, *rawClient) {
	t.Helper()
	if limits.WriteTimeout == 0 {
		limits.WriteTimeout = time.Minute
	}
	conns := make(chan transport.Conn, 1)
	tr := websocket.New(nil)
	dial := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = tr.Serve(w, r, limits, func(c transport.Conn) { conns <- c })
	}))
	client := newRawClient(t, dial(), transport.JSON, early...)
	c := <-conns
	t.Cleanup(func() {
		client.Vanish()
		_ = c.Close(transport.CloseNormal, "")
	})
	return c, client
}

func TestBrokenFramesEndTheConnection(t *testing.T) {
	reserved := func(bits byte) []byte { return frame(fin|bits|opText, []byte("x")) }
	unmasked := []byte{fin | opText, 1, 'x'}
	long := func(n uint64) []byte {
		return binary.BigEndian.AppendUint64([]byte{fin | opText, 0x80 | 127}, n)
	}
	for name, c := range map[string]struct {
		bytes []byte
		code  int // that the client is told
	}{
		"an unmasked frame":                      {unmasked, 1002},
		"reserved bit 1":                         {reserved(0x40), 1002},
		"reserved bit 2":                         {reserved(0x20), 1002},
		"reserved bit 3":                         {reserved(0x10), 1002},
		"a reserved data opcode":                 {frame(fin|0x3, nil), 1002},
		"a reserved control opcode":              {frame(fin|0xB, nil), 1002},
		"a fragmented control frame":             {frame(opPing, nil), 1002},
		"an oversized control frame":             {frame(fin|opPing, make([]byte, 126)), 1002},
		"a length of 2^63":                       {append(long(1<<63), 1, 2, 3, 4), 1002},
		"a length of 2^64-1":                     {append(long(1<<64-1), 1, 2, 3, 4), 1002},
		"a length of 2^63-1":                     {append(append(long(1<<63-1), 1, 2, 3, 4), make([]byte, 2000)...), 1009},
		"a message inside a fragmented message":  {append(frame(opText, []byte("a")), text("b")...), 1002},
		"a continuation without a start":         {frame(fin|opCont, []byte("x")), 1002},
		"text that is not UTF-8":                 {frame(fin|opText, []byte{0xC0, 0xAF}), 1007},
		"fragments that are not UTF-8 in sum":    {append(frame(opText, []byte("\xe2\x82")), frame(fin|opCont, []byte("x"))...), 1007},
		"a close frame with one byte":            {frame(fin|opClose, []byte{3}), 1002},
		"a close frame with code 999":            {closing(999, ""), 1002},
		"a close frame with code 1005":           {closing(1005, ""), 1002},
		"a close frame with code 5000":           {closing(5000, ""), 1002},
		"HTTP instead of frames":                 {[]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), 1002},
		"TLS instead of frames":                  {[]byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0}, 1002},
		"fragments above the limit in their sum": {append(frame(opText, make([]byte, 600)), frame(fin|opCont, make([]byte, 600))...), 1009},
	} {
		t.Run(name, func(t *testing.T) {
			conn, client := pair(t, transport.Limits{MaxFrameBytes: 1000})
			if err := client.send(c.bytes); err != nil {
				t.Fatal(err)
			}
			told := make(chan error, 1)
			go func() {
				_, err := client.Read()
				told <- err
			}()
			_, err := conn.Read()
			switch {
			case c.code == transport.CloseTooLarge && err != transport.ErrTooLarge,
				c.code == transport.CloseNotUTF8 && !errors.Is(err, transport.ErrFormat),
				c.code == transport.CloseProtocolError && !errors.Is(err, transport.ErrClosed):
				t.Errorf("Read: %v", err)
			}
			var ended *transport.CloseError
			if err := <-told; !errors.As(err, &ended) || ended.Code != c.code {
				t.Errorf("the client was told %v, want %d", err, c.code)
			}
			if err := conn.Write([]transport.Prepared{conn.Prepare([]byte("x"))}); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Write: %v", err)
			}
		})
	}
}

func TestARefusalReachesThePeer(t *testing.T) {
	t.Run("also one that sends everything before it reads", func(t *testing.T) {
		conn, client := pair(t, transport.Limits{MaxFrameBytes: 1000})
		read := make(chan error, 1)
		go func() {
			_, err := conn.Read()
			read <- err
		}()
		if err := client.send(frame(fin|opText, make([]byte, 32<<20))); err != nil {
			t.Errorf("the client could not send to the end: %v", err)
		}
		_, err := client.Read()
		var told *transport.CloseError
		if !errors.As(err, &told) || told.Code != transport.CloseTooLarge {
			t.Errorf("told %v", err)
		}
		if err := <-read; err != transport.ErrTooLarge {
			t.Errorf("Read: %v", err)
		}
	})

	t.Run("and is the end of the stream, so that the peer need not wait", func(t *testing.T) {
		conn, client := pair(t, transport.Limits{})
		begin := time.Now()
		if err := client.send(frame(fin|opCont, nil)); err != nil {
			t.Fatal(err)
		}
		go conn.Read()
		if op, _, err := client.next(); op != opClose || err != nil {
			t.Errorf("opcode %d, %v", op, err)
		}
		if _, _, err := client.next(); err != io.EOF {
			t.Errorf("after the close frame: %v", err)
		}
		if d := time.Since(begin); d > 800*time.Millisecond {
			t.Errorf("it took %v", d)
		}
	})
}

func TestHalfAMessageIsNoMessage(t *testing.T) {
	whole := frame(fin|opText, bytes.Repeat([]byte("x"), 9000))
	fragments := append(frame(opText, []byte("first")), frame(fin|opCont, []byte("second"))...)
	for name, b := range map[string][]byte{
		"after its header":             whole[:8],
		"after a part":                 whole[:8+1000],
		"where our buffer ends":        whole[:8+4096],
		"before its last byte":         whole[:8+8999],
		"after its first fragment":     fragments[:6+5],
		"in its second header":         fragments[:6+5+1],
		"after its second header":      fragments[:6+5+6],
		"inside its second fragment":   fragments[:6+5+6+2],
		"with a ping after a fragment": append(fragments[:6+5:6+5], frame(fin|opPing, nil)...),
	} {
		t.Run("cut "+name, func(t *testing.T) {
			conn, client := pair(t, transport.Limits{})
			if err := client.send(b); err != nil {
				t.Fatal(err)
			}
			if err := client.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if msg, err := conn.Read(); !errors.Is(err, transport.ErrClosed) {
				t.Errorf("Read returned %d bytes, %v", len(msg), err)
			}
		})
	}
}

func TestUnusualFramesAreTaken(t *testing.T) {
	var slices []byte
	for range 10_000 {
		slices = append(slices, frame(opCont, nil)...)
	}
	for name, b := range map[string][]byte{
		"a ping between fragments":       bytes.Join([][]byte{frame(opText, []byte("hel")), frame(fin|opPing, []byte("?")), frame(fin|opCont, []byte("lo"))}, nil),
		"10,000 empty fragments":         bytes.Join([][]byte{frame(opText, nil), slices, frame(fin|opCont, []byte("hello"))}, nil),
		"a pong that nobody asked for":   append(frame(fin|opPong, []byte("!")), text("hello")...),
		"a character across fragments":   nil,
		"a fragmented message at a time": bytes.Join([][]byte{frame(opText, []byte("h")), frame(opCont, []byte("el")), frame(fin|opCont, []byte("lo"))}, nil),
		"a length that is not minimal":   {fin | opText, 0x80 | 126, 0, 5, 0, 0, 0, 0, 'h', 'e', 'l', 'l', 'o'},
	} {
		want := "hello"
		if b == nil {
			want = "€"
			b = append(frame(opText, []byte("\xe2\x82")), frame(fin|opCont, []byte("\xac"))...)
		}
		t.Run(name, func(t *testing.T) {
			conn, client := pair(t, transport.Limits{MaxFrameBytes: 1000})
			go client.Read()
			go client.send(b)
			if got, err := conn.Read(); err != nil || string(got) != want {
				t.Errorf("Read: %q, %v", got, err)
			}
		})
	}

	t.Run("frames sent along with the handshake arrive", func(t *testing.T) {
		var early []byte
		for range 300 {
			early = append(early, text("early")...)
		}
		conn, client := pair(t, transport.Limits{}, early...)
		if err := client.send(text("late")); err != nil {
			t.Fatal(err)
		}
		for i := range 301 {
			want := "early"
			if i == 300 {
				want = "late"
			}
			if got, err := conn.Read(); err != nil || string(got) != want {
				t.Fatalf("frame %d is %q, %v", i, got, err)
			}
		}
	})

	t.Run("bytes may come one by one", func(t *testing.T) {
		conn, client := pair(t, transport.Limits{})
		if tcp, ok := client.Conn.(*net.TCPConn); ok {
			_ = tcp.SetNoDelay(true)
		}
		go func() {
			for _, b := range append(text(strings.Repeat("drip ", 50)), closing(1000, "drop")...) {
				_ = client.send([]byte{b})
			}
		}()
		if got, err := conn.Read(); err != nil || string(got) != strings.Repeat("drip ", 50) {
			t.Errorf("Read: %q, %v", got, err)
		}
		var told *transport.CloseError
		if _, err := conn.Read(); !errors.As(err, &told) || told.Reason != "drop" {
			t.Errorf("Read: %v", err)
		}
	})

	t.Run("a close frame without a code is 1005", func(t *testing.T) {
		conn, client := pair(t, transport.Limits{})
		if err := client.send(frame(fin|opClose, nil)); err != nil {
			t.Fatal(err)
		}
		var told *transport.CloseError
		if _, err := conn.Read(); !errors.As(err, &told) || told.Code != 1005 {
			t.Errorf("Read: %v", err)
		}
	})
}

func TestPingFlood(t *testing.T) {
	t.Run("every ping is answered between whole messages", func(t *testing.T) {
		const pings = 5_000
		conn, client := pair(t, transport.Limits{})
		go func() {
			flood := bytes.Repeat(frame(fin|opPing, []byte("ping")), pings)
			_ = client.send(flood)
			_ = client.send(closing(1000, ""))
		}()
		go func() {
			msg := conn.Prepare(bytes.Repeat([]byte("message "), 50))
			for conn.Write([]transport.Prepared{msg, msg, msg}) == nil {
			}
		}()
		go conn.Read()
		pongs := 0
		for {
			op, payload, err := client.next()
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case op == opPong && string(payload) == "ping":
				pongs++
			case op == opText && string(payload) == strings.Repeat("message ", 50):
			case op == opClose:
				if pongs != pings {
					t.Errorf("%d pongs to %d pings", pongs, pings)
				}
				return
			default:
				t.Fatalf("opcode %d with %q", op, payload)
			}
		}
	})

	t.Run("a Close in between still reaches the peer", func(t *testing.T) {
		for range 50 {
			conn, client := pair(t, transport.Limits{})
			go func() {
				for range 100 {
					_ = client.send(bytes.Repeat(frame(fin|opPing, nil), 20))
				}
			}()
			go conn.Read()
			if op, _, err := client.next(); op != opPong || err != nil {
				t.Fatalf("opcode %d, %v", op, err)
			}
			go conn.Close(transport.CloseKicked, "stop it")
			var told *transport.CloseError
			if _, err := client.Read(); !errors.As(err, &told) || told.Code != transport.CloseKicked {
				t.Fatalf("told %v", err)
			}
		}
	})

	t.Run("one who pings and does not read is cut off", func(t *testing.T) {
		conn, client := pair(t, transport.Limits{WriteTimeout: 200 * time.Millisecond})
		go func() {
			flood := bytes.Repeat(frame(fin|opPing, make([]byte, 125)), 1000)
			for client.send(flood) == nil {
			}
		}()
		begin := time.Now()
		if _, err := conn.Read(); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Read: %v", err)
		}
		if d := time.Since(begin); d > patience {
			t.Errorf("after %v", d)
		}
	})
}
