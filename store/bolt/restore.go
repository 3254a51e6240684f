package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// RestoreOptions tune a restore. The zero value of each field means its default.
type RestoreOptions struct {
	// Replace lets the restored store take the place of the file that is at
	// path. That is not looked at, so that it may be damaged, and it is gone
	// afterwards; no program may have it open. Defaults to refusing.
	Replace bool
	// Logger is that of [Options].
	Logger *slog.Logger

	// link replaces that of package os in tests.
	link func(from, to string) error
}

// ErrBackup is in the error about what is no whole and unchanged backup.
var ErrBackup = errors.New("bolt: not a whole backup")

// Restore makes a new store at path of the backup that it reads from r, up to
// its end; the directory of path must exist. The store holds what the backup
// does, under another epoch: it is another history than the one that went on
// after the backup, so clients resynchronise, and two restores of one backup
// are two stores. Its key is another, too, since a backup passes through more
// hands than the store that comes out of it should trust.
//
// Everything is written under another name beside path, compared with the sum
// in the backup, walked as Store.Check does and made durable; only then, in one
// step, it is there under path. So on an error, or a kill, path is what it was.
// The error is ErrBackup of what was truncated, changed, added to or never was
// a backup; fs.ErrExist where path exists and Replace is not set; store.ErrFull
// where there is no room; or that of r or ctx as it is. A ctx that ends is
// noticed between two reads of r, and during the check.
//
// The sum finds accidents. It does not tell who made a backup: restore only
// what you would run.
func Restore(ctx context.Context, path string, r io.Reader, o *RestoreOptions) error {
	var options RestoreOptions
	if o != nil {
		options = *o
	}
	if err := restore(ctx, path, r, options); err != nil {
		return fmt.Errorf("bolt: restore %s: %w", path, err)
	}
	return nil
}

func restore(ctx context.Context, path string, r io.Reader, options RestoreOptions) error {
	o, err := withDefaults(&Options{Logger: options.Logger, link: options.link})
	if err != nil {
		return err
	}
	if err := vacant(path, options.Replace); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+unfinished+"*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = readBackup(f, &whileGoing{ctx: ctx, r: r})
	if err = errors.Join(err, f.Close()); err != nil {
		if isFull(err) {
			err = fmt.Errorf("%w: %w", store.ErrFull, err)
		}
		return err
	}
	if err := inspect(f.Name(), o); err != nil {
		return err
	}
	db, err := openFile(f.Name(), o)
	if err != nil {
		return err
	}
	err = renew(ctx, f.Name(), db, o)
	if err == nil {
		err = settle(f.Name(), path, options.Replace, o)
	}
	if err = errors.Join(err, guard(db.Close)); err != nil {
		return err
	}
	return syncDir(dir)
}

// vacant tells whether a restore may take the name.
func vacant(path string, replace bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !replace:
		return fs.ErrExist
	case !info.Mode().IsRegular():
		return errors.New("what is there is not a regular file")
	}
	return nil
}

// readBackup writes the pages of a backup to w, and knows at the end whether
// they were what a store wrote.
func readBackup(w io.Writer, r io.Reader) error {
	sum := newBackupSum()
	header := make([]byte, backupHeader)
	if _, err := io.ReadFull(r, header); err != nil {
		return cutShort(err)
	}
	if !bytes.HasPrefix(header, []byte(backupMagic)) {
		return fmt.Errorf("%w: it does not begin like one", ErrBackup)
	}
	if v := binary.BigEndian.Uint32(header[len(backupMagic):]); v != backupVersion {
		return fmt.Errorf("%w: of version %d, this program knows %d", ErrBackup, v, backupVersion)
	}
	sum.Write(header)
	size, end, err := copyAllBut(io.MultiWriter(w, sum), r, backupTrailer)
	if err != nil {
		return cutShort(err)
	}
	if !bytes.Equal(end, sum.trailer(size)) {
		return fmt.Errorf("%w: the sum at its end does not match: truncated, changed or added to", ErrBackup)
	}
	return nil
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early", ErrBackup)
	}
	return err
}

// copyAllBut copies r to w except for its last n bytes, which it returns.
func copyAllBut(w io.Writer, r io.Reader, n int) (size int64, end []byte, err error) {
	buf := make([]byte, 0, n+64<<10)
	for {
		m, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+m]
		if extra := len(buf) - n; extra > 0 {
			if _, err := w.Write(buf[:extra]); err != nil {
				return size, nil, err
			}
			size += int64(extra)
			buf = buf[:copy(buf, buf[extra:])]
		}
		switch {
		case err == io.EOF && len(buf) < n:
			return size, nil, io.ErrUnexpectedEOF
		case err == io.EOF:
			return size, buf, nil
		case err != nil:
			return size, nil, err
		}
	}
}

// renew looks whether the file is a store without contradictions, and makes it
// a history of its own.
func renew(ctx context.Context, name string, db *bbolt.DB, o Options) error {
	s, err := serve(name, db, o)
	if err != nil {
		return err
	}
	s.writer.stop()
	if err := s.Check(ctx); err != nil {
		return err
	}
	return guard(func() error {
		return errors.Join(db.Update(identify), db.Sync())
	})
}

// settle gives the store its name. It is locked until it has it.
func settle(from, path string, replace bool, o Options) error {
	if !replace {
		return publish(from, path, o)
	}
	if err := vacant(path, replace); err != nil {
		return err
	}
	old, err := openWith(path, &bbolt.Options{ReadOnly: true, Timeout: o.LockTimeout})
	if errors.Is(err, errLocked) {
		return err
	}
	if err == nil { // its lock keeps others out until it has no name
		defer old.Close()
	}
	return os.Rename(from, path)
}

// whileGoing is a reader that fails once ctx has ended.
type whileGoing struct {
	ctx context.Context
	r   io.Reader
}

func (g *whileGoing) Read(b []byte) (int, error) {
	if err := g.ctx.Err(); err != nil {
		return 0, err
	}
	return g.r.Read(b)
}
