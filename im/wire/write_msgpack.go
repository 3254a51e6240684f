package wire

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

type msgpackNotation struct{}

func (msgpackNotation) reader(b []byte) reader { return &msgpackReader{b: b} }

func (msgpackNotation) null(dst []byte) []byte { return append(dst, 0xc0) }

func (msgpackNotation) boolean(dst []byte, v bool) []byte {
	if v {
		return append(dst, 0xc3)
	}
	return append(dst, 0xc2)
}

// integer takes as few bytes as it can.
func (msgpackNotation) integer(dst []byte, v int64) []byte {
	switch {
	case v >= 0 && v < 0x80, v < 0 && v >= -0x20:
		return append(dst, byte(v))
	case v >= 0 && v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v >= 0 && v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v >= 0 && v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	case v >= 0:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), uint64(v))
	case v >= math.MinInt8:
		return append(dst, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
}

// float writes a number without a fraction as an integer, as JSON does.
func (w msgpackNotation) float(dst []byte, v float64) []byte {
	if n := numberOf(v); n.whole {
		return w.integer(dst, n.integer)
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(v))
}

func (msgpackNotation) text(dst []byte, v string) []byte {
	v = validText(v)
	return append(appendMsgpackTextHeader(dst, len(v)), v...)
}

func appendMsgpackTextHeader(dst []byte, n int) []byte {
	switch {
	case n < 0x20:
		return append(dst, 0xa0|byte(n))
	case n <= math.MaxUint8:
		return append(dst, 0xd9, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xda), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
}

// appendMsgpackUnescaped writes what stands between the quotes of a JSON string.
func appendMsgpackUnescaped(dst, s []byte) []byte {
	if bytes.IndexByte(s, '\\') < 0 {
		return append(appendMsgpackTextHeader(dst, len(s)), s...)
	}
	start := len(dst)
	dst = unescape(append(dst, 0), s)
	var room [5]byte
	return fillHeader(dst, start, appendMsgpackTextHeader(room[:0], len(dst)-start-1))
}

// fillHeader puts a header in place of the byte at start.
func fillHeader(dst []byte, start int, header []byte) []byte {
	return slices.Replace(dst, start, start+1, header...)
}

func (msgpackNotation) json(dst, v []byte) []byte {
	r := jsonReader{b: v}
	return r.appendMsgpack(dst)
}

func (msgpackNotation) object(dst []byte, n int) []byte {
	return appendMsgpackCount(dst, n, 0x80, 0xde)
}

func (msgpackNotation) key(dst []byte, name string) []byte {
	return append(appendMsgpackTextHeader(dst, len(name)), name...)
}

func (w msgpackNotation) anyKey(dst []byte, name string) []byte { return w.text(dst, name) }

func (msgpackNotation) endObject(dst []byte) []byte { return dst }

func (msgpackNotation) array(dst []byte, n int) []byte {
	return appendMsgpackCount(dst, n, 0x90, 0xdc)
}

func (msgpackNotation) item(dst []byte) []byte { return dst }

func (msgpackNotation) endArray(dst []byte) []byte { return dst }

// appendMsgpackCount writes the header of a container, whose one-byte form is
// fix and whose form with two bytes of count is wide.
func appendMsgpackCount(dst []byte, n int, fix, wide byte) []byte {
	switch {
	case n < 0x10:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, wide), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, wide+1), uint32(n))
}
