// Package websocket is the default transport: WebSocket (RFC 6455) under /ws.
//
// The library reads, answers pings and closes, and shakes hands. Messages do
// not go through its writer: they are framed once for all connections and
// written beside it to the same socket, which is what makes fan-out cheap.
//
//	Conn.Read  <- library <- socket <- network
//	Conn.Write ------------> socket -> network
//	library's pong, close -> socket -> network
//
// The socket (socket.go) is where the two meet: it lets whole frames through,
// one at a time, and none after a close frame.
package websocket

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"example.com/h5im/transport"
)

// Options are what a Transport may be told. The zero value is the default.
type Options struct {
	// Path is where the transport is served, relative to the mount point.
	// Defaults to "/ws".
	Path string
	// Logger gets what must not happen: a panic of the library. Defaults to
	// slog.Default().
	Logger *slog.Logger
}

// Transport accepts WebSocket connections. It needs no end of its own: what it
// shares between connections lives while there are any.
type Transport struct {
	path   string
	log    *slog.Logger
	pinger pinger
}

var _ transport.Transport = (*Transport)(nil)

// New returns the transport. A nil opts is the default.
func New(opts *Options) *Transport {
	t := &Transport{path: "/ws", log: slog.Default()}
	if opts != nil && opts.Path != "" {
		t.path = opts.Path
	}
	if opts != nil && opts.Logger != nil {
		t.log = opts.Logger
	}
	return t
}

// Path is where the transport is served.
func (t *Transport) Path() string { return t.path }

// Serve upgrades a request to a WebSocket connection. It answers 405, 426, 400
// or 501 to a request that cannot be upgraded, and says why in the body.
func (t *Transport) Serve(w http.ResponseWriter, r *http.Request, limits transport.Limits, start func(transport.Conn)) error {
	refuse := func(status int, why string) error {
		http.Error(w, why, status)
		return fmt.Errorf("transport/websocket: %s", why)
	}
	if r.ProtoMajor >= 2 {
		return refuse(http.StatusNotImplemented, "WebSocket needs HTTP/1.1; this request came over "+r.Proto)
	}
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		return refuse(http.StatusMethodNotAllowed, "a WebSocket begins with GET")
	}
	if !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket") || !r.ProtoAtLeast(1, 1) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		return refuse(http.StatusUpgradeRequired, "this address speaks WebSocket only: send Upgrade: websocket and Connection: Upgrade "+
			"(a proxy in between must pass both on)")
	}
	if r.Header.Get("Sec-WebSocket-Version") != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		return refuse(http.StatusUpgradeRequired, "only version 13 of WebSocket is supported")
	}
	if keys := r.Header.Values("Sec-WebSocket-Key"); len(keys) != 1 || !validKey(keys[0]) {
		return refuse(http.StatusBadRequest, "Sec-WebSocket-Key must be there once and be 16 bytes in base64")
	}
	format, err := transport.Negotiate(r)
	if err != nil {
		return refuse(http.StatusBadRequest, err.Error())
	}

	raw, buffered, err := hijack(w)
	if err != nil {
		return refuse(http.StatusNotImplemented, "the server cannot hand over this connection, which WebSocket needs. "+
			"The usual causes are http.TimeoutHandler around the handler, "+
			"or middleware whose ResponseWriter has neither Hijack nor Unwrap. ("+err.Error()+")")
	}
	conn, err := t.accept(w, r, raw, buffered, format, limits)
	if err != nil {
		raw.Close()
		return err
	}
	start(conn)
	return nil
}

// noTimeout stands for a WriteTimeout of 0.
const noTimeout = 365 * 24 * time.Hour

// accept shakes hands on a hijacked connection.
func (t *Transport) accept(w http.ResponseWriter, r *http.Request, raw net.Conn, buffered *bufio.Reader, format transport.Format, limits transport.Limits) (*conn, error) {
	// The host's server may have set deadlines for the request.
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("transport/websocket: %w", err)
	}
	early, err := buffered.Peek(buffered.Buffered())
	if err != nil {
		return nil, fmt.Errorf("transport/websocket: %w", err)
	}
	if limits.WriteTimeout <= 0 {
		limits.WriteTimeout = noTimeout
	}
	if limits.MaxFrameBytes <= 0 {
		limits.MaxFrameBytes = transport.DefaultMaxFrameBytes
	}
	if limits.MessageTimeout <= 0 {
		limits.MessageTimeout = transport.DefaultMessageTimeout
	}
	c := &conn{
		transport: t,
		format:    format,
		remote:    r.RemoteAddr,
		socket:    socket{Conn: raw, raw: rawConn(raw), writeTimeout: limits.WriteTimeout, messageTimeout: limits.MessageTimeout},
	}
	c.socket.ahead = append(c.socket.buf[:0], early...)
	if c.lib, c.libReader, err = shakeHands(w, r, &c.socket, format); err != nil {
		return nil, fmt.Errorf("transport/websocket: %w", err)
	}
	c.lib.SetReadLimit(int64(limits.MaxFrameBytes))
	t.pinger.add(c, limits.PingInterval)
	return c, nil
}

// hijack takes the connection from the server, through any number of wrapped
// ResponseWriters. It comes before the answer to the handshake, because only
// then a failure can still be told: some wrappers have a Hijack that fails, or
// panics, where what they wrap has none.
func hijack(w http.ResponseWriter) (raw net.Conn, buffered *bufio.Reader, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("hijack: %v", p)
		}
	}()
	raw, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if rw == nil || rw.Reader == nil {
		raw.Close()
		return nil, nil, errors.New("hijack gave no reader")
	}
	return raw, rw.Reader, nil
}

func hasToken(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

func validKey(key string) bool {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(key))
	return err == nil && len(b) == 16
}
