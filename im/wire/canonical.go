package wire

import (
	"bytes"
	"slices"
	"sync"
	"unicode/utf16"
)

// Canonical returns v as canonical JSON, https://www.rfc-editor.org/rfc/rfc8785,
// which is the same for requests that mean the same, in whichever codec and
// however they were written.
func Canonical(v any) ([]byte, error) { return AppendCanonical(nil, v) }

// AppendCanonical appends what Canonical returns.
func AppendCanonical(dst []byte, v any) ([]byte, error) {
	scratch := canonicalScratch.Get().(*[]byte)
	defer canonicalScratch.Put(scratch)
	b, err := encode(jsonNotation{}, (*scratch)[:0], v)
	if cap(b) <= maxCanonicalScratch {
		*scratch = b
	}
	if err != nil {
		return dst, err
	}
	return appendCanonical(dst, &jsonReader{b: b}), nil
}

var canonicalScratch = sync.Pool{New: func() any { return new([]byte) }}

const maxCanonicalScratch = 64 << 10

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
	type member struct{ name, value []byte }
	var few [6]member
	members := few[:0]
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		name := r.key()
		if len(r.scratch) > 0 {
			name, r.scratch = bytes.Clone(name), r.scratch[:0]
		}
		members = append(members, member{name, bytes.TrimSpace(r.raw())})
	}
	slices.SortFunc(members, func(a, b member) int { return compareUTF16(a.name, b.name) })
	var w jsonNotation
	dst = append(dst, '{')
	for _, m := range members {
		dst = appendCanonical(w.anyKey(dst, string(m.name)), &jsonReader{b: m.value})
	}
	return append(dst, '}')
}

// compareUTF16 compares as the RFC wants names sorted: by their UTF-16 units,
// which differs from bytes where a surrogate pair meets U+E000 to U+FFFF.
func compareUTF16(a, b []byte) int {
	if i := slices.IndexFunc(a, func(c byte) bool { return c >= 0xee }); i < 0 {
		return bytes.Compare(a, b)
	}
	return slices.Compare(utf16.Encode([]rune(string(a))), utf16.Encode([]rune(string(b))))
}
