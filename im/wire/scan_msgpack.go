package wire

import (
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// ScanMsgpack checks that b is one msgpack value within the limits, of the
// types that JSON has too: nil, booleans, integers, finite floats, strings of
// valid UTF-8, arrays, and maps with string keys that differ. Every length is
// checked against what remains. It allocates nothing for ordinary input. The
// error is an *Error.
func ScanMsgpack(b []byte, limits ScanLimits) error {
	s := msgpackScanner{scanState{b: b, limits: limits.withDefaults()}}
	if err := s.whole(); err != nil {
		return err.about("the value")
	}
	return nil
}

type msgpackScanner struct{ scanState }

func (s *msgpackScanner) whole() *Error {
	if err := s.value(0); err != nil {
		return err
	}
	return s.end()
}

func (s *msgpackScanner) end() *Error {
	if s.at != len(s.b) {
		return s.malformed()
	}
	return nil
}

func (s *msgpackScanner) malformed() *Error { return malformed("msgpack", s.at) }

func (s *msgpackScanner) forbid(why string) *Error {
	if s.relaxed {
		return nil
	}
	return forbidden(why)
}

// split scans a frame and leaves each of its messages, as encoded, in Params.
func (msgpackNotation) split(frame []byte, limits ScanLimits) (messages []Request, single bool, err *Error) {
	s := msgpackScanner{scanState{b: frame, limits: limits.withDefaults()}}
	h := readHead(frame)
	if h.kind != headArray {
		m, err := s.element(0, s.value)
		if err == nil {
			err = s.end()
		}
		return []Request{m}, true, err
	}
	if err := s.count(); err != nil {
		return nil, false, err
	}
	if h.n > s.limits.MaxBatch {
		return nil, false, overLimit("batch", s.limits.MaxBatch)
	}
	s.at = h.size
	if err := s.fits(int64(h.n)); err != nil {
		return nil, false, err
	}
	messages = make([]Request, 0, h.n)
	for range h.n {
		m, err := s.element(1, s.value)
		if err != nil {
			return nil, false, err
		}
		messages = append(messages, m)
	}
	return messages, false, s.end()
}

// head is the first part of a value: its type, and how much follows.
type head struct {
	kind headKind
	size int // bytes of the head itself
	n    int // bytes that follow it, or elements, or pairs
}

type headKind uint8

const (
	headInvalid headKind = iota // cut short, or the code that is never used
	headNil
	headBool
	headInt
	headUint
	headFloat
	headText
	headBin
	headExt
	headArray
	headMap
)

// readHead reads the head at the start of b, see
// https://github.com/msgpack/msgpack/blob/master/spec.md#formats
func readHead(b []byte) head {
	if len(b) == 0 {
		return head{}
	}
	c := b[0]
	switch {
	case c < 0x80:
		return head{headUint, 1, 0}
	case c < 0x90:
		return head{headMap, 1, int(c & 0x0f)}
	case c < 0xa0:
		return head{headArray, 1, int(c & 0x0f)}
	case c < 0xc0:
		return head{headText, 1, int(c & 0x1f)}
	case c >= 0xe0:
		return head{headInt, 1, 0}
	}
	switch c {
	case 0xc0:
		return head{headNil, 1, 0}
	case 0xc2, 0xc3:
		return head{headBool, 1, 0}
	case 0xc4, 0xc5, 0xc6:
		return lengthHead(headBin, b, 1<<(c-0xc4), 0)
	case 0xc7, 0xc8, 0xc9:
		return lengthHead(headExt, b, 1<<(c-0xc7), 1)
	case 0xca, 0xcb:
		return head{headFloat, 1, 4 << (c - 0xca)}
	case 0xcc, 0xcd, 0xce, 0xcf:
		return head{headUint, 1, 1 << (c - 0xcc)}
	case 0xd0, 0xd1, 0xd2, 0xd3:
		return head{headInt, 1, 1 << (c - 0xd0)}
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return head{headExt, 1, 1 + 1<<(c-0xd4)}
	case 0xd9, 0xda, 0xdb:
		return lengthHead(headText, b, 1<<(c-0xd9), 0)
	case 0xdc, 0xdd:
		return lengthHead(headArray, b, 2<<(c-0xdc), 0)
	case 0xde, 0xdf:
		return lengthHead(headMap, b, 2<<(c-0xde), 0)
	}
	return head{}
}

// lengthHead reads a head whose length takes width bytes.
func lengthHead(kind headKind, b []byte, width, extra int) head {
	if len(b) < 1+width {
		return head{}
	}
	n := bigEndian(b[1 : 1+width])
	if n > uint64(math.MaxInt32-extra) {
		return head{} // more than any frame has, and than an int of 32 bits
	}
	return head{kind, 1 + width, int(n) + extra}
}

func bigEndian(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	case 8:
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (s *msgpackScanner) value(depth int) *Error {
	if err := s.count(); err != nil {
		return err
	}
	h := readHead(s.b[s.at:])
	switch h.kind {
	case headInvalid:
		return s.malformed()
	case headText:
		return s.text(h)
	case headArray:
		return s.array(h, depth+1)
	case headMap:
		return s.object(h, depth+1)
	}
	if h.n > len(s.b)-s.at-h.size {
		return s.malformed()
	}
	from := s.at + h.size
	s.at = from + h.n
	switch h.kind {
	case headFloat:
		if f := floatOf(s.b[from:s.at]); math.IsNaN(f) || math.IsInf(f, 0) {
			return s.forbid("is not finite")
		}
	case headBin:
		return s.forbid("is binary data, write it as text")
	case headExt:
		return s.forbid("is of an extension type")
	}
	return nil
}

func (s *msgpackScanner) text(h head) *Error {
	from := s.at + h.size
	if h.n > len(s.b)-from || !utf8.Valid(s.b[from:from+h.n]) {
		return s.malformed()
	}
	s.at = from + h.n
	return nil
}

func floatOf(body []byte) float64 {
	if len(body) == 4 {
		return float64(math.Float32frombits(binary.BigEndian.Uint32(body)))
	}
	return math.Float64frombits(binary.BigEndian.Uint64(body))
}

// fits tells whether n more items are within the limit and within what remains:
// each takes a byte at least.
func (s *msgpackScanner) fits(n int64) *Error {
	if n > int64(s.limits.MaxItems-s.items) {
		return overLimit("items", s.limits.MaxItems)
	}
	if n > int64(len(s.b)-s.at) {
		return s.malformed()
	}
	return nil
}

func (s *msgpackScanner) array(h head, depth int) *Error {
	if err := s.deeper(depth); err != nil {
		return err
	}
	s.at += h.size
	if err := s.fits(int64(h.n)); err != nil {
		return err
	}
	for i := range h.n {
		if err := s.value(depth); err != nil {
			return err.located(func() string { return "[" + strconv.Itoa(i) + "]" })
		}
	}
	return nil
}

func (s *msgpackScanner) object(h head, depth int) *Error {
	if err := s.deeper(depth); err != nil {
		return err
	}
	s.at += h.size
	if err := s.fits(2 * int64(h.n)); err != nil {
		return err
	}
	var room keyRoom
	keys := room[:0]
	for range h.n {
		key, err := s.key(depth)
		if err != nil {
			return err
		}
		keys = append(keys, key)
		if err := s.value(depth); err != nil {
			return err.located(func() string { return string(key) })
		}
	}
	return s.unique(keys)
}

func (s *msgpackScanner) key(depth int) ([]byte, *Error) {
	h := readHead(s.b[s.at:])
	if h.kind != headText {
		if err := s.value(depth); err != nil {
			return nil, err
		}
		return nil, s.forbid("has a key that is no string")
	}
	if err := s.count(); err != nil {
		return nil, err
	}
	from := s.at + h.size
	if err := s.text(h); err != nil {
		return nil, err
	}
	return s.b[from:s.at], nil
}
