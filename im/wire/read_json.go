package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"
	"unicode/utf8"
)

type jsonReader struct {
	b       []byte
	at      int
	depth   int    // of the recursion
	scratch []byte // of the last key that had escapes
}

func (r *jsonReader) space() {
	for r.at < len(r.b) && (r.b[r.at] == ' ' || r.b[r.at] == '\n' || r.b[r.at] == '\t' || r.b[r.at] == '\r') {
		r.at++
	}
}

func (r *jsonReader) peek() valueKind {
	r.space()
	if r.at >= len(r.b) {
		return endKind
	}
	switch c := r.b[r.at]; c {
	case '"':
		return textKind
	case '{':
		return objectKind
	case '[':
		return arrayKind
	case 't', 'f':
		return boolKind
	case 'n':
		return nullKind
	default:
		if c == '-' || '0' <= c && c <= '9' {
			return numberKind
		}
	}
	return endKind
}

func (r *jsonReader) boolean() bool { return r.raw()[0] == 't' }

func (r *jsonReader) number() number {
	n, _ := parseNumber(r.raw())
	return n
}

// parseNumber also tells whether the literal is that of an integer.
func parseNumber(literal []byte) (n number, integer bool) {
	integer = isInteger(literal)
	if integer {
		i, err := strconv.ParseInt(string(literal), 10, 64)
		if err == nil {
			return number{float64(i), i, true}, true
		}
	}
	return numberOf(parseFloat(literal)), integer
}

func isInteger(literal []byte) bool {
	for _, c := range literal {
		if c == '.' || c|0x20 == 'e' {
			return false
		}
	}
	return true
}

func (r *jsonReader) text() string {
	s := unquoted(r.raw())
	if bytes.IndexByte(s, '\\') < 0 {
		return string(s)
	}
	return string(unescape(nil, s))
}

// unquoted cuts the quotes off.
func unquoted(raw []byte) []byte {
	if len(raw) < 2 {
		return nil
	}
	return raw[1 : len(raw)-1]
}

// unescape appends what stands between the quotes of a JSON string.
func unescape(dst, s []byte) []byte {
	for len(s) > 0 {
		i := bytes.IndexByte(s, '\\')
		if i < 0 || i+1 == len(s) {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		c := s[i+1]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, n := unescapeUnit(s[i:])
			dst = utf8.AppendRune(dst, r)
			s = s[i+n:]
			continue
		}
		dst = append(dst, c)
		s = s[i+2:]
	}
	return dst
}

// unescapeUnit reads \uXXXX, or the two that make a surrogate pair.
func unescapeUnit(s []byte) (r rune, n int) {
	unit, ok := hexUnit(s)
	if !ok {
		return utf8.RuneError, 2
	}
	if unit < 0xd800 || unit > 0xdfff {
		return unit, 6
	}
	if low, ok := hexUnit(s[6:]); ok && unit < 0xdc00 && low >= 0xdc00 && low <= 0xdfff {
		return (unit-0xd800)<<10 + low - 0xdc00 + 0x10000, 12
	}
	return utf8.RuneError, 6
}

// Before the first element and after it.
const (
	jsonFirst container = iota
	jsonLater
)

func (r *jsonReader) enter() container {
	r.at++
	return jsonFirst
}

func (r *jsonReader) next(c container) (container, bool) {
	r.space()
	if r.at >= len(r.b) {
		return c, false
	}
	switch r.b[r.at] {
	case ']', '}':
		r.at++
		return c, false
	case ',':
		r.at++
		return jsonLater, true
	}
	if c == jsonFirst {
		return jsonLater, true
	}
	r.at = len(r.b)
	return c, false
}

func (r *jsonReader) key() []byte {
	if r.peek() != textKind {
		r.at = len(r.b)
		return nil
	}
	key := unquoted(r.raw())
	if bytes.IndexByte(key, '\\') >= 0 {
		r.scratch = unescape(r.scratch[:0], key)
		key = r.scratch
	}
	if r.space(); r.at < len(r.b) {
		r.at++ // the colon
	}
	return key
}

