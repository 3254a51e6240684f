package transport

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// OneWay is a Conn without a socket: it carries messages to the peer alone. Its
// Read returns the frame that began it and then waits for the end. What the
// peer asks later comes as requests that name the session, and is answered in
// their responses.
type OneWay interface {
	Conn

	// Beat sends a sign of life at once, so that a peer that has asked for one
	// knows whether it would still get what is written.
	Beat()

	// Resume answers a later request to the transport's path that named the
	// session of this connection.
	Resume(w http.ResponseWriter, r *http.Request)
}

// CloseNotice is the last message of a connection that has no close frame: the
// event "close" with code and reason.
func CloseNotice(code int, reason string) []byte {
	text, err := json.Marshal(CutReason(reason))
	if err != nil { // a string cannot fail
		text = []byte(`""`)
	}
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","method":"close","params":{"code":%d,"reason":%s}}`, code, text)
}

// ReadFirst reads the frame that begins a OneWay connection: the body of a POST
// of JSON. Where it is none, the request is answered and the error says so.
func ReadFirst(w http.ResponseWriter, r *http.Request, limits Limits) ([]byte, error) {
	refuse := func(status int, why string) ([]byte, error) {
		http.Error(w, why, status)
		return nil, errors.New("transport: " + why)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return refuse(http.StatusMethodNotAllowed, "a session without a socket begins with POST of session.open")
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "the Content-Type is application/json")
	}
	limit := limits.MaxFrameBytes
	if limit <= 0 {
		limit = DefaultMaxFrameBytes
	}
	frame, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("a frame has at most %d bytes", limit))
	case err != nil:
		return refuse(http.StatusBadRequest, "the body did not arrive")
	}
	return frame, nil
}
