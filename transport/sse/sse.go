// Package sse carries messages as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html) on the
// response to a POST under /events, for networks that let no WebSocket through.
//
//	POST /events, body: the first frame  ->  the Conn's Read
//	the Conn's Write  ->  data: <message>, an empty line, on the response
//
// The messages are JSON. A comment is sent at once and as a sign of life; the
// last event is transport.CloseNotice. Browsers read the stream with fetch,
// because an EventSource can send neither a body nor a token.
package sse

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"

	"example.com/h5im/transport"
)

// Options are what a Transport may be told. The zero value is the default.
type Options struct {
	// Path is where the transport is served, relative to the mount point.
	// Defaults to "/events".
	Path string
}

// Transport accepts streams.
type Transport struct{ path string }

var _ transport.Transport = (*Transport)(nil)

// New returns the transport. A nil opts is the default.
func New(opts *Options) *Transport {
	t := &Transport{path: "/events"}
	if opts != nil && opts.Path != "" {
		t.path = opts.Path
	}
	return t
}

// Path is where the transport is served.
func (t *Transport) Path() string { return t.path }

// Serve answers a POST with a stream, until the connection is closed. It
// answers 405, 413, 415 or 501 to a request that cannot begin one.
func (t *Transport) Serve(w http.ResponseWriter, r *http.Request, limits transport.Limits, start func(transport.Conn)) error {
	first, err := transport.ReadFirst(w, r, limits)
	if err != nil {
		return err
	}
	control := http.NewResponseController(w)
	// The host's server may have set deadlines for the request; a response
	// without them cannot be streamed for long, but perhaps long enough.
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
	if !flushes(w) {
		why := "the server cannot stream this response. The usual causes are http.TimeoutHandler around the handler, " +
			"or middleware whose ResponseWriter has neither Flush nor Unwrap"
		http.Error(w, why, http.StatusNotImplemented)
		return fmt.Errorf("transport/sse: %s: %w", why, http.ErrNotSupported)
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Content-Encoding", "identity") // or middleware that compresses would hold the events, and a window for each stream
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // nginx would keep the events back
	c := &conn{
		info:  transport.Info{Kind: "sse", Format: transport.JSON, Remote: r.RemoteAddr},
		first: first, timeout: limits.WriteTimeout, w: w, control: control,
		writes: make(chan []byte), wrote: make(chan error, 1), beat: make(chan struct{}, 1),
		closing: make(chan struct{}), ended: make(chan struct{}),
	}
	w.WriteHeader(http.StatusOK)
	if err := control.Flush(); err != nil {
		return fmt.Errorf("transport/sse: %w", err)
	}
	defer c.end()
	start(c)
	var pings <-chan time.Time
	if limits.PingInterval > 0 {
		ticker := time.NewTicker(limits.PingInterval)
		defer ticker.Stop()
		pings = ticker.C
	}
	c.stream(r.Context().Done(), pings)
	return nil
}

// flushes tells whether http.ResponseController would find a Flush: asked
// before the status is sent, with which the answer to it must differ.
func flushes(w http.ResponseWriter) bool {
	for {
		switch f := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = f.Unwrap()
		default:
			return false
		}
	}
}

// conn is one stream. Everything is written by Serve's goroutine, because
// nothing may be written when Serve has returned.
type conn struct {
	info    transport.Info
	timeout time.Duration // of a write of chunk bytes; 0: none
	w       http.ResponseWriter
	control *http.ResponseController

	first  []byte // until it is read; of the reader alone
	buffer []byte // what Write gives to the stream; of Write until it is given

	writes  chan []byte
	wrote   chan error
	beat    chan struct{}
	closing chan struct{} // closed by the first Close
	ended   chan struct{} // closed when Serve returns

	mu       sync.Mutex
	closed   bool // or over
	farewell []byte
}

var _ transport.OneWay = (*conn)(nil)

// comment is an event that no reader sees.
const comment = ":\n\n"

// chunk is how much is written in one write's time.
const chunk = 16 << 10