func (r *jsonReader) skip() { r.raw() }

func (r *jsonReader) raw() []byte {
	r.space()
	from := r.at
	switch r.peek() {
	case textKind:
		r.at = endOfText(r.b, r.at)
	case objectKind, arrayKind:
		depth := 0
		for r.at < len(r.b) {
			switch r.b[r.at] {
			case '"':
				r.at = endOfText(r.b, r.at)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			r.at++
			if depth == 0 {
				break
			}
		}
	case endKind:
		r.at = len(r.b)
	default:
		r.at = endOfWord(r.b, r.at)
	}
	return r.b[from:r.at]
}

// endOfText is the position behind the string that begins at i.
func endOfText(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(b)
}

// endOfWord is the position behind the number or literal that begins at i.
func endOfWord(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case ',', ']', '}', ' ', '\n', '\t', '\r':
			return i
		}
	}
	return i
}

func (r *jsonReader) appendJSON(dst []byte) ([]byte, *Error) {
	raw := r.raw()
	dst = slices.Grow(dst, len(raw))
	for i := 0; i < len(raw); {
		end := i + 1
		switch c := raw[i]; {
		case c == '"':
			end = endOfText(raw, i)
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
			continue
		case c == '-' || '0' <= c && c <= '9':
			end = endOfWord(raw, i)
			if isInteger(raw[i:end]) {
				if n, _ := parseNumber(raw[i:end]); !n.safe() {
					r := &jsonReader{b: raw}
					return dst, r.locate(i, forbidden(beyondSafe))
				}
			}
		}
		dst = append(dst, raw[i:end]...)
		i = end
	}
	return dst, nil
}

const beyondSafe = "is beyond 2^53, write it as text"

// locate names the place at position i of the next value.
func (r *jsonReader) locate(i int, e *Error) *Error {
	kind := r.peek()
	if kind != arrayKind && kind != objectKind || r.depth > maxReadDepth {
		return e
	}
	r.depth++
	index := 0
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		var name []byte
		if kind == objectKind {
			name = bytes.Clone(r.key())
		}
		from := r.at
		if r.skip(); i < r.at {
			r.at = from
			e = r.locate(i, e)
			if kind == arrayKind {
				return e.at(index)
			}
			return e.in(string(name))
		}
		index++
	}
	return e
}

// appendMsgpack appends the next value as msgpack.
func (r *jsonReader) appendMsgpack(dst []byte) []byte {
	var w msgpackNotation
	switch kind := r.peek(); kind {
	case boolKind:
		return w.boolean(dst, r.boolean())
	case numberKind:
		literal := r.raw()
		n, integer := parseNumber(literal)
		switch {
		case n.whole:
			return w.integer(dst, n.integer)
		case integer:
			u, _ := strconv.ParseUint(string(literal), 10, 64)
			return binary.BigEndian.AppendUint64(append(dst, 0xcf), u)
		}
		return w.float(dst, n.float)
	case textKind:
		return appendMsgpackUnescaped(dst, unquoted(r.raw()))
	case arrayKind, objectKind:
		if r.depth < maxReadDepth {
			r.depth++
			defer func() { r.depth-- }()
			return r.appendMsgpackContainer(dst, kind)
		}
	}
	r.skip()
	return w.null(dst)
}

// appendMsgpackContainer writes the elements behind a header of one byte and
// makes room for a longer one when there were many.
func (r *jsonReader) appendMsgpackContainer(dst []byte, kind valueKind) []byte {
	start, n := len(dst), 0
	dst = append(dst, 0)
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		if kind == objectKind {
			if r.peek() != textKind {
				break
			}
			dst = appendMsgpackUnescaped(dst, unquoted(r.raw()))
			if r.space(); r.at < len(r.b) {
				r.at++
			}
		}
		dst = r.appendMsgpack(dst)
		n++
	}
	var room [5]byte
	var w msgpackNotation
	header := w.array(room[:0], n)
	if kind == objectKind {
		header = w.object(room[:0], n)
	}
	return fillHeader(dst, start, header)
}
