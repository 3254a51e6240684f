package wire

import (
	"bytes"
	"slices"
	"unicode/utf16"
)

// Canonical returns v as canonical JSON, https://www.rfc-editor.org/rfc/rfc8785,
// which is the same for requests that mean the same, in whichever codec and
// however they were written.
func Canonical(v any) ([]byte, error) {
	b, err := encode(jsonNotation{}, nil, v)
	if err != nil {
		return nil, err
	}
	return appendCanonical(make([]byte, 0, len(b)), &jsonReader{b: b}), nil
}

func appendCanonical(dst []byte, r *jsonReader) []byte {
	switch r.peek() {
	case textKind:
		return appendJSONText(dst, r.text())
	case numberKind:
		return appendJSONFloat(dst, r.number().float)
	case arrayKind:
		dst = append(dst, '[')
		var w jsonNotation
		for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
			dst = appendCanonical(w.item(dst), r)
		}
		return append(dst, ']')
	case objectKind:
		return appendCanonicalObject(dst, r)
	}
	return append(dst, r.raw()...)
}

func appendCanonicalObject(dst []byte, r *jsonReader) []byte {
	type member struct {
		name  string
		order []uint16
		value []byte
	}
	var members []member
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		name := string(r.key())
		members = append(members, member{name, utf16.Encode([]rune(name)), bytes.TrimSpace(r.raw())})
	}
	slices.SortFunc(members, func(a, b member) int { return slices.Compare(a.order, b.order) })
	var w jsonNotation
	dst = append(dst, '{')
	for _, m := range members {
		dst = appendCanonical(w.anyKey(dst, m.name), &jsonReader{b: m.value})
	}
	return append(dst, '}')
}