// farewellTimeout is how long the end may take.
const farewellTimeout = 900 * time.Millisecond

// stream writes until the end.
func (c *conn) stream(gone <-chan struct{}, pings <-chan time.Time) {
	if c.send([]byte(comment)) != nil {
		return
	}
	for {
		select {
		case b := <-c.writes:
			err := c.send(b)
			c.wrote <- err
			if err != nil {
				return
			}
		case <-c.beat:
			if c.send([]byte(comment)) != nil {
				return
			}
		case <-pings:
			if c.send([]byte(comment)) != nil {
				return
			}
		case <-c.closing:
			_, _ = c.w.Write(c.farewell)
			_ = c.control.Flush()
			return
		case <-gone:
			return
		}
	}
}

// send writes b in parts, each of which has the time of a write.
func (c *conn) send(b []byte) error {
	for len(b) > 0 {
		part := b[:min(chunk, len(b))]
		b = b[len(part):]
		begin := time.Now()
		if c.timeout > 0 {
			c.deadline(begin.Add(c.timeout))
		}
		_, err := c.w.Write(part)
		if err == nil {
			err = c.control.Flush()
		}
		if c.timeout > 0 {
			c.deadline(time.Time{}) // in HTTP/2 it would end an idle stream
		}
		if err != nil && c.timeout > 0 && time.Since(begin) >= c.timeout {
			return fmt.Errorf("transport/sse: %w", os.ErrDeadlineExceeded)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", transport.ErrClosed, err)
		}
	}
	return nil
}

// deadline sets that of a write, until Close has set its own.
func (c *conn) deadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		_ = c.control.SetWriteDeadline(t)
	}
}

// end tells that the response is over and must not be touched.
func (c *conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	close(c.ended)
}

func (c *conn) Info() transport.Info { return c.info }

// Read returns the frame that began the stream, then waits for the end.
func (c *conn) Read() ([]byte, error) {
	if first := c.first; first != nil {
		c.first = nil
		return first, nil
	}
	<-c.ended
	return nil, transport.ErrClosed
}

// Prepare makes an event of a message. A line break, which JSON can have
// between its tokens, begins another line of data.
func (c *conn) Prepare(msg []byte) transport.Prepared {
	if bytes.IndexByte(msg, '\r') >= 0 {
		msg = bytes.ReplaceAll(bytes.ReplaceAll(msg, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	}
	p := make([]byte, 0, len("data: ")+len(msg)+2)
	for line := range bytes.Lines(msg) {
		p = append(append(p, "data: "...), line...)
	}
	if len(msg) == 0 || msg[len(msg)-1] == '\n' {
		p = append(p, "data: "...)
	}
	return append(p, '\n', '\n')
}

func (c *conn) Write(msgs []transport.Prepared) error {
	select {
	case <-c.closing: // and the stream may still have the buffer
		return transport.ErrClosed
	default:
	}
	c.buffer = c.buffer[:0]
	for _, m := range msgs {
		c.buffer = append(c.buffer, m...)
	}
	if cap(c.buffer) > 4*chunk {
		defer func() { c.buffer = nil }()
	}
	select {
	case c.writes <- c.buffer:
	case <-c.closing:
		return transport.ErrClosed
	case <-c.ended:
		return transport.ErrClosed
	}
	select {
	case err := <-c.wrote:
		return err
	case <-c.closing:
		return transport.ErrClosed
	}
}

// Beat sends a comment.
func (c *conn) Beat() {
	select {
	case c.beat <- struct{}{}:
	default: // one waits already
	}
}

func (c *conn) Close(code int, reason string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.farewell = c.Prepare(transport.CloseNotice(code, reason))
	_ = c.control.SetWriteDeadline(time.Now().Add(farewellTimeout))
	close(c.closing)
	return nil
}

// Resume refuses: a stream that broke is over, and its session with it.
func (c *conn) Resume(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Allow", http.MethodPost)
	http.Error(w, "a stream cannot be resumed; begin another with POST of session.open", http.StatusMethodNotAllowed)
}
