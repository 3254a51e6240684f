package wire

import "github.com/vmihailenco/msgpack/v5"

// The types of values.go have the same shape under encoding/json and msgpack/v5
// as under the codecs, so that a host may marshal what it got (but msgpack/v5
// writes a nil Object or Content as nil). What comes from a
// peer is never unmarshalled by these packages: msgpack/v5 allocates whatever a
// length says.

// MarshalJSON returns the object; nil is an empty one.
func (o Object) MarshalJSON() ([]byte, error) { return marshalJSON(o) }

// UnmarshalJSON takes a valid object.
func (o *Object) UnmarshalJSON(b []byte) error { return unmarshalJSON(b, o) }

// EncodeMsgpack writes the object as a map.
func (o Object) EncodeMsgpack(e *msgpack.Encoder) error { return encodeMsgpack(e, o) }

// MarshalJSON returns the content; nil is an empty object.
func (c Content) MarshalJSON() ([]byte, error) { return marshalJSON(c) }

// UnmarshalJSON takes a valid object or a string.
func (c *Content) UnmarshalJSON(b []byte) error { return unmarshalJSON(b, c) }

// EncodeMsgpack writes the content as a map.
func (c Content) EncodeMsgpack(e *msgpack.Encoder) error { return encodeMsgpack(e, c) }

// MarshalJSON returns {"user"} or {"conversation"}.
func (t Target) MarshalJSON() ([]byte, error) { return marshalJSON(t) }

// UnmarshalJSON takes these or a string.
func (t *Target) UnmarshalJSON(b []byte) error { return unmarshalJSON(b, t) }

// EncodeMsgpack writes what MarshalJSON does.
func (t Target) EncodeMsgpack(e *msgpack.Encoder) error { return encodeMsgpack(e, t) }

// MarshalJSON returns "all" or the list.
func (m Mentions) MarshalJSON() ([]byte, error) { return marshalJSON(m) }

// UnmarshalJSON takes these.
func (m *Mentions) UnmarshalJSON(b []byte) error { return unmarshalJSON(b, m) }

// EncodeMsgpack writes what MarshalJSON does.
func (m Mentions) EncodeMsgpack(e *msgpack.Encoder) error { return encodeMsgpack(e, m) }

// MarshalJSON returns the string, the integer or null.
func (id ID) MarshalJSON() ([]byte, error) { return id.append(jsonNotation{}, nil), nil }

// UnmarshalJSON takes these.
func (id *ID) UnmarshalJSON(b []byte) error {
	r := &jsonReader{b: b}
	if r.peek() == nullKind {
		*id = NullID()
		return nil
	}
	read, err := readID(r)
	if err != nil {
		return err
	}
	*id = read
	return nil
}

// EncodeMsgpack writes what MarshalJSON does.
func (id ID) EncodeMsgpack(e *msgpack.Encoder) error {
	_, err := e.Writer().Write(id.append(msgpackNotation{}, nil))
	return err
}

func encodeMsgpack(e *msgpack.Encoder, v any) error {
	b, err := encode(msgpackNotation{}, nil, v)
	if err != nil {
		return err
	}
	_, err = e.Writer().Write(b)
	return err
}
