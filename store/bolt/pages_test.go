package bolt

import (
	"encoding/binary"
	"testing"
)

// Buckets that lie in buckets without end would use up the stack.
func TestAnInlinePageHoldsNoBucket(t *testing.T) {
	// inline is a bucket with one element of an empty key.
	inline := func(flags uint32, value []byte) []byte {
		b := make([]byte, bucketHeaderBytes+pageHeaderBytes+pageElemBytes)
		binary.NativeEndian.PutUint16(b[bucketHeaderBytes+8:], leafFlag)
		binary.NativeEndian.PutUint16(b[bucketHeaderBytes+10:], 1)
		elem := b[bucketHeaderBytes+pageHeaderBytes:]
		binary.NativeEndian.PutUint32(elem, flags)
		binary.NativeEndian.PutUint32(elem[4:], pageElemBytes)
		binary.NativeEndian.PutUint32(elem[12:], uint32(len(value)))
		return append(b, value...)
	}
	var w pageWalk
	row := inline(0, []byte("value"))
	if err := w.bucket(5, row); err != nil {
		t.Errorf("with a row: %v", err)
	}
	if err := w.bucket(5, inline(bucketElemFlag, row)); err == nil {
		t.Error("with a bucket: not noticed")
	}
}
