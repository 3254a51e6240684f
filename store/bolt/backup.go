package bolt

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"example.com/h5im/store"
)

// A backup is
//
//	backupMagic version(4)            no bbolt file begins so: none opens a backup by mistake
//	pages                             a bbolt file, as one read transaction sees it
//	trailerMagic length(8) sha256(32) of the pages; the sum is of all before it
//
// Integers are big endian, the pages in the order of the machine that wrote
// them. Since the trailer is the end and tells where the pages begin, nothing
// can be missing, changed or added unnoticed.
const (
	backupMagic   = "h5im backup\n"
	backupVersion = 1
	backupHeader  = len(backupMagic) + 4
	trailerMagic  = "h5im end"
	backupTrailer = len(trailerMagic) + 8 + sha256.Size
)

var _ store.Backuper = (*Store)(nil)

// Backup implements [store.Backuper]. [Restore] reads what it writes.
//
// It first copies the pages in use to a file of its own beside the database, at
// the speed of the disk, which takes as much room as the database has pages;
// then it ends its read transaction and streams that copy. So a slow w holds up
// nothing. Only while it copies, writes that outgrow Options.InitialMmapSize
// wait. The copy is named like a store that is being made, goes with the call,
// and where the process is killed with the next Open.
func (s *Store) Backup(ctx context.Context, w io.Writer) (err error) {
	if err := s.ready(ctx); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+unfinished+"*")
	if err != nil {
		return s.backupError(err)
	}
	defer func() {
		f.Close()
		os.Remove(f.Name())
	}()
	size, err := s.snapshot(ctx, f)
	if err != nil {
		return s.backupError(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return s.backupError(err)
	}
	return writeBackup(&untilDone{ctx: ctx, w: w}, f, size)
}

// snapshot copies the pages in use to w.
func (s *Store) snapshot(ctx context.Context, w io.Writer) (size int64, err error) {
	done, err := s.maintain(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	err = s.viewTx(ctx, func(tx *bbolt.Tx) error {
		size, err = tx.WriteTo(&untilDone{ctx: ctx, w: w})
		if ended := ctx.Err(); err != nil && ended != nil {
			return ended // bbolt formats some causes into text
		}
		return err
	})
	return size, err
}

func (s *Store) backupError(err error) error {
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return store.ErrClosed
	case isFull(err):
		return fmt.Errorf("bolt: backup: %w: %w", store.ErrFull, err)
	}
	return err
}

// writeBackup frames size bytes of pages.
func writeBackup(w io.Writer, pages io.Reader, size int64) error {
	sum := newBackupSum()
	both := io.MultiWriter(w, sum)
	header := binary.BigEndian.AppendUint32([]byte(backupMagic), backupVersion)
	if _, err := both.Write(header); err != nil {
		return err
	}
	if _, err := io.CopyN(both, pages, size); err != nil {
		return err
	}
	_, err := w.Write(sum.trailer(size))
	return err
}

// isBackup tells whether a file begins like a backup.
func isBackup(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	begin := make([]byte, len(backupMagic))
	_, err = io.ReadFull(f, begin)
	return err == nil && string(begin) == backupMagic
}

// backupSum sums what comes before the sum of a backup.
type backupSum struct{ hash.Hash }

func newBackupSum() backupSum { return backupSum{sha256.New()} }

// trailer is what follows size bytes of pages.
func (s backupSum) trailer(size int64) []byte {
	b := binary.BigEndian.AppendUint64([]byte(trailerMagic), uint64(size))
	s.Write(b)
	return s.Sum(b)
}

// untilDone is a writer that fails once ctx has ended.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u *untilDone) Write(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(b)
}
