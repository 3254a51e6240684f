package wire

import "unicode/utf8"

// notation writes values one after another in JSON or msgpack, and makes the
// readers of it. Every method appends to dst.
type notation interface {
	split(frame []byte, limits ScanLimits) (messages []Request, single bool, err *Error)
	reader(b []byte) reader

	null(dst []byte) []byte
	boolean(dst []byte, v bool) []byte
	integer(dst []byte, v int64) []byte
	float(dst []byte, v float64) []byte // finite
	text(dst []byte, v string) []byte
	// json writes a value that is valid JSON already.
	json(dst, v []byte) []byte

	// object begins an object of n members, each a key and a value, and
	// endObject ends it; so array, its elements each behind item, and endArray.
	// key takes a name that needs no escapes.
	object(dst []byte, n int) []byte
	key(dst []byte, name string) []byte
	anyKey(dst []byte, name string) []byte
	endObject(dst []byte) []byte
	array(dst []byte, n int) []byte
	item(dst []byte) []byte
	endArray(dst []byte) []byte
}

// validText is s itself, or a copy where what is not UTF-8 became U+FFFD.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
