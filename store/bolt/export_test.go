package bolt

import (
	"context"
	"os"

	"go.etcd.io/bbolt"
)

// OnOpenFile lets a test keep the file that the store writes to.
func (o *Options) OnOpenFile(f func(*os.File)) {
	o.openFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		file, err := os.OpenFile(name, flag, mode)
		if err == nil {
			f(file)
		}
		return file, err
	}
}

// FailOpenFile lets files not open for which fail returns an error.
func (o *Options) FailOpenFile(fail func() error) {
	o.openFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		if err := fail(); err != nil {
			return nil, err
		}
		return os.OpenFile(name, flag, mode)
	}
}

// OnLink replaces the link that gives a new store its name.
func (o *Options) OnLink(link func(from, to string) error) { o.link = link }

// OnSyncDir replaces the sync of a directory by which a new name becomes durable.
func (o *Options) OnSyncDir(sync func(dir string) error) { o.syncDir = sync }

// SetCommit replaces the commit of a store that is at rest.
func (s *Store) SetCommit(commit func(*bbolt.Tx) error) { s.writer.commit = commit }

// Corrupt gives the tables of a store that is at rest to f, as they are.
func (s *Store) Corrupt(f func(*bbolt.Tx) error) error { return s.db.Load().Update(f) }

// Hold keeps the writer busy until release, so that what is written meanwhile
// shares a commit.
func (s *Store) Hold() (release func()) {
	entered, gate, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = s.update(context.Background(), 0, func(*batch) error { close(entered); <-gate; return nil })
	}()
	<-entered
	return func() { close(gate); <-done }
}

// Queued is the number of writes that wait for the writer.
func (s *Store) Queued() int { return s.writer.queued() }

// OpenReads is the number of open read transactions.
func (s *Store) OpenReads() int { return s.db.Load().Stats().OpenTxN }

// SetSchema makes the file look like another version's.
func (s *Store) SetSchema(version uint64) error {
	return s.db.Load().Update(func(tx *bbolt.Tx) error {
		row := newRow(4)
		row.uint(version)
		return tx.Bucket(bucketMeta).Put(metaSchema, row.seal())
	})
}

// Cursors tells how many cursors the reads of f open: one for every row that is
// got by its key, one for every walk. The store must be at rest.
func (s *Store) Cursors(f func()) int64 {
	count := func() int64 { st := s.db.Load().Stats(); return st.TxStats.GetCursorCount() }
	before := count()
	f()
	return count() - before
}

// OnLink replaces the link that gives a restored store its name.
func (o *RestoreOptions) OnLink(link func(from, to string) error) { o.link = link }
