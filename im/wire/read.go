package wire

// reader walks over a value that was scanned. It stays within its bytes
// whatever they are, and says endKind where it cannot go on, but what it makes
// of bytes that were not scanned is undefined.
type reader interface {
	// peek tells what the next value is. The methods below must fit it.
	peek() valueKind
	boolean() bool
	number() number
	text() string

	// enter steps into an array or object; next moves to its next element or
	// key, or behind its end.
	enter() container
	next(container) (container, bool)
	// key reads the key that next moved to. It is valid until the next call.
	key() []byte

	// skip moves over the next value, and raw returns it as encoded.
	skip()
	raw() []byte
	// appendJSON appends the next value as compact JSON, and refuses integers
	// beyond maxSafe.
	appendJSON(dst []byte) ([]byte, *Error)
}

// maxReadDepth keeps readers from using up the stack where nothing was scanned.
const maxReadDepth = 1000

type valueKind uint8

const (
	endKind valueKind = iota // no value, or nothing that was scanned
	nullKind
	boolKind
	numberKind
	textKind
	arrayKind
	objectKind
)

// container is a reader's place in an array or object.
type container int

// number is a number as read.
type number struct {
	float   float64
	integer int64 // where whole
	whole   bool  // an integer that fits int64, written as one or not
}

// safe tells that n is an integer that every client can hold.
func (n number) safe() bool { return n.whole && -maxSafe <= n.integer && n.integer <= maxSafe }

func numberOf(f float64) number {
	n := number{float: f}
	if i := int64(f); -maxSafe <= f && f <= maxSafe && float64(i) == f {
		n.integer, n.whole = i, true
	}
	return n
}
