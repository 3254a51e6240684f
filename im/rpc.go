package im

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"

	"example.com/h5im/im/wire"
)

// Media types of POST /rpc.
const (
	mediaJSON    = "application/json"
	mediaMsgpack = "application/msgpack"
)

// serveRPC is POST /rpc: one request or batch, authenticated by itself. The
// status is 200 once a frame was parsed; the body is the JSON-RPC answer. A
// session that the header names answers it as its own.
func (s *server) serveRPC(w http.ResponseWriter, r *http.Request) {
	origin, ok := s.checkOrigin(w, r)
	if !ok {
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		httpError(w, http.StatusMethodNotAllowed, "POST one JSON-RPC request or batch")
		return
	}
	codec, media := requestCodec(r)
	if codec == nil {
		httpError(w, http.StatusUnsupportedMediaType, "the Content-Type is application/json or application/msgpack")
		return
	}
	frame, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.limits.FrameBytes)))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		answer(w, http.StatusRequestEntityTooLarge, media, codec.AppendError(nil, wire.NullID(), ErrTooLarge.over("frame", s.limits.FrameBytes).wire()))
		return
	}
	if err != nil {
		return // the client has gone
	}
	name := r.Header.Get(sessionHeader)
	x := s.sessions.named(name)
	id, err := s.authenticate(r.Context(), x.handshake(r), origin)
	if err == nil && r.URL.Query().Has("app") && r.URL.Query().Get("app") != s.config.AppID {
		err = s.refuse(ErrAppUnknown.At("app"))
	}
	if err != nil {
		s.refuseRPC(w, media, codec, s.public(nil, err))
		return
	}
	var body []byte
	if name == "" {
		body = s.answerFrame(context.WithoutCancel(hostContext(r, origin)), codec, id, frame)
	} else if body, err = s.answerLeg(r, origin, x, leg{Session: name, User: id.User, Codec: codec.Name(), Frame: frame}); err != nil {
		noSession(w)
		return
	}
	if body == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, http.StatusOK, media, body)
}

func requestCodec(r *http.Request) (wire.Codec, string) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return nil, ""
	case media == mediaJSON:
		return wire.JSON, mediaJSON
	case media == mediaMsgpack, media == "application/vnd.msgpack", media == "application/x-msgpack":
		return wire.Msgpack, media
	}
	return nil, ""
}

// refuseRPC answers before anything was parsed.
func (s *server) refuseRPC(w http.ResponseWriter, media string, codec wire.Codec, e *Error) {
	status := e.Code
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 6750, section 3
	}
	if status < 400 || status > 599 {
		status = http.StatusServiceUnavailable
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter.Seconds()+0.999)))
	}
	answer(w, status, media, codec.AppendError(nil, wire.NullID(), e.wire()))
}

func answer(w http.ResponseWriter, status int, media string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", media)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// answerFrame runs the requests of a frame in order; nil if it had none that
// want an answer.
func (s *server) answerFrame(ctx context.Context, codec wire.Codec, id Identity, frame []byte) []byte {
	reqs, single, err := codec.Parse(frame, s.limits.scan())
	if err != nil {
		return codec.AppendError(nil, wire.NullID(), s.public(nil, err).wire())
	}
	var answers [][]byte
	for i := range reqs {
		if r := &reqs[i]; r.Err != nil || !r.ID.IsNone() {
			answers = append(answers, s.answerRequest(ctx, codec, id, r))
		}
	}
	switch {
	case len(answers) == 0:
		return nil
	case single:
		return answers[0]
	}
	return codec.AppendArray(nil, answers...)
}

func (s *server) answerRequest(ctx context.Context, codec wire.Codec, id Identity, r *wire.Request) []byte {
	if r.Err != nil {
		return codec.AppendError(nil, r.ID, r.Err)
	}
	op := &Op{Name: r.Method, Identity: id, remote: true}
	result, err := s.call(ctx, codec, op, r.Params)
	if err == nil {
		var b []byte
		if b, err = codec.AppendResult(nil, r.ID, result); err == nil {
			return b
		}
	}
	return codec.AppendError(nil, r.ID, s.public(op, err).wire())
}

// call decodes and runs an operation that needs no session.
func (s *server) call(ctx context.Context, codec wire.Codec, op *Op, params []byte) (any, error) {
	o := s.table[op.Name]
	if o == nil {
		return nil, ErrMethodNotFound
	}
	if o.need == needSession || o.need == needNothing {
		return nil, ErrUnsupported.With("this needs a session")
	}
	op.Params = o.newParams()
	if err := codec.Decode(params, op.Params); err != nil {
		return nil, err
	}
	if o.conversation != nil {
		op.Conversation = o.conversation(op.Identity.User, op.Params)
	}
	return s.execute(ctx, o, op)
}
