// Package wire is the protocol as bytes: JSON-RPC 2.0 frames in JSON or
// msgpack, and the shapes of every operation and event. PROTOCOL.md beside
// this file is the normative text; sentences are numbered and tests name them.
//
// Every byte from a network goes through one pre-scan (ScanLimits) before anything
// decodes it.
package wire

// Codec encodes and decodes frames. JSON and Msgpack are the codecs: the same
// shapes in two notations. A Codec has no state and may be used concurrently.
type Codec interface {
	// Name is "json" or "msgpack".
	Name() string

	// Parse scans a frame and splits it into its requests. single tells that it
	// was one message and not an array. An error is an *Error for the frame as a
	// whole: not well-formed (CodeParse), above the limits (too_large) or an empty
	// array (CodeInvalidRequest). A bad message is a Request with Err set and the
	// ID to answer to. Params alias frame.
	Parse(frame []byte, limits ScanLimits) (reqs []Request, single bool, err error)

	// Decode reads params that were scanned, by Parse or ParseServer or else by
	// ScanJSON or ScanMsgpack, into a pointer to a params struct. It sets the
	// fields that are there; absent params decode as an empty object. Nothing
	// aliases params. Errors are *Error with reason invalid_argument and the
	// field that is wrong, unless v's type is at fault (see CheckType).
	Decode(params []byte, v any) error

	// AppendResult, AppendError and AppendEvent append one whole message.
	AppendResult(dst []byte, id ID, result any) ([]byte, error)
	AppendError(dst []byte, id ID, e *Error) []byte
	AppendEvent(dst []byte, method string, params any) ([]byte, error)

	// AppendMessageEvent is AppendEvent("message", m) without reflection: it
	// allocates nothing when dst has room.
	AppendMessageEvent(dst []byte, m *Message) []byte

	// AppendArray joins whole messages into one array frame.
	AppendArray(dst []byte, msgs ...[]byte) []byte

	// AppendRequest and ParseServer are the client's side. A request without id
	// is a notification. ParseServer scans a server's frame and splits it; what
	// it returns aliases frame, and Decode reads its params and results.
	AppendRequest(dst []byte, id ID, method string, params any) ([]byte, error)
	ParseServer(frame []byte) ([]Incoming, error)
}

// ScanLimits bound a frame before it is decoded. Zero fields mean the defaults.
type ScanLimits struct {
	MaxDepth int // of nested arrays and objects; defaults to 16
	MaxItems int // values and keys in the frame, all levels; defaults to 4096
	MaxBatch int // elements of an array frame; defaults to 64
}

// Request is one message from a client.
type Request struct {
	ID     ID // none: a notification
	Method string
	Params []byte // as encoded; nil if absent
	Err    *Error // the message is no valid request
}

// Reserved codes of JSON-RPC 2.0, https://www.jsonrpc.org/specification#error_object
const (
	CodeParse          = -32700
	CodeInvalidRequest = -32600
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
)

// Error is a JSON-RPC error object.
type Error struct {
	Code    int        `json:"code"`
	Message string     `json:"message"`
	Data    *ErrorData `json:"data,omitempty"`
}

// ErrorData tells a program what went wrong.
type ErrorData struct {
	// Reason is stable; see the catalogue in PROTOCOL.md.
	Reason string `json:"reason"`
	// Field names the offending parameter: "to", "content.text", "users[3]".
	Field string `json:"field,omitempty"`
	// Max is the limit that was exceeded, in the unit of the field.
	Max          int64 `json:"max,omitempty"`
	RetryAfterMs int64 `json:"retryAfterMs,omitempty"`
	ServerTime   int64 `json:"serverTime,omitempty"`
	// Incident finds the log entry of an internal error.
	Incident string `json:"incident,omitempty"`
}

func (e *Error) Error() string { return e.Message }
