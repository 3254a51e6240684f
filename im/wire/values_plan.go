package wire

import (
	"bytes"
	"fmt"
	"reflect"
)

// The plans of the types in values.go.
type (
	objectPlan   struct{}
	contentPlan  struct{}
	targetPlan   struct{}
	mentionsPlan struct{}
)

func (objectPlan) decode(r reader, v reflect.Value) *Error {
	if r.peek() != objectKind {
		return wrong("an object")
	}
	b, err := r.appendJSON(nil)
	if err != nil {
		return err
	}
	v.SetBytes(b)
	return nil
}

// encode writes no object as the empty one. What a host made may be no object.
func (objectPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	object := v.Bytes()
	if len(object) > 0 {
		if err := ScanJSON(object, clientLimits); err != nil {
			return dst, fmt.Errorf("wire: %v: %s", v.Type(), err.Error()) // not the client's fault
		}
		if r := (&jsonReader{b: object}); r.peek() != objectKind {
			return dst, fmt.Errorf("wire: %v: the value is no object", v.Type())
		}
	}
	return appendObject(n, dst, object), nil
}

func appendObject(n notation, dst, object []byte) []byte {
	if len(object) == 0 {
		return n.endObject(n.object(dst, 0))
	}
	return n.json(dst, object)
}

func (objectPlan) empty(v reflect.Value) bool { return v.Len() == 0 }

func (contentPlan) decode(r reader, v reflect.Value) *Error {
	switch r.peek() {
	case objectKind:
		return objectPlan{}.decode(r, v)
	case textKind:
		b, _ := r.appendJSON([]byte(`{"text":`))
		v.SetBytes(append(b, '}'))
		return nil
	}
	return wrong("an object or a string")
}

func (contentPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	return objectPlan{}.encode(n, dst, v)
}

func (contentPlan) empty(v reflect.Value) bool { return v.Len() == 0 }

func (targetPlan) decode(r reader, v reflect.Value) *Error {
	const want = `a user id, {"user": id} or {"conversation": id}`
	var to Target
	switch r.peek() {
	case textKind:
		to.User = r.text()
	case objectKind:
		for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
			var id *string
			switch string(r.key()) {
			case "user":
				id = &to.User
			case "conversation":
				id = &to.Conversation
			}
			if id == nil || r.peek() == nullKind {
				r.skip()
				continue
			}
			if r.peek() != textKind {
				return wrong(want)
			}
			*id = r.text()
		}
	}
	if (to.User == "") == (to.Conversation == "") {
		return wrong(want)
	}
	*v.Addr().Interface().(*Target) = to
	return nil
}

func (targetPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	to := v.Interface().(Target)
	if to.Conversation != "" {
		dst = n.text(n.key(n.object(dst, 1), "conversation"), to.Conversation)
	} else {
		dst = n.text(n.key(n.object(dst, 1), "user"), to.User)
	}
	return n.endObject(dst), nil
}

func (targetPlan) empty(reflect.Value) bool { return false }

func (mentionsPlan) decode(r reader, v reflect.Value) *Error {
	const want = `a list of user ids or "all"`
	var m Mentions
	switch r.peek() {
	case textKind:
		if r.text() != "all" {
			return wrong(want)
		}
		m.All = true
	case arrayKind:
		i := 0
		for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
			if r.peek() != textKind {
				return wrong("a string").at(i)
			}
			m.Users = append(m.Users, r.text())
			i++
		}
	default:
		return wrong(want)
	}
	*v.Addr().Interface().(*Mentions) = m
	return nil
}

func (mentionsPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	m := v.Interface().(Mentions)
	return m.append(n, dst), nil
}

func (m *Mentions) append(n notation, dst []byte) []byte {
	if m.All {
		return n.text(dst, "all")
	}
	dst = n.array(dst, len(m.Users))
	for _, user := range m.Users {
		dst = n.text(n.item(dst), user)
	}
	return n.endArray(dst)
}

func (mentionsPlan) empty(reflect.Value) bool { return false }

// maxIDBytes bounds a string id.
const maxIDBytes = 64

func readID(r reader) (ID, *Error) {
	switch r.peek() {
	case textKind:
		if text := r.text(); len(text) <= maxIDBytes {
			return TextID(text), nil
		}
	case numberKind:
		if n := r.number(); n.safe() {
			return NumberID(n.integer), nil
		}
	default:
		r.skip()
	}
	return ID{}, invalidRequest("id must be a string of at most 64 bytes or an integer within 2^53")
}

// append writes the id; none is null.
func (id ID) append(n notation, dst []byte) []byte {
	switch id.kind {
	case textID:
		return n.text(dst, id.text)
	case numberID:
		return n.integer(dst, id.number)
	}
	return n.null(dst)
}

// marshalJSON and unmarshalJSON serve encoding/json, for hosts and tests. A
// peer's bytes are read by a Codec only.
func marshalJSON(v any) ([]byte, error) { return encode(jsonNotation{}, nil, v) }

func unmarshalJSON(b []byte, v any) error {
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	if err := ScanJSON(b, ScanLimits{MaxDepth: clientDepth, MaxItems: clientItems}); err != nil {
		return err
	}
	return named(decode(&jsonReader{b: b}, v), "the value")
}
