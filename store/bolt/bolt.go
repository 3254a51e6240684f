// Package bolt keeps a [store.Store] in one bbolt file.
//
// Every write goes through one goroutine that commits whatever was queued
// while the last commit was on its way to the disk, so that many callers share
// one fsync and a single one waits for nobody. Reads are short transactions
// that copy what they return.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"example.com/h5im/store"
)

// Options tune a store. The zero value of each field means its default.
type Options struct {
	// LockTimeout is how long Open waits for another process to let the file
	// go. Defaults to 1 second.
	LockTimeout time.Duration
	// InitialMmapSize is the address space in bytes that is mapped at once.
	// Growing beyond it waits for the readers. Defaults to 1 GiB on 64-bit
	// machines, 64 MiB on others.
	InitialMmapSize int
	// MaxSizeBytes is the size that the file never exceeds; a write that would
	// is [store.ErrFull]. 0 means no limit. The smallest is 1 MiB.
	MaxSizeBytes int64
	// Logger gets what nobody is there to be told. Defaults to slog.Default().
	Logger *slog.Logger

	// These replace those of package os, and syncDir, in tests.
	openFile func(string, int, os.FileMode) (*os.File, error)
	link     func(from, to string) error
	syncDir  func(dir string) error
}

// minMaxSizeBytes leaves room for the empty store and a few commits.
const minMaxSizeBytes = 1 << 20

// Store is a [store.Store] in one file. It is safe for concurrent use.
type Store struct {
	path    string
	options Options
	db      atomic.Pointer[bbolt.DB] // another after a compaction
	log     *slog.Logger
	epoch   string
	key     []byte
	writer  writer
	commits commits

	maintaining chan struct{}          // of one; see maintain
	copied      atomic.Pointer[string] // the file that a compaction writes
	retired     sync.WaitGroup
	closed      atomic.Bool
	// failed is the commit error after which the file cannot be trusted.
	failed atomic.Pointer[error]

	readersMu sync.Mutex
	readers   map[*time.Time]struct{}
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the file at path, which it creates if there is none;
// its directory must exist. It refuses, with an error that names the file,
// what another process has open, what is damaged, what is no store, and what a
// newer version of this package wrote. Close it after use.
func Open(path string, o *Options) (*Store, error) {
	s, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", path, err)
	}
	return s, nil
}

func open(path string, options *Options) (*Store, error) {
	o, err := withDefaults(options)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err = create(path, o); err == nil {
			info, err = os.Stat(path)
		}
	case err == nil && !info.Mode().IsRegular():
		err = errors.New("not a regular file")
	case err == nil && info.Size() == 0:
		err = fmt.Errorf("%w: the file is empty; remove it to begin a new store", ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	if err := inspect(path, o); err != nil {
		if isBackup(path) {
			err = errors.New("a backup; Restore makes a store of it")
		}
		return nil, err
	}
	db, err := openFile(path, o)
	if err != nil {
		return nil, err
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(info, now) {
		db.Close() // a restore has replaced it while the lock was waited for
		return open(path, options)
	}
	s, err := serve(path, db, o)
	if err != nil {
		db.Close()
		return nil, err
	}
	sweep(path)
	return s, nil
}

// serve makes a store of an open file.
func serve(path string, db *bbolt.DB, o Options) (*Store, error) {
	s := &Store{
		path: path, options: o, log: o.Logger, maintaining: make(chan struct{}, 1), readers: map[*time.Time]struct{}{},
	}
	s.db.Store(db)
	// What a kill left written is seen from now on, and must not be lost any more.
	if err := guard(db.Sync); err != nil {
		return nil, err
	}
	if err := guard(s.load); err != nil {
		return nil, err
	}
	s.writer.start(s)
	return s, nil
}

func withDefaults(options *Options) (Options, error) {
	var o Options
	if options != nil {
		o = *options
	}
	if o.LockTimeout < 0 || o.InitialMmapSize < 0 || o.MaxSizeBytes < 0 {
		return o, errors.New("an option is negative")
	}
	if o.MaxSizeBytes != 0 && (o.MaxSizeBytes < minMaxSizeBytes || o.MaxSizeBytes > math.MaxInt) {
		return o, fmt.Errorf("MaxSizeBytes must be at least %d", minMaxSizeBytes)
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = time.Second
	}
	if o.InitialMmapSize == 0 {
		o.InitialMmapSize = 64 << 20
		if strconv.IntSize == 64 {
			o.InitialMmapSize = 1 << 30
		}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.syncDir == nil {
		o.syncDir = syncDir
	}
	if o.link == nil {
		o.link = os.Link
	}
	return o, nil
}

// inspect looks at the pages of a file before it is opened for writing: that
// reads the list of free pages, and where it panics on it, bbolt lets go of
// neither lock nor memory.
func inspect(path string, o Options) error {
	db, err := openWith(path, &bbolt.Options{Timeout: o.LockTimeout, ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(guard(func() error { return verifyPages(db, path, false) }), db.Close())
}

// openFile opens the file for writing.
func openFile(path string, o Options) (*bbolt.DB, error) {
	db, err := openWith(path, &bbolt.Options{
		Timeout:         o.LockTimeout,
		InitialMmapSize: o.InitialMmapSize,
		MaxSize:         int(o.MaxSizeBytes),
		FreelistType:    bbolt.FreelistMapType,
		OpenFile:        o.openFile,
	})
	if err != nil {
		return nil, err
	}
	if o.MaxSizeBytes > 0 {
		// bbolt grows the file by AllocSize once it has mapped more than that;
		// with a small limit the default of 16 MiB would overshoot it.
		db.AllocSize = min(db.AllocSize, int(o.MaxSizeBytes/16))
	}
	return db, nil
}

// openWith is bbolt.Open with plain errors.
func openWith(path string, o *bbolt.Options) (db *bbolt.DB, err error) {
	err = guard(func() error {
		db, err = bbolt.Open(path, 0o600, o)
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("%w (waited %v)", errLocked, o.Timeout)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		return nil, err
	}
	return db, nil
}

var errLocked = errors.New("another process has it open")

// ErrDamaged is in the error of Open, and of any method, about a file that is
// not, or no longer, a store.
var ErrDamaged = errors.New("damaged, or not a store")

// guard runs f and turns a panic or a memory fault, with which bbolt answers a
// damaged file, into an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	return f()
}

// load reads the identity of an existing store.
func (s *Store) load() error {
	return s.db.Load().View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil {
			return fmt.Errorf("%w: no meta bucket", ErrDamaged)
		}
		d := openRow(meta.Get(metaSchema))
		schema := d.uint()
		if err := d.end(); err != nil {
			return fmt.Errorf("%w: schema: %w", ErrDamaged, err)
		}
		if schema > schemaVersion {
			return fmt.Errorf("written by a newer version of this program: schema %d, this one knows %d", schema, schemaVersion)
		}
		for _, name := range allBuckets {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("%w: no bucket %s", ErrDamaged, name)
			}
		}
		s.epoch = string(meta.Get(metaEpoch))
		s.key = append([]byte(nil), meta.Get(metaKey)...)
		if s.epoch == "" || len(s.key) != 32 {
			return fmt.Errorf("%w: no epoch or key", ErrDamaged)
		}
		if _, err := decodeState(meta.Get(metaState)); err != nil {
			return fmt.Errorf("%w: state: %w", ErrDamaged, err)
		}
		return nil
	})
}

// Close finishes accepted writes and frees the file. Later calls return
// store.ErrClosed.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.writer.stop()
	s.maintaining <- struct{}{} // whoever is at it finds it closed
	err := guard(s.db.Load().Close)
	s.retired.Wait()
	return err
}

// usable returns why the store answers nothing, or nil.
func (s *Store) usable() error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// ready is usable for a caller whose context has not ended.
func (s *Store) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.usable()
}

