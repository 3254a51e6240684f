package wire

import (
	"math"
	"strconv"
	"unicode/utf8"
)

type jsonNotation struct{}

func (jsonNotation) reader(b []byte) reader { return &jsonReader{b: b} }

func (jsonNotation) null(dst []byte) []byte { return append(dst, "null"...) }

func (jsonNotation) boolean(dst []byte, v bool) []byte { return strconv.AppendBool(dst, v) }

func (jsonNotation) integer(dst []byte, v int64) []byte { return strconv.AppendInt(dst, v, 10) }

// float keeps a number beyond 2^53 apart from an integer, which a reader would
// refuse there.
func (jsonNotation) float(dst []byte, v float64) []byte {
	if math.Abs(v) > maxSafe {
		return strconv.AppendFloat(dst, v, 'e', -1, 64)
	}
	return appendJSONFloat(dst, v)
}

func (jsonNotation) text(dst []byte, v string) []byte { return appendJSONText(dst, v) }

func (jsonNotation) json(dst, v []byte) []byte { return append(dst, v...) }

func (jsonNotation) object(dst []byte, _ int) []byte { return append(dst, '{') }

func (jsonNotation) key(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func (w jsonNotation) anyKey(dst []byte, name string) []byte {
	return append(appendJSONText(w.item(dst), name), ':')
}

func (jsonNotation) endObject(dst []byte) []byte { return append(dst, '}') }

func (jsonNotation) array(dst []byte, _ int) []byte { return append(dst, '[') }

func (jsonNotation) item(dst []byte) []byte {
	if c := dst[len(dst)-1]; c != '[' && c != '{' {
		dst = append(dst, ',')
	}
	return dst
}

func (jsonNotation) endArray(dst []byte) []byte { return append(dst, ']') }

// appendJSONFloat writes a number as ECMAScript does, which RFC 8785 demands:
// https://www.rfc-editor.org/rfc/rfc8785#section-3.2.2.3
func appendJSONFloat(dst []byte, v float64) []byte {
	if v == 0 {
		return append(dst, '0') // -0 too
	}
	if abs := math.Abs(v); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' { // e-07 is e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// appendJSONText writes a string with the escapes that RFC 8259 demands and no
// others, the short form where there is one. What is not UTF-8 becomes U+FFFD.
func appendJSONText[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainText[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := decodeRune(s[i:])
			if r == utf8.RuneError && n == 1 {
				dst = append(dst, s[from:i]...)
				dst = utf8.AppendRune(dst, utf8.RuneError)
				from = i + 1
			}
			i += n
			continue
		}
		dst = append(append(dst, s[from:i]...), '\\')
		switch c {
		case '"', '\\':
			dst = append(dst, c)
		case '\b':
			dst = append(dst, 'b')
		case '\f':
			dst = append(dst, 'f')
		case '\n':
			dst = append(dst, 'n')
		case '\r':
			dst = append(dst, 'r')
		case '\t':
			dst = append(dst, 't')
		default:
			dst = append(dst, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		}
		i++
		from = i
	}
	return append(append(dst, s[from:]...), '"')
}

func decodeRune[T string | []byte](s T) (rune, int) {
	return utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
}
