// Package poll carries messages by long polling, for networks that let neither
// a WebSocket nor a stream through.
//
//	POST /poll, body: the first frame  ->  the Conn's Read
//	the Conn's first message           ->  the POST's response
//	the Conn's Write                   ->  {"frame":n,"messages":[...]}, the response to a GET
//
// A GET names the last frame that the peer has, ?ack=n, and waits for the next:
// a response that was lost comes again, the same bytes, until it is
// acknowledged. 204 means that there was nothing. The messages are JSON; the
// last one is transport.CloseNotice.
package poll

import (
	"net/http"
	"time"

	"example.com/h5im/transport"
)

// Options are what a Transport may be told. Zero fields mean the defaults.
type Options struct {
	// Path is where the transport is served, relative to the mount point.
	// Defaults to "/poll".
	Path string
	// Wait is how long a GET waits for a message: less than the patience of
	// what is in between. Defaults to 25 s.
	Wait time.Duration
	// Gone is how long a peer may be without a GET before it counts as gone.
	// Defaults to 15 s.
	Gone time.Duration
}

// Transport accepts connections of many requests.
type Transport struct{ options Options }

var _ transport.Transport = (*Transport)(nil)

// New returns the transport. A nil opts is the default.
func New(opts *Options) *Transport {
	t := &Transport{options: Options{Path: "/poll", Wait: 25 * time.Second, Gone: 15 * time.Second}}
	if opts == nil {
		return t
	}
	if opts.Path != "" {
		t.options.Path = opts.Path
	}
	if opts.Wait > 0 {
		t.options.Wait = opts.Wait
	}
	if opts.Gone > 0 {
		t.options.Gone = opts.Gone
	}
	return t
}

// Path is where the transport is served.
func (t *Transport) Path() string { return t.options.Path }

// Serve begins a connection and answers the POST with its first message. It
// answers 405, 413 or 415 to a request that cannot begin one.
func (t *Transport) Serve(w http.ResponseWriter, r *http.Request, limits transport.Limits, start func(transport.Conn)) error {
	first, err := transport.ReadFirst(w, r, limits)
	if err != nil {
		return err
	}
	c := newConn(transport.Info{Kind: "poll", Format: transport.JSON, Remote: r.RemoteAddr}, first, t.options)
	start(c)
	defer c.rest()
	patience(w)
	select {
	case msg := <-c.answer:
		respond(w, msg)
	case <-c.ended:
		respond(w, transport.CloseNotice(transport.CloseGone, ""))
	case <-r.Context().Done():
	}
	return nil
}

// patience lifts the deadlines that the host's server has set for a request.
func patience(w http.ResponseWriter) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Time{})
}

// writeTimeout is for a response; what is lost comes again.
const writeTimeout = 10 * time.Second

func respond(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	if body == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	h.Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}
