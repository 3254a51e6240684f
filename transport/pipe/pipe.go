// Package pipe is the reference transport, in memory: what the others do with
// sockets it does with two bounded queues. Tests use it to send real requests
// through a real handler without a network, also inside testing/synctest.
package pipe

import (
	"context"
	"fmt"
	"net/http"

	"example.com/h5im/transport"
)

// Transport accepts connections from Dial. The zero value is ready to use.
type Transport struct{}

var _ transport.Transport = Transport{}

// Path is where the transport is served.
func (Transport) Path() string { return "/pipe" }

// dialer is what Dial puts into a request's context for Serve to find.
type dialer struct{ peer *Peer }

type dialerKey struct{}

// Serve accepts a request that Dial has sent, and answers 501 to any other.
func (Transport) Serve(w http.ResponseWriter, r *http.Request, limits transport.Limits, start func(transport.Conn)) error {
	waiting, ok := r.Context().Value(dialerKey{}).(*dialer)
	if !ok || waiting.peer != nil {
		const why = "a pipe is in memory: only Dial of the same process reaches it"
		http.Error(w, why, http.StatusNotImplemented)
		return fmt.Errorf("transport/pipe: %s", why)
	}
	format, err := transport.Negotiate(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return err
	}
	w.Header().Set("Sec-WebSocket-Protocol", format.Subprotocol())
	w.WriteHeader(http.StatusSwitchingProtocols)
	peer, c := newPair(format, limits, r.RemoteAddr)
	waiting.peer = peer
	start(c)
	return nil
}

// Dial sends r through h, in the caller's goroutine. The URL's path has to
// lead to the transport; the format is asked for with the header
// Sec-WebSocket-Protocol, JSON without it. If h does not answer with a
// connection, peer is nil and the answer is its refusal, with its body.
func (Transport) Dial(h http.Handler, r *http.Request) (peer *Peer, answer *http.Response, err error) {
	waiting := &dialer{}
	r = r.WithContext(context.WithValue(r.Context(), dialerKey{}, waiting))
	if r.RemoteAddr == "" {
		r.RemoteAddr = "pipe"
	}
	w := &recorder{header: http.Header{}}
	h.ServeHTTP(w, r)
	answer = w.response(r)
	if waiting.peer == nil {
		return nil, answer, fmt.Errorf("transport/pipe: no connection but status %d", answer.StatusCode)
	}
	return waiting.peer, answer, nil
}

// New returns the two ends of a connection, without HTTP.
func New(format transport.Format, limits transport.Limits) (*Peer, transport.Conn) {
	return newPair(format, limits, "pipe")
}
