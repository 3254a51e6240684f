package wire

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// ScanJSON checks that b is one JSON value within the limits: RFC 8259 to the
// letter, and of what it leaves open the strict side (RFC 7493): no duplicate
// names, no lone surrogates, no number outside 64 bits. It allocates nothing
// for ordinary input. The error is an *Error.
func ScanJSON(b []byte, limits ScanLimits) error {
	s := jsonScanner{scanState{b: b, limits: limits.withDefaults()}}
	if err := s.whole(); err != nil {
		return err.about("the value")
	}
	return nil
}

type jsonScanner struct{ scanState }

// whole scans one value and the end of the input.
func (s *jsonScanner) whole() *Error {
	s.space()
	if err := s.value(0); err != nil {
		return err
	}
	return s.end()
}

func (s *jsonScanner) end() *Error {
	if s.space(); s.at != len(s.b) {
		return s.malformed()
	}
	return nil
}

func (s *jsonScanner) malformed() *Error { return malformed("JSON", s.at) }

func (s *jsonScanner) forbid(why string) *Error {
	if s.relaxed {
		return nil
	}
	return forbidden(why)
}

// split scans a frame and leaves each of its messages, as encoded, in Params.
func (jsonNotation) split(frame []byte, limits ScanLimits) (messages []Request, single bool, err *Error) {
	s := jsonScanner{scanState{b: frame, limits: limits.withDefaults()}}
	if s.space(); s.peek() != '[' {
		m, err := s.element(0, s.value)
		if err == nil {
			err = s.end()
		}
		return []Request{m}, true, err
	}
	if err := s.count(); err != nil {
		return nil, false, err
	}
	s.at++
	if s.space(); s.peek() == ']' {
		s.at++
		return nil, false, s.end()
	}
	for {
		if len(messages) == s.limits.MaxBatch {
			return nil, false, overLimit("batch", s.limits.MaxBatch)
		}
		m, err := s.element(1, s.value)
		if err != nil {
			return nil, false, err
		}
		messages = append(messages, m)
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case ']':
			s.at++
			return messages, false, s.end()
		default:
			return nil, false, s.malformed()
		}
	}
}

// peek is the next byte, 0 at the end: no token begins with it.
func (s *jsonScanner) peek() byte {
	if s.at < len(s.b) {
		return s.b[s.at]
	}
	return 0
}

func (s *jsonScanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *jsonScanner) value(depth int) *Error {
	if err := s.count(); err != nil {
		return err
	}
	switch s.peek() {
	case '"':
		_, err := s.text()
		return err
	case '{':
		return s.object(depth + 1)
	case '[':
		return s.array(depth + 1)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *jsonScanner) literal(word string) *Error {
	if len(s.b)-s.at < len(word) || string(s.b[s.at:s.at+len(word)]) != word {
		return s.malformed()
	}
	s.at += len(word)
	return nil
}

func (s *jsonScanner) object(depth int) *Error {
	if err := s.deeper(depth); err != nil {
		return err
	}
	s.at++
	var room keyRoom
	keys := room[:0]
	if s.space(); s.peek() == '}' {
		s.at++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.malformed()
		}
		if err := s.count(); err != nil {
			return err
		}
		from := s.at + 1
		escaped, err := s.text()
		if err != nil {
			return err
		}
		key := s.b[from : s.at-1]
		if escaped {
			key = unescape(nil, key)
		}
		keys = append(keys, key)
		if s.space(); s.peek() != ':' {
			return s.malformed()
		}
		s.at++
		s.space()
		if err := s.value(depth); err != nil {
			return err.located(func() string { return string(key) })
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case '}':
			s.at++
			return s.unique(keys)
		default:
			return s.malformed()
		}
	}
}

