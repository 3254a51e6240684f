package wire

// Object is a JSON object as bytes: valid UTF-8, no duplicate keys, integers
// within 2^53, depth within the scan limits. nil is absent. In msgpack it is a
// map and is transcoded in a stream.
type Object []byte

// Content is an Object that a client may also write as a bare string, which
// means {"text": string}.
type Content []byte

// Target is where a message goes: a user or a conversation. A bare string
// means a user.
type Target struct {
	User         string `json:"user,omitempty"`
	Conversation string `json:"conversation,omitempty"`
}

// Mentions are the users a message mentions, at most 50: a list of ids, or the
// string "all".
type Mentions struct {
	Users []string
	All   bool
}

// IsZero tells that it names nothing.
func (t Target) IsZero() bool { return t == Target{} }

// IsZero tells that nobody is mentioned.
func (m Mentions) IsZero() bool { return !m.All && len(m.Users) == 0 }

// ID is the id of a request: a string, an integer within 2^53, or none. It is
// comparable.
type ID struct {
	text   string
	number int64
	kind   idKind
}

type idKind uint8

const (
	noID idKind = iota
	textID
	numberID
	nullID // only in an answer to what had no readable id
)

// TextID is a string id.
func TextID(s string) ID { return ID{text: s, kind: textID} }

// NumberID is an integer id.
func NumberID(n int64) ID { return ID{number: n, kind: numberID} }

// NullID is the id of the answer to a message whose id could not be read.
func NullID() ID { return ID{kind: nullID} }

// IsNone tells that the message is a notification.
func (id ID) IsNone() bool { return id.kind == noID }

// String is the id as JSON.
func (id ID) String() string { return string(id.append(jsonNotation{}, nil)) }