// view runs f in a read transaction. f must be quick, and copy what it keeps.
func (s *Store) view(ctx context.Context, f func(r reader) error) error {
	return s.viewTx(ctx, func(tx *bbolt.Tx) error { return f(reader{tx: tx}) })
}

func (s *Store) viewTx(ctx context.Context, f func(*bbolt.Tx) error) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	began := time.Now()
	s.readersMu.Lock()
	s.readers[&began] = struct{}{}
	s.readersMu.Unlock()
	defer func() {
		s.readersMu.Lock()
		delete(s.readers, &began)
		s.readersMu.Unlock()
	}()
	var id int
	view := func(db *bbolt.DB) error {
		return guard(func() error {
			return db.View(func(tx *bbolt.Tx) error {
				id = tx.ID()
				return f(tx)
			})
		})
	}
	db := s.db.Load()
	err := view(db)
	for s.replaced(db, err) {
		db = s.db.Load()
		err = view(db)
	}
	if waited := s.commits.await(ctx, id); waited != nil {
		return waited
	}
	if failed := s.failed.Load(); failed != nil {
		return *failed
	}
	switch {
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return store.ErrClosed
	case errors.Is(err, ErrDamaged):
		s.log.Error("store file is damaged", "file", s.path, "err", err)
	}
	return err
}

// Info tells the identity and position of the store.
func (s *Store) Info(ctx context.Context) (store.Info, error) {
	info := store.Info{Epoch: s.epoch, Key: append([]byte(nil), s.key...)}
	err := s.view(ctx, func(r reader) error {
		st, err := r.state()
		info.Version, info.Position = st.version, store.Position(st.position)
		return err
	})
	if err != nil {
		return store.Info{}, err
	}
	return info, nil
}

// Path is where the file is, as Open was told.
func (s *Store) Path() string { return s.path }

// Stats are figures for a dashboard.
type Stats struct {
	FileBytes int64
	// FreeBytes is what the file holds for reuse; only Compact gives it back.
	FreeBytes int64
	// CompactedBytes is how much of the file a Compact that runs has copied, of
	// about FileBytes less FreeBytes; 0: none runs.
	CompactedBytes int64
	// OldestRead is the age of the oldest open read transaction. One that
	// stays open makes the file grow.
	OldestRead time.Duration
}

// Stats reads the figures. It costs a stat of the file.
func (s *Store) Stats() Stats {
	var st Stats
	if info, err := os.Stat(s.path); err == nil {
		st.FileBytes = info.Size()
	}
	d := s.db.Load().Stats()
	st.FreeBytes = int64(d.FreeAlloc)
	if copied := s.copied.Load(); copied != nil {
		if info, err := os.Stat(*copied); err == nil {
			st.CompactedBytes = info.Size()
		}
	}
	s.readersMu.Lock()
	defer s.readersMu.Unlock()
	for began := range s.readers {
		st.OldestRead = max(st.OldestRead, time.Since(*began))
	}
	return st
}

// isFull tells whether a commit failed for want of room, with nothing of it
// written. bbolt formats some causes into text, hence the last test.
func isFull(err error) bool {
	for _, cause := range []error{berrors.ErrMaxSizeReached, syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		if errors.Is(err, cause) || strings.HasSuffix(err.Error(), cause.Error()) {
			return true
		}
	}
	return false
}
