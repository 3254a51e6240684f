package lab

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// socket is a WebSocket client of RFC 6455 in a page: text frames, pongs, and
// no extension. It has nothing of the server's code in it.
type socket struct {
	conn    net.Conn
	reader  *bufio.Reader
	writing sync.Mutex // pongs go between the requests
}

func dial(addr, path, subprotocol string) (*socket, error) {
	tcp, err := net.DialTimeout("tcp", addr, silence)
	if err != nil {
		return nil, err
	}
	conn := impatient{tcp}
	var key [16]byte
	rand.Read(key[:])
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
		path, addr, base64.StdEncoding.EncodeToString(key[:]), subprotocol)
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &socket{conn: conn, reader: bufio.NewReader(conn)}
	resp, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		conn.Close()
		return nil, err
	}
	resp.Body.Close() // there is none
	if resp.StatusCode != http.StatusSwitchingProtocols {
		conn.Close()
		return nil, fmt.Errorf("upgrade: %s", resp.Status)
	}
	return s, nil
}

const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

func (s *socket) write(op byte, payload []byte) error {
	frame := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	var mask [4]byte
	rand.Read(mask[:])
	frame = append(frame, mask[:]...)
	for i, b := range payload {
		frame = append(frame, b^mask[i%4])
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.conn.Write(frame)
	return err
}

// read returns the next text frame. The server does not fragment.
func (s *socket) read() ([]byte, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(s.reader, head[:]); err != nil {
			return nil, err
		}
		size := uint64(head[1] & 0x7f)
		extra := map[uint64]int{126: 2, 127: 8}[size]
		if extra > 0 {
			var b [8]byte
			if _, err := io.ReadFull(s.reader, b[8-extra:]); err != nil {
				return nil, err
			}
			size = binary.BigEndian.Uint64(b[:])
		}
		if size > 16<<20 {
			return nil, errors.New("frame of an absurd size")
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(s.reader, payload); err != nil {
			return nil, err
		}
		switch head[0] & 0x0f {
		case opText:
			return payload, nil
		case opPing:
			if err := s.write(opPong, payload); err != nil {
				return nil, err
			}
		case opClose:
			return nil, io.EOF
		}
	}
}

func (s *socket) close() { s.conn.Close() }
