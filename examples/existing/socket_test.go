package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// socket is the least of a WebSocket client (RFC 6455): one text frame out, one in.
type socket struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

// dial upgrades a connection; where the server refuses, socket is nil.
func dial(t testing.TB, url string, header http.Header) (*socket, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	req, err := http.NewRequest(http.MethodGet, url+"/im/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, resp
	}
	return &socket{t, conn, r}, resp
}

// call sends one request and returns its answer, passing over events.
func (s *socket) call(method string, params any) answer {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		s.t.Fatal(err)
	}
	frame := append([]byte{0x81, 0x80 | 126}, 0, 0, 0, 0, 0, 0) // the mask is zero
	binary.BigEndian.PutUint16(frame[2:], uint16(len(body)))
	if _, err := s.conn.Write(append(frame, body...)); err != nil {
		s.t.Fatal(err)
	}
	for {
		var a answer
		if err := json.Unmarshal(s.read(), &a); err != nil {
			s.t.Fatal(err)
		}
		if a.ID == 1 {
			return a
		}
	}
}

func (s *socket) read() []byte {
	s.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		s.t.Fatal(err)
	}
	n := uint64(head[1] & 0x7f)
	if size := map[uint64]int{126: 2, 127: 8}[n]; size > 0 {
		long := make([]byte, 8)
		if _, err := io.ReadFull(s.r, long[8-size:]); err != nil {
			s.t.Fatal(err)
		}
		n = binary.BigEndian.Uint64(long)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(s.r, body); err != nil {
		s.t.Fatal(err)
	}
	if head[0]&0x0f == 8 {
		s.t.Fatalf("closed: %q", body)
	}
	return body
}

// answer is a JSON-RPC answer.
type answer struct {
	ID     int             `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code int `json:"code"`
		Data struct {
			Reason     string `json:"reason"`
			ServerTime int64  `json:"serverTime"`
		} `json:"data"`
	} `json:"error"`
}

func (a answer) reason() string {
	if a.Error == nil {
		return ""
	}
	return a.Error.Data.Reason
}