func (s *jsonScanner) array(depth int) *Error {
	if err := s.deeper(depth); err != nil {
		return err
	}
	s.at++
	if s.space(); s.peek() == ']' {
		s.at++
		return nil
	}
	for i := 0; ; i++ {
		if err := s.value(depth); err != nil {
			return err.located(func() string { return "[" + strconv.Itoa(i) + "]" })
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case ']':
			s.at++
			return nil
		default:
			return s.malformed()
		}
	}
}

// plainText marks the bytes that stand for themselves in a JSON string.
var plainText = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// plainRun is how many bytes at the start of b are plain text. It looks at eight
// at a time: a byte's top bit ends up set in special where the byte is below
// 0x20, a quote, a backslash or not ASCII, and perhaps in bytes above such a one.
func plainRun(b []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		special := (x | (x - 0x20*ones) | ((x ^ '"'*ones) - ones) | ((x ^ '\\'*ones) - ones)) & tops
		if special != 0 {
			return n + bits.TrailingZeros64(special)/8
		}
	}
	for n < len(b) && plainText[b[n]] {
		n++
	}
	return n
}

// text scans a string and tells whether it contains escapes.
func (s *jsonScanner) text() (escaped bool, err *Error) {
	b, i := s.b, s.at+1
	for i < len(b) {
		if i += plainRun(b[i:]); i == len(b) {
			break
		}
		c := b[i]
		switch {
		case c == '"':
			s.at = i + 1
			return escaped, nil
		case c == '\\':
			escaped = true
			s.at = i
			if err := s.escape(); err != nil {
				return true, err
			}
			i = s.at
		case c >= utf8.RuneSelf:
			_, n := utf8.DecodeRune(b[i:])
			if n == 1 {
				s.at = i
				return escaped, s.malformed()
			}
			i += n
		default: // a control character
			s.at = i
			return escaped, s.malformed()
		}
	}
	s.at = len(b)
	return escaped, s.malformed()
}

// escape scans one escape sequence, or two that make a surrogate pair.
func (s *jsonScanner) escape() *Error {
	if s.at+1 >= len(s.b) {
		s.at = len(s.b)
		return s.malformed()
	}
	switch s.b[s.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at += 2
		return nil
	case 'u':
	default:
		return s.malformed()
	}
	unit, ok := hexUnit(s.b[s.at:])
	if !ok {
		return s.malformed()
	}
	s.at += 6
	if unit < 0xd800 || unit > 0xdfff {
		return nil
	}
	if low, ok := hexUnit(s.b[s.at:]); ok && unit < 0xdc00 && low >= 0xdc00 && low <= 0xdfff {
		s.at += 6
		return nil
	}
	return s.forbid("has half of a surrogate pair")
}

// hexUnit reads \uXXXX at the start of b.
func hexUnit(b []byte) (unit rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		unit = unit<<4 | rune(c)
	}
	return unit, true
}

func (s *jsonScanner) digits() int {
	from := s.at
	for s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at - from
}

func (s *jsonScanner) number() *Error {
	from := s.at
	if s.peek() == '-' {
		s.at++
	}
	leadingZero := s.peek() == '0'
	whole := s.digits()
	if whole == 0 || leadingZero && whole > 1 {
		return s.malformed()
	}
	fraction, exponent := false, false
	if s.peek() == '.' {
		fraction = true
		s.at++
		if s.digits() == 0 {
			return s.malformed()
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		exponent = true
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if s.digits() == 0 {
			return s.malformed()
		}
	}
	switch {
	case !fraction && !exponent:
		if whole >= 19 && !fits64(s.b[from:s.at]) {
			return s.forbid("does not fit 64 bits")
		}
	case exponent || whole > 300:
		if math.IsInf(parseFloat(s.b[from:s.at]), 0) {
			return s.forbid("does not fit 64 bits")
		}
	}
	return nil
}

// fits64 tells whether an integer literal fits int64 or uint64.
func fits64(literal []byte) bool {
	if literal[0] == '-' {
		_, err := strconv.ParseInt(string(literal), 10, 64)
		return err == nil
	}
	_, err := strconv.ParseUint(string(literal), 10, 64)
	return err == nil
}
