package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// A client is one connection of the crowd.
type client struct {
	conn    net.Conn
	reader  *bufio.Reader
	dialect *dialect
	seen    *counts
	user    string
	opened  chan struct{} // closed when the session is open

	write sync.Mutex

	// The reader's alone, and read by others when everything has arrived.
	ready      bool // acknowledgements are of messages
	deliveries int
	latency    latencies
}

func dial(addr, user string, d *dialect, seen *counts) (*client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	dialer := ws.Dialer{Protocols: d.protocols, ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10}
	conn, early, _, err := dialer.Dial(ctx, "ws://"+addr+d.path+"?user="+user)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, reader: early, dialect: d, seen: seen, user: user, opened: make(chan struct{})}
	if early == nil {
		c.reader = bufio.NewReaderSize(conn, 2<<10)
	}
	go c.read()
	if err := c.send(ws.OpText, d.open(nil, user)); err != nil {
		return nil, err
	}
	select {
	case <-c.opened:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: no answer to the opening", user)
	}
}

// text is a message of the size that people write.
var filler = strings.Repeat("x", 180)

// publish sends a message that was to be sent at a time.
func (c *client) publish(n int, to string, at time.Time) error {
	text := fmt.Sprintf("%c%d;%s", markTime, at.UnixNano(), filler)
	return c.send(ws.OpText, c.dialect.publish(nil, n, to, text))
}

func (c *client) send(op ws.OpCode, payload []byte) error {
	frame := ws.MaskFrameInPlace(ws.NewFrame(op, true, bytes.Clone(payload)))
	b, err := ws.CompileFrame(frame)
	if err != nil {
		return err
	}
	c.write.Lock()
	defer c.write.Unlock()
	_, err = c.conn.Write(b)
	return err
}

func (c *client) read() {
	for {
		if err := c.next(); err != nil {
			c.seen.fail(fmt.Errorf("%s: %w", c.user, err))
			return
		}
	}
}

func (c *client) next() error {
	h, err := ws.ReadHeader(c.reader)
	if err != nil {
		return err
	}
	n := int(h.Length)
	var payload []byte
	if n <= c.reader.Size() {
		if payload, err = c.reader.Peek(n); err != nil {
			return err
		}
		defer func() { _, _ = c.reader.Discard(n) }()
	} else {
		payload = make([]byte, n)
		if _, err := io.ReadFull(c.reader, payload); err != nil {
			return err
		}
	}
	switch h.OpCode {
	case ws.OpPing:
		return c.send(ws.OpPong, payload)
	case ws.OpText, ws.OpBinary:
		return c.got(payload)
	case ws.OpClose:
		return fmt.Errorf("closed: %q", payload)
	}
	return nil
}

// got takes what a frame brings: deliveries, each with the time at which it was
// to be sent, and acknowledgements.
func (c *client) got(payload []byte) error {
	var now int64
	known := false
	for rest := payload; ; {
		i := bytes.IndexByte(rest, markTime)
		if i < 0 {
			break
		}
		rest = rest[i+1:]
		var at int64
		for len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' {
			at, rest = at*10+int64(rest[0]-'0'), rest[1:]
		}
		if now == 0 {
			now = time.Now().UnixNano()
		}
		known = true
		c.deliveries++
		c.latency = append(c.latency, int32((now-at)/1000))
		if d := c.seen.deliveries.Add(1); d%c.seen.each == 0 {
			c.seen.signal()
		}
	}
	if n := bytes.Count(payload, c.dialect.ack); n > 0 && c.ready {
		known = true
		c.seen.acks.Add(int64(n))
		c.seen.signal()
	}
	switch {
	case known:
	case !c.ready && bytes.Contains(payload, c.dialect.opened):
		c.ready = true
		close(c.opened)
	case bytes.Equal(payload, c.dialect.ping):
		return c.send(ws.OpText, payload)
	case bytes.Contains(payload, []byte(`"error"`)), bytes.Contains(payload, []byte(`"gap"`)):
		return fmt.Errorf("the server says %s", payload)
	}
	return nil
}
