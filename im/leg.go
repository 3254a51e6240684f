package im

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"example.com/h5im/im/wire"
	"example.com/h5im/transport"
)

// A session without a socket gets its requests one by one, as legs: a POST of a
// frame, or a GET that fetches what the session has to tell. Each names the
// session, is authenticated anew, and may come to any node.

// sessionHeader names the session.
const sessionHeader = "Im-Session"

// leg is a request to a session, as one node hands it to another.
type leg struct {
	Session string `json:"session"`
	User    string `json:"user"` // whom the request was authenticated as
	Codec   string `json:"codec,omitempty"`
	Frame   []byte `json:"frame,omitempty"` // of a POST
	Query   string `json:"query,omitempty"` // of a GET
}

// legAnswer is a session's answer to a leg.
type legAnswer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"body,omitempty"`
}

var errNoSession = errors.New("im: there is no such session here")

func noSession(w http.ResponseWriter) {
	httpError(w, http.StatusNotFound, "there is no such session here")
}

// handshake is that of a leg, or of a POST that names no session: x is nil.
func (x *session) handshake(r *http.Request) *Handshake {
	h := &Handshake{Request: r}
	if x != nil {
		x.mu.Lock()
		h.Device = x.device
		x.mu.Unlock()
	}
	return h
}

// belongs tells that the session is open and user's. Somebody else's is the
// same to him as none.
func (x *session) belongs(user string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.opened && x.identity.User == user
}

// answerLeg answers a frame that was POSTed to a session; x is nil where it is
// not of this node.
func (s *server) answerLeg(r *http.Request, origin transport.Origin, x *session, l leg) ([]byte, error) {
	if x == nil {
		answer, err := s.forward(r.Context(), l)
		return answer.Body, err
	}
	if !x.belongs(l.User) {
		return nil, errNoSession
	}
	x.mu.Lock()
	if x.request != nil && x.origin == origin { // it may carry newer cookies
		x.request = withoutBody(x.ctx, r)
	}
	x.mu.Unlock()
	return x.answerLeg(l)
}

// answerLeg runs a frame that did not come over the connection.
func (x *session) answerLeg(l leg) ([]byte, error) {
	if l.Codec != x.codec.Name() {
		return wire.CodecOf(l.Codec).AppendError(nil, wire.NullID(), ErrUnsupported.With("this session speaks "+x.codec.Name()).wire()), nil
	}
	reqs, single, err := x.codec.Parse(l.Frame, x.server.limits.scan())
	if err != nil {
		return x.errorAnswer(wire.NullID(), x.server.public(nil, err)), nil
	}
	var running sync.WaitGroup
	answers := make([][]byte, len(reqs))
	alive := x.run(reqs, func(i int) func([]byte) {
		running.Add(1)
		return func(b []byte) {
			answers[i] = b
			running.Done()
		}
	})
	if !alive {
		return nil, errNoSession
	}
	running.Wait()
	kept := answers[:0]
	for _, a := range answers {
		if a != nil {
			kept = append(kept, a)
		}
	}
	switch {
	case len(kept) == 0:
		return nil, nil
	case single:
		return kept[0], nil
	}
	return x.codec.AppendArray(nil, kept...), nil
}

// resume answers a GET of what a session has to tell.
func (s *server) resume(w http.ResponseWriter, r *http.Request, origin transport.Origin, name string) {
	x := s.sessions.named(name)
	id, err := s.authenticate(r.Context(), x.handshake(r), origin)
	if err != nil {
		s.refuseRPC(w, mediaJSON, wire.JSON, s.public(nil, err))
		return
	}
	if x != nil && x.belongs(id.User) {
		x.oneWay.Resume(w, r)
		return
	}
	if x != nil || r.Method != http.MethodGet {
		noSession(w)
		return
	}
	answer, err := s.forward(r.Context(), leg{Session: name, User: id.User, Query: r.URL.RawQuery})
	if err != nil {
		noSession(w)
		return
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body)
}

// forward hands a leg to the node of its session.
func (s *server) forward(ctx context.Context, l leg) (answer legAnswer, err error) {
	node, ok := s.ids.nodeOf(l.Session)
	if !ok || node == s.hub.Node() {
		return answer, errNoSession
	}
	request, err := json.Marshal(nodeRequest{Leg: &l})
	if err != nil {
		return answer, err
	}
	b, err := s.hub.Request(ctx, node, request)
	if err != nil {
		return answer, fmt.Errorf("im: node of a session: %w", err)
	}
	return answer, json.Unmarshal(b, &answer)
}

// takeLeg answers what another node has forwarded, and has authenticated.
func (s *server) takeLeg(ctx context.Context, l *leg) (*legAnswer, error) {
	x := s.sessions.named(l.Session)
	if x == nil || !x.belongs(l.User) {
		return nil, errNoSession
	}
	if l.Frame != nil {
		body, err := x.answerLeg(*l)
		return &legAnswer{Body: body}, err
	}
	w := &legWriter{header: http.Header{}}
	x.oneWay.Resume(w, (&http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: l.Query}, Header: http.Header{}}).WithContext(ctx))
	return &legAnswer{Status: max(w.status, http.StatusOK), Header: w.header, Body: w.body.Bytes()}, nil
}

// legWriter takes the answer to a GET that came to another node.
type legWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *legWriter) Header() http.Header         { return w.header }
func (w *legWriter) Write(b []byte) (int, error) { return w.body.Write(b) }
func (w *legWriter) WriteHeader(status int)      { w.status = status }

// Deadlines are of the connection that the request came by.
func (w *legWriter) SetReadDeadline(time.Time) error  { return nil }
func (w *legWriter) SetWriteDeadline(time.Time) error { return nil }
