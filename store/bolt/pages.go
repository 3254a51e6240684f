package bolt

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// What is read here of bbolt's file format, see its internal/common: a page
// begins with id(8) flags(2) count(2) overflow(4); a branch has elements
// position(4) key size(4) page(8), a leaf flags(4) position(4) key size(4)
// value size(4). Integers are in the order of the machine.
const (
	pageHeaderBytes   = 16
	pageElemBytes     = 16
	bucketHeaderBytes = 16
	branchFlag        = 1
	leafFlag          = 2
	freelistFlag      = 16
	bucketElemFlag    = 1
)

// verifyPages walks the upper levels of every tree before anything else reads
// them. bbolt follows page numbers without a bound, so that one flipped byte
// in a branch could send it in circles until the stack ends the process, which
// nothing recovers. Leaves are read only where whole is set, since that costs
// reading the file.
func verifyPages(db *bbolt.DB, path string, whole bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%w: truncated: has %d bytes and needs %d", ErrDamaged, info.Size(), tx.Size())
		}
		size := uint64(db.Info().PageSize)
		high := uint64(tx.Size()) / size
		w := pageWalk{file: f, size: size, high: high, whole: whole, seen: make([]uint64, high/64+1)}
		// A meta page: page header, magic, version, page size, flags (4 each),
		// root page, sequence, freelist page (8 each).
		meta, err := w.read(uint64(tx.ID()) % 2)
		if err != nil {
			return err
		}
		if err := w.tree(uint64(tx.Cursor().Bucket().Root()), true); err != nil {
			return err
		}
		return w.freelist(binary.NativeEndian.Uint64(meta[pageHeaderBytes+32:]))
	})
}

type pageWalk struct {
	file       io.ReaderAt
	size, high uint64
	whole      bool
	seen       []uint64 // a bit for each page
}

// read returns a page with its overflow.
func (w *pageWalk) read(id uint64) ([]byte, error) {
	page := make([]byte, w.size)
	if _, err := w.file.ReadAt(page, int64(id*w.size)); err != nil {
		return nil, fmt.Errorf("%w: page %d: %w", ErrDamaged, id, err)
	}
	overflow := uint64(binary.NativeEndian.Uint32(page[12:]))
	if binary.NativeEndian.Uint64(page) != id || id+overflow >= w.high {
		return nil, fmt.Errorf("%w: page %d has a false header", ErrDamaged, id)
	}
	if overflow > 0 {
		page = make([]byte, w.size*(overflow+1))
		if _, err := w.file.ReadAt(page, int64(id*w.size)); err != nil {
			return nil, fmt.Errorf("%w: page %d: %w", ErrDamaged, id, err)
		}
	}
	return page, nil
}

// claim notes that a tree refers to a page, which nothing else may.
func (w *pageWalk) claim(id uint64) error {
	if id < 2 || id >= w.high || w.seen[id/64]&(1<<(id%64)) != 0 {
		return fmt.Errorf("%w: page %d is referred to twice or out of range", ErrDamaged, id)
	}
	w.seen[id/64] |= 1 << (id % 64)
	return nil
}

// tree walks the branches under a root. All leaves of a bbolt tree are at one
// depth, so the first tells where to stop. The tree of the root bucket is read
// whole, since its leaves lead to the others.
func (w *pageWalk) tree(root uint64, whole bool) error {
	if err := w.claim(root); err != nil {
		return err
	}
	for level := []uint64{root}; len(level) > 0; {
		var next []uint64
		for i, id := range level {
			page, err := w.read(id)
			if err != nil {
				return err
			}
			leaf, err := w.page(id, page, &next)
			if err != nil {
				return err
			}
			if leaf && i == 0 && len(next) == 0 && !whole {
				return nil
			}
		}
		level = next
	}
	return nil
}

// page checks one page and appends the children of a branch; the buckets in a
// leaf are walked at once. children is nil of an inline page, which has neither.
func (w *pageWalk) page(id uint64, page []byte, children *[]uint64) (leaf bool, err error) {
	flags := binary.NativeEndian.Uint16(page[8:])
	count := int(binary.NativeEndian.Uint16(page[10:]))
	damaged := fmt.Errorf("%w: page %d is malformed", ErrDamaged, id)
	if (flags != branchFlag && flags != leafFlag) || pageHeaderBytes+count*pageElemBytes > len(page) {
		return false, damaged
	}
	for i := range count {
		at := pageHeaderBytes + i*pageElemBytes
		elem := page[at:]
		field := func(n int) uint64 { return uint64(binary.NativeEndian.Uint32(elem[4*n:])) }
		if flags == branchFlag {
			if uint64(at)+field(0)+field(1) > uint64(len(page)) {
				return false, damaged
			}
			child := binary.NativeEndian.Uint64(elem[8:])
			if err := w.claim(child); err != nil {
				return false, err
			}
			*children = append(*children, child)
			continue
		}
		begin := uint64(at) + field(1) + field(2)
		end := begin + field(3)
		if end > uint64(len(page)) || field(0) > bucketElemFlag {
			return false, damaged
		}
		if field(0) == bucketElemFlag {
			if children == nil {
				return false, damaged
			}
			if err := w.bucket(id, page[begin:end]); err != nil {
				return false, err
			}
		}
	}
	return flags == leafFlag, nil
}

// bucket checks the value of a bucket's element: its root page and sequence
// (8 each), and where there is no root page the only one, inline. bbolt copies
// an inline page to the heap, where references that lead out of it would read
// whatever lies there.
func (w *pageWalk) bucket(id uint64, value []byte) error {
	if len(value) < bucketHeaderBytes {
		return fmt.Errorf("%w: page %d is malformed", ErrDamaged, id)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.tree(root, w.whole)
	}
	inline := value[bucketHeaderBytes:]
	if len(inline) < pageHeaderBytes || binary.NativeEndian.Uint16(inline[8:]) != leafFlag {
		return fmt.Errorf("%w: a bucket in page %d is malformed", ErrDamaged, id)
	}
	_, err := w.page(id, inline, nil)
	return err
}

// freelist checks that no page is both free and in a tree.
func (w *pageWalk) freelist(id uint64) error {
	if id == ^uint64(0) {
		return nil
	}
	if err := w.claim(id); err != nil {
		return err
	}
	page, err := w.read(id)
	if err != nil {
		return err
	}
	count, ids := uint64(binary.NativeEndian.Uint16(page[10:])), page[pageHeaderBytes:]
	if count == 0xffff {
		count, ids = binary.NativeEndian.Uint64(ids), ids[8:]
	}
	if binary.NativeEndian.Uint16(page[8:]) != freelistFlag || count > uint64(len(ids)/8) {
		return fmt.Errorf("%w: page %d is no list of free pages", ErrDamaged, id)
	}
	for i := range count {
		if err := w.claim(binary.NativeEndian.Uint64(ids[8*i:])); err != nil {
			return err
		}
	}
	return nil
}
