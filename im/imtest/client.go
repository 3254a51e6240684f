package imtest

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/wire"
)

// patience is how long a client waits for what should come: longer than any
// timeout of a server, so that a test in a synctest bubble sees what it does.
const patience = 30 * time.Second

// Client speaks the protocol over one connection. Its methods may be called
// concurrently.
type Client struct {
	t     testing.TB
	peer  peer
	codec wire.Codec
	app   string

	mu      sync.Mutex
	last    int64
	answers map[wire.ID]wire.Incoming
	events  []im.Event
	stray   []wire.Incoming // answers without a readable id
	err     error           // why the connection ended
	paused  chan struct{}   // not nil while the client does not read
	changed chan struct{}   // closed and renewed at every change
	done    chan struct{}
}

type peer interface {
	Read() ([]byte, error)
	Write(frame []byte) error
	Close(code int, reason string) error
}

func newClient(t testing.TB, p peer, app string, msgpack bool) *Client {
	c := &Client{
		t: t, peer: p, codec: wire.JSON, app: app, answers: map[wire.ID]wire.Incoming{},
		changed: make(chan struct{}), done: make(chan struct{}),
	}
	if msgpack {
		c.codec = wire.Msgpack
	}
	go c.read()
	return c
}

func (c *Client) read() {
	defer close(c.done)
	for {
		c.mu.Lock()
		paused := c.paused
		c.mu.Unlock()
		if paused != nil {
			<-paused
		}
		frame, err := c.peer.Read()
		var list []wire.Incoming
		if err == nil {
			list, err = c.codec.ParseServer(frame)
		}
		c.mu.Lock()
		for _, m := range list {
			c.takeLocked(m)
		}
		if err != nil {
			c.err = err
		}
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *Client) takeLocked(m wire.Incoming) {
	if m.Method != "" {
		c.events = append(c.events, im.Event{Name: m.Method, Params: m.Params})
		return
	}
	if m.ID == wire.NullID() {
		c.stray = append(c.stray, m)
		return
	}
	c.answers[m.ID] = m
}

// wait runs found under the lock until it is true.
func (c *Client) wait(what string, found func() bool) error {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		ok, err, changed := found(), c.err, c.changed
		c.mu.Unlock()
		if ok {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case <-changed:
		case <-timeout.C:
			return errors.New("imtest: no " + what + " in time")
		}
	}
}

// Open sends session.open with a token.
func (c *Client) Open(token, device string) error {
	return c.Call("session.open", wire.OpenParams{AppID: c.app, Token: token, Device: device}, nil)
}

// Call runs an operation. A refusal is an *im.Error.
func (c *Client) Call(op string, params, result any) error {
	return c.Await(c.Start(op, params), result)
}

// Start sends a request and returns its id, without waiting. params is a params
// struct or, to send what no struct allows, a map.
func (c *Client) Start(op string, params any) int64 {
	if m, ok := params.(map[string]any); ok {
		b, err := json.Marshal(m)
		if err != nil {
			c.t.Errorf("%s: %v", op, err)
		}
		params = wire.Object(b)
	}
	c.mu.Lock()
	c.last++
	id := c.last
	c.mu.Unlock()
	frame, err := c.codec.AppendRequest(nil, wire.NumberID(id), op, params)
	if err != nil {
		c.t.Errorf("%s: %v", op, err)
	}
	c.Raw(frame)
	return id
}

// Await waits for the answer to a request.
func (c *Client) Await(id int64, result any) error {
	var answer wire.Incoming
	err := c.wait("answer", func() (ok bool) {
		answer, ok = c.answers[wire.NumberID(id)]
		delete(c.answers, wire.NumberID(id))
		return ok
	})
	switch {
	case err != nil:
		return err
	case answer.Error != nil:
		return im.ErrorFromWire(answer.Error)
	case result == nil:
		return nil
	}
	return c.codec.Decode(answer.Result, result)
}

// Raw sends a frame as it is. An error shows in what is awaited next.
func (c *Client) Raw(frame []byte) { _ = c.peer.Write(frame) }

// Stray waits for an answer to a request whose id could not be read.
func (c *Client) Stray() error {
	var answer wire.Incoming
	err := c.wait("answer without an id", func() bool {
		if len(c.stray) == 0 {
			return false
		}
		answer, c.stray = c.stray[0], c.stray[1:]
		return true
	})
	if err != nil {
		return err
	}
	if answer.Error == nil {
		return nil
	}
	return im.ErrorFromWire(answer.Error)
}

// Event waits for the next event of a name and takes it; others stay.
func (c *Client) Event(name string) im.Event {
	c.t.Helper()
	var e im.Event
	err := c.wait("event "+name, func() bool {
		for i := range c.events {
			if c.events[i].Name == name {
				e = c.events[i]
				c.events = append(c.events[:i:i], c.events[i+1:]...)
				return true
			}
		}
		return false
	})
	if err != nil {
		c.t.Fatalf("event %s: %v", name, err)
	}
	return e
}

// Events takes the events that have come.
func (c *Client) Events() []im.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	events := c.events
	c.events = nil
	return events
}

// Decode reads the params of an event, in whatever notation it came.
func (c *Client) Decode(e im.Event, v any) {
	c.t.Helper()
	if err := c.codec.Decode(e.Params, v); err != nil {
		c.t.Fatalf("event %s: %v", e.Name, err)
	}
}

// Pause stops reading, as a client does whose page hangs, until the function
// that it returns is called. One frame may still be read.
func (c *Client) Pause() (resume func()) {
	paused := make(chan struct{})
	c.mu.Lock()
	c.paused = paused
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.paused == paused {
			c.paused = nil
			close(paused)
		}
	}
}

// Ended waits for the server to end the connection and returns why; see
// transport.CloseError.
func (c *Client) Ended() error {
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection.
func (c *Client) Close() {
	c.mu.Lock()
	if c.paused != nil {
		close(c.paused)
		c.paused = nil
	}
	c.mu.Unlock()
	_ = c.peer.Close(1000, "")
	<-c.done
}
