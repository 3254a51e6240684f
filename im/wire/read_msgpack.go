package wire

import (
	"math"
	"strconv"
)

type msgpackReader struct {
	b     []byte
	at    int
	depth int // of the recursion
}

func (r *msgpackReader) head() head {
	h := readHead(r.b[r.at:])
	if h.kind == headInvalid || h.n > len(r.b)-r.at-h.size {
		r.at = len(r.b)
		return head{}
	}
	return h
}

func (r *msgpackReader) peek() valueKind {
	switch r.head().kind {
	case headNil:
		return nullKind
	case headBool:
		return boolKind
	case headInt, headUint, headFloat:
		return numberKind
	case headText:
		return textKind
	case headArray:
		return arrayKind
	case headMap:
		return objectKind
	}
	return endKind
}

func (r *msgpackReader) boolean() bool {
	raw := r.raw()
	return len(raw) == 1 && raw[0] == 0xc3
}

func (r *msgpackReader) number() number {
	h := r.head()
	code, body := r.b[r.at], r.b[r.at+h.size:r.at+h.size+h.n]
	r.at += h.size + h.n
	var i int64
	switch {
	case h.kind == headFloat:
		return numberOf(floatOf(body))
	case h.n == 0:
		i = int64(int8(code)) // a fixint of either sign
	case h.kind == headUint:
		u := bigEndian(body)
		if u > math.MaxInt64 {
			return number{float: float64(u)}
		}
		i = int64(u)
	default:
		shift := 64 - 8*len(body)
		i = int64(bigEndian(body)<<shift) >> shift
	}
	return number{float64(i), i, true}
}

func (r *msgpackReader) text() string { return string(r.textBytes()) }

func (r *msgpackReader) textBytes() []byte {
	h := r.head()
	if h.kind != headText {
		r.skip()
		return nil
	}
	from := r.at + h.size
	r.at = from + h.n
	return r.b[from:r.at]
}

func (r *msgpackReader) enter() container {
	h := r.head()
	r.at += h.size
	return container(h.n)
}

func (r *msgpackReader) next(left container) (container, bool) {
	return left - 1, left > 0 && r.at < len(r.b)
}

func (r *msgpackReader) key() []byte { return r.textBytes() }

func (r *msgpackReader) skip() { r.raw() }

func (r *msgpackReader) raw() []byte {
	from := r.at
	for left := 1; left > 0; left-- {
		switch h := r.head(); h.kind {
		case headInvalid:
			return r.b[from:]
		case headArray:
			r.at += h.size
			left += h.n
		case headMap:
			r.at += h.size
			left += 2 * h.n
		default:
			r.at += h.size + h.n
		}
	}
	return r.b[from:r.at]
}

func (r *msgpackReader) appendJSON(dst []byte) ([]byte, *Error) {
	var w jsonNotation
	r.depth++
	defer func() { r.depth-- }()
	switch kind := r.peek(); {
	case r.depth > maxReadDepth:
	case kind == boolKind:
		return w.boolean(dst, r.boolean()), nil
	case kind == numberKind:
		return r.appendJSONNumber(dst)
	case kind == textKind:
		return appendJSONText(dst, r.textBytes()), nil
	case kind == arrayKind:
		return r.appendJSONArray(append(dst, '['))
	case kind == objectKind:
		return r.appendJSONObject(append(dst, '{'))
	}
	r.skip()
	return w.null(dst), nil
}

func (r *msgpackReader) appendJSONArray(dst []byte) (_ []byte, err *Error) {
	var w jsonNotation
	index := 0
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		if dst, err = r.appendJSON(w.item(dst)); err != nil {
			return dst, err.at(index)
		}
		index++
	}
	return append(dst, ']'), nil
}

func (r *msgpackReader) appendJSONObject(dst []byte) (_ []byte, err *Error) {
	var w jsonNotation
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		key := r.textBytes()
		dst = append(appendJSONText(w.item(dst), key), ':')
		if dst, err = r.appendJSON(dst); err != nil {
			return dst, err.in(string(key))
		}
	}
	return append(dst, '}'), nil
}

func (r *msgpackReader) appendJSONNumber(dst []byte) ([]byte, *Error) {
	float := r.head().kind == headFloat
	switch n := r.number(); {
	case n.safe():
		return strconv.AppendInt(dst, n.integer, 10), nil
	case float:
		return jsonNotation{}.float(dst, n.float), nil
	}
	return dst, forbidden(beyondSafe)
}
