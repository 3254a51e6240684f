package bolt

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A row is a version byte, its fields one after the other, and a CRC-32C of
// both. Unsigned integers are varints, signed ones zigzag varints, strings and
// bytes have their length before them.
const (
	rowVersion  = 1
	rowSumBytes = 4
	// maxRowBytes is far above any row that is written; a length that a damaged
	// page claims beyond it is not believed.
	maxRowBytes = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errRowSum     = errors.New("checksum does not match")
	errRowVersion = errors.New("unknown row version")
	errRowShape   = errors.New("malformed row")
)

// encoder appends fields to a row.
type encoder struct{ b []byte }

func newRow(size int) encoder {
	e := encoder{make([]byte, 0, size+1+rowSumBytes)}
	e.b = append(e.b, rowVersion)
	return e
}

func (e *encoder) uint(v uint64)  { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) count(v int64)  { e.uint(uint64(v)) }
func (e *encoder) int(v int64)    { e.b = binary.AppendVarint(e.b, v) }
func (e *encoder) str(s string)   { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) bytes(s []byte) { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) raw(s []byte)   { e.b = append(e.b, s...) }
func (e *encoder) id(s string)    { e.b = packID(e.b, s) }

// seal ends the row.
func (e *encoder) seal() []byte {
	return binary.BigEndian.AppendUint32(e.b, crc32.Checksum(e.b, castagnoli))
}

// decoder reads fields. After the first that does not fit it yields zeroes,
// and end reports it.
type decoder struct {
	b   []byte
	err error
}

// openRow checks the sum and version of a row and returns its fields.
func openRow(row []byte) decoder {
	if len(row) < 1+rowSumBytes || len(row) > maxRowBytes {
		return decoder{err: errRowShape}
	}
	body, sum := row[:len(row)-rowSumBytes], row[len(row)-rowSumBytes:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(sum) {
		return decoder{err: errRowSum}
	}
	if body[0] != rowVersion {
		return decoder{err: errRowVersion}
	}
	return decoder{b: body[1:]}
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errRowShape
	}
	d.b = nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) count() int64 {
	v := d.uint()
	if v > 1<<63-1 {
		d.fail()
		return 0
	}
	return int64(v)
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// view returns n bytes of the row itself.
func (d *decoder) view(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) str() string { return string(d.view(d.uint())) }

// bytes returns a copy; no bytes are nil.
func (d *decoder) bytes() []byte { return append([]byte(nil), d.view(d.uint())...) }

func (d *decoder) id() string {
	id, n := unpackID(nil, d.b)
	if n == 0 {
		d.fail()
		return ""
	}
	d.b = d.b[n:]
	return string(id)
}

// end reports what went wrong, and bytes that are left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.err = errRowShape
	}
	return d.err
}
