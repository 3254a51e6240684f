package wire

import (
	"cmp"
	"slices"
	"strings"
)

// JSON and Msgpack are the codecs.
var (
	JSON    Codec = &codec{"json", jsonNotation{}}
	Msgpack Codec = &codec{"msgpack", msgpackNotation{}}
)

// CodecOf returns the codec of a name, nil if there is none.
func CodecOf(name string) Codec {
	switch name {
	case JSON.Name():
		return JSON
	case Msgpack.Name():
		return Msgpack
	}
	return nil
}

type codec struct {
	name string
	n    notation
}

func (c *codec) Name() string { return c.name }

func (c *codec) Parse(frame []byte, limits ScanLimits) ([]Request, bool, error) {
	requests, single, err := c.n.split(frame, limits)
	if err != nil {
		return nil, single, err
	}
	if !single && len(requests) == 0 {
		return nil, false, invalidRequest("the array is empty")
	}
	for i := range requests {
		c.readRequest(&requests[i])
	}
	return slices.DeleteFunc(requests, unanswered), single, nil
}

// unanswered tells that q is a notification that cannot be served.
func unanswered(q Request) bool { return q.ID.IsNone() && q.Err != nil }

// readRequest reads the message that split left in Params.
func (c *codec) readRequest(q *Request) {
	r := c.n.reader(q.Params)
	q.Params = nil
	scanned := q.Err
	q.Err = q.envelope(r)
	if q.Err == nil && scanned != nil {
		q.Err = scanned.inParams()
	}
	switch {
	case q.Err == nil:
	case scanned != nil && scanned.Data.Field == "id":
		q.ID = NullID() // what was read is not what was meant
	case q.ID.IsNone() && !q.Err.isForbidden(): // it may have had an id
		q.ID = NullID()
	}
}

// envelope reads what is around the params. It reads on after an error, so that
// the answer can name the id.
func (q *Request) envelope(r reader) (err *Error) {
	if r.peek() != objectKind {
		return invalidRequest("a message must be an object")
	}
	fail := func(e *Error) {
		if err == nil {
			err = e
		}
	}
	version := false
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		switch string(r.key()) {
		case "jsonrpc":
			version = true
			if textOrNone(r) != "2.0" {
				fail(invalidRequest(`jsonrpc must be "2.0"`))
			}
		case "id":
			id, e := readID(r)
			if e != nil {
				fail(e)
			}
			q.ID = id
		case "method":
			q.Method = textOrNone(r)
		case "params":
			switch r.peek() {
			case objectKind:
				q.Params = r.raw()
			case nullKind:
				r.skip()
			default:
				r.skip()
				fail(invalidRequest("params must be an object"))
			}
		default:
			r.skip()
		}
	}
	if !version {
		fail(invalidRequest(`jsonrpc must be "2.0"`))
	}
	if q.Method == "" {
		fail(invalidRequest("method must be a name"))
	}
	return err
}

// textOrNone reads a string, or skips what is none.
func textOrNone(r reader) string {
	if r.peek() == textKind {
		return r.text()
	}
	r.skip()
	return ""
}

// inParams turns a path that begins at the message into one that begins at its
// params. What is wrong around them makes the message no request.
func (e *Error) inParams() *Error {
	field := e.Data.Field
	if field != "params" && !strings.HasPrefix(field, "params.") {
		return invalidRequest(cmp.Or(field, "the message") + " " + e.Message)
	}
	e.Data.Field = strings.TrimPrefix(field[len("params"):], ".")
	return e.about("params")
}

func invalidRequest(message string) *Error {
	return &Error{Code: CodeInvalidRequest, Message: message, Data: &ErrorData{Reason: ReasonInvalidRequest}}
}

func (c *codec) AppendRequest(dst []byte, id ID, method string, params any) ([]byte, error) {
	if id.IsNone() {
		return c.AppendEvent(dst, method, params)
	}
	dst = openMessage(c.n, dst, 4)
	dst = id.append(c.n, c.n.key(dst, "id"))
	dst = c.n.text(c.n.key(dst, "method"), method)
	dst, err := encode(c.n, c.n.key(dst, "params"), params)
	return c.n.endObject(dst), err
}

func (c *codec) AppendResult(dst []byte, id ID, result any) ([]byte, error) {
	dst = openMessage(c.n, dst, 3)
	dst = id.append(c.n, c.n.key(dst, "id"))
	dst, err := encode(c.n, c.n.key(dst, "result"), result)
	return c.n.endObject(dst), err
}

func (c *codec) AppendError(dst []byte, id ID, e *Error) []byte {
	dst = openMessage(c.n, dst, 3)
	dst = id.append(c.n, c.n.key(dst, "id"))
	dst, _ = encode(c.n, c.n.key(dst, "error"), e) // an Error always encodes
	return c.n.endObject(dst)
}

func (c *codec) AppendEvent(dst []byte, method string, params any) ([]byte, error) {
	dst, err := encode(c.n, openEvent(c.n, dst, method), params)
	return c.n.endObject(dst), err
}

func (c *codec) AppendArray(dst []byte, msgs ...[]byte) []byte {
	dst = c.n.array(dst, len(msgs))
	for _, m := range msgs {
		dst = append(c.n.item(dst), m...)
	}
	return c.n.endArray(dst)
}

func openMessage(n notation, dst []byte, fields int) []byte {
	return n.text(n.key(n.object(dst, fields), "jsonrpc"), "2.0")
}

// openEvent writes an event up to its params.
func openEvent(n notation, dst []byte, method string) []byte {
	dst = n.text(n.key(openMessage(n, dst, 3), "method"), method)
	return n.key(dst, "params")
}
