package wire

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
)

// maxSafe is the greatest integer that every client can hold: 2^53-1, see
// https://www.rfc-editor.org/rfc/rfc7493#section-2.2
const maxSafe = 1<<53 - 1

// The defaults of ScanLimits.
const (
	DefaultMaxDepth = 16
	DefaultMaxItems = 4096
	DefaultMaxBatch = 64
)

func (l ScanLimits) withDefaults() ScanLimits {
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultMaxDepth
	}
	if l.MaxItems <= 0 {
		l.MaxItems = DefaultMaxItems
	}
	if l.MaxBatch <= 0 {
		l.MaxBatch = DefaultMaxBatch
	}
	return l
}

// scanState is what both scanners keep. Their errors are of two kinds: one with
// a reserved code or too_large ends the scan; a forbidden one tells that a value
// is well-formed but may not be used. A relaxed scanner overlooks the latter.
type scanState struct {
	b       []byte
	at      int
	limits  ScanLimits
	items   int // seen so far
	relaxed bool
}

// keyRoom is where the keys of an ordinary object fit without allocation.
type keyRoom [16][]byte

// element scans the next message of a frame by value. One with a forbidden value
// is scanned to its end all the same, so that its neighbours can be served.
func (s *scanState) element(depth int, value func(depth int) *Error) (Request, *Error) {
	from, items := s.at, s.items
	err := value(depth)
	if err == nil || !err.isForbidden() {
		return Request{Params: s.b[from:s.at]}, err
	}
	s.at, s.items, s.relaxed = from, items, true
	fatal := value(depth)
	s.relaxed = false
	return Request{Params: s.b[from:s.at], Err: err}, fatal
}

func (s *scanState) count() *Error {
	if s.items++; s.items > s.limits.MaxItems {
		return overLimit("items", s.limits.MaxItems)
	}
	return nil
}

// deeper tells whether a container may begin at this depth, which counts from 1.
func (s *scanState) deeper(depth int) *Error {
	if depth > s.limits.MaxDepth {
		return overLimit("depth", s.limits.MaxDepth)
	}
	return nil
}

// manyKeys is where comparing each with each becomes dearer than sorting.
const manyKeys = 24

// unique checks that the keys of an object differ.
func (s *scanState) unique(keys [][]byte) *Error {
	if s.relaxed {
		return nil
	}
	if len(keys) <= manyKeys {
		for i := 1; i < len(keys); i++ {
			for j := range i {
				if bytes.Equal(keys[i], keys[j]) {
					return duplicate(keys[i])
				}
			}
		}
		return nil
	}
	slices.SortFunc(keys, bytes.Compare)
	for i := 1; i < len(keys); i++ {
		if bytes.Equal(keys[i], keys[i-1]) {
			return duplicate(keys[i])
		}
	}
	return nil
}

func duplicate(key []byte) *Error { return forbidden("occurs twice").in(string(key)) }

// in names the object's member that the error is in.
func (e *Error) in(name string) *Error {
	switch {
	case e.Data.Field == "":
		e.Data.Field = name
	case e.Data.Field[0] == '[':
		e.Data.Field = name + e.Data.Field
	default:
		e.Data.Field = name + "." + e.Data.Field
	}
	return e
}

// at names the list's element that the error is in.
func (e *Error) at(index int) *Error { return e.in("[" + strconv.Itoa(index) + "]") }

// located adds where a forbidden value is; other errors concern the frame.
func (e *Error) located(name func() string) *Error {
	if e.isForbidden() {
		return e.in(name())
	}
	return e
}

func (e *Error) isForbidden() bool { return e.Code == codeInvalidArgument }

// about completes a message that begins with its verb: with the field, or with
// subject where the error is in the whole value.
func (e *Error) about(subject string) *Error {
	if e.isForbidden() {
		e.Message = cmp.Or(e.Data.Field, subject) + " " + e.Message
	}
	return e
}

// forbidden is the error for a value that is well-formed but may not be used.
// why begins with a verb.
func forbidden(why string) *Error {
	return &Error{Code: codeInvalidArgument, Message: why, Data: &ErrorData{Reason: ReasonInvalidArgument}}
}

func overLimit(field string, limit int) *Error {
	return &Error{
		Code:    codeTooLarge,
		Message: "the frame has more than " + strconv.Itoa(limit) + " " + limitNames[field],
		Data:    &ErrorData{Reason: ReasonTooLarge, Field: field, Max: int64(limit)},
	}
}

var limitNames = map[string]string{
	"depth": "levels of nesting",
	"items": "values and names",
	"batch": "messages",
}

func malformed(notation string, at int) *Error {
	return &Error{
		Code:    CodeParse,
		Message: "malformed " + notation + " at byte " + strconv.Itoa(at),
		Data:    &ErrorData{Reason: ReasonParse},
	}
}
