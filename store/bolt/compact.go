package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"example.com/h5im/store"
)

const (
	// A step of a copy reads and writes so much in one transaction each.
	copyStepBytes = 1 << 20
	copyStepRows  = 4096
	// lastStepRows is how little has to be left for the writer to wait for it.
	lastStepRows = 512
	// maxCatchUps is after how many attempts the writer waits for whatever is left.
	maxCatchUps = 20
)

// copyOrder is the order of the buckets in a copy. The log is the largest and
// grows at its end only, so that it costs no memory to follow while it is copied.
var copyOrder = [][]byte{
	bucketLog, bucketRequests, bucketBlocks, bucketEdits, bucketNames, bucketMemberships,
	bucketMemberRevs, bucketRecords, bucketConversations, bucketMeta,
}

var _ store.Compacter = (*Store)(nil)

// Compact implements [store.Compacter]. A bbolt file keeps the room of what was
// deleted, here by Prune, for reuse; see Stats.FreeBytes. Compact copies what is
// left to another file beside it, in short transactions, and then again what has
// changed meanwhile. When little is left to copy, writes wait for the last of it
// and its sync; the copy takes the name of the file and is what everybody reads
// and writes from then on. On an error, or a kill, the file is what it was.
// It waits for a Backup or Check that runs, and they for it.
func (s *Store) Compact(ctx context.Context) (err error) {
	if err := s.ready(ctx); err != nil {
		return err
	}
	done, err := s.maintain(ctx)
	if err != nil {
		return err
	}
	defer done()
	c := &compaction{store: s}
	defer func() {
		if err != nil && isFull(err) {
			err = fmt.Errorf("bolt: compact: %w: %w", store.ErrFull, err)
		}
	}()
	if err := c.create(); err != nil {
		return err
	}
	defer s.copied.Store(nil)
	defer c.abandon()
	if err := c.copy(ctx); err != nil {
		return err
	}
	return s.exclusively(ctx, c.finish)
}

// maintain keeps what needs the file to stay the same file apart.
func (s *Store) maintain(ctx context.Context) (done func(), err error) {
	select {
	case s.maintaining <- struct{}{}:
		if err := s.usable(); err != nil {
			<-s.maintaining
			return nil, err
		}
		return func() { <-s.maintaining }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// compaction is a copy of the store that is being made.
type compaction struct {
	store     *Store
	db        *bbolt.DB // the copy; nil once it is the store's
	allocSize int       // that it will have
	changes   changes

	logged  []byte // the last key of the log that is copied
	dropped uint64 // entries of it that were left out
}

func (c *compaction) create() error {
	path := c.store.path
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+unfinished+"*")
	if err != nil {
		return err
	}
	f.Close()
	if c.db, err = openFile(f.Name(), c.store.options); err != nil {
		os.Remove(f.Name())
		return err
	}
	c.db.NoSync = true // until it is whole
	name := f.Name()
	c.store.copied.Store(&name)
	c.allocSize, c.db.AllocSize = c.db.AllocSize, copyStepBytes
	return nil
}

// abandon removes a copy that came to nothing.
func (c *compaction) abandon() {
	if c.db == nil {
		return
	}
	w := &c.store.writer
	// The store may have been closed: then nobody follows any more.
	_ = c.store.exclusively(context.Background(), func() error {
		w.changes = nil
		return nil
	})
	name := c.db.Path()
	_ = guard(c.db.Close)
	os.Remove(name)
}

// copy copies everything, as of whenever its step comes, and then what has
// changed since its step, until that is little.
func (c *compaction) copy(ctx context.Context) error {
	err := c.store.exclusively(ctx, func() error {
		c.store.writer.changes = &c.changes
		return nil
	})
	if err != nil {
		return err
	}
	for _, bucket := range copyOrder {
		c.changes.follow()
		if err := c.copyBucket(ctx, bucket); err != nil {
			return err
		}
	}
	for range maxCatchUps {
		n, err := c.catchUp(ctx)
		if err != nil {
			return err
		}
		if n <= lastStepRows {
			break
		}
	}
	return c.db.Sync() // most of what finish would wait for
}

func (c *compaction) copyBucket(ctx context.Context, bucket []byte) error {
	var after []byte
	for more := true; more; {
		err := c.step(ctx, func(from, to *bbolt.Tx) (err error) {
			after, more, err = c.copyRows(from, to, bucket, after)
			return err
		})
		if err != nil {
			return err
		}
		if c.changes.len() >= copyStepRows {
			if _, err := c.applyChanges(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// step reads in a transaction of the store and writes in one of the copy.
func (c *compaction) step(ctx context.Context, f func(from, to *bbolt.Tx) error) error {
	return c.store.viewTx(ctx, func(from *bbolt.Tx) error {
		return c.db.Update(func(to *bbolt.Tx) error { return f(from, to) })
	})
}

// copyRows copies some rows after a key.
func (c *compaction) copyRows(from, to *bbolt.Tx, bucket, after []byte) (last []byte, more bool, err error) {
	target, err := to.CreateBucketIfNotExists(bucket)
	if err != nil {
		return after, false, err
	}
	target.FillPercent = 0.9
	isLog := bytes.Equal(bucket, bucketLog)
	if isLog || bytes.Equal(bucket, bucketRequests) {
		target.FillPercent = 1
	}
	pointless := c.pointless(from)
	rows, size := 0, 0
	cursor := from.Bucket(bucket).Cursor()
	last = after
	for k, v := cursor.Seek(after); k != nil; k, v = cursor.Next() {
		if after != nil && bytes.Equal(k, after) {
			continue
		}
		if rows == copyStepRows || size >= copyStepBytes {
			more = true
			break
		}
		last = k
		rows, size = rows+1, size+len(k)+len(v)
		if isLog {
			drop, err := pointless(v)
			if err != nil {
				return after, false, damaged(bucket, k, err)
			}
			if drop {
				c.dropped++
				continue
			}
		}
		if err := target.Put(k, v); err != nil {
			return after, false, err
		}
	}
	last = bytes.Clone(last)
	if isLog {
		c.logged = last
	}
	return last, more, nil
}

// pointless tells of log entries whether they say that a message was amended
// that has been pruned since.
func (c *compaction) pointless(tx *bbolt.Tx) func(row []byte) (bool, error) {
	r := reader{tx}
	pruned := map[uint32]int64{}
	return func(row []byte) (bool, error) {
		n, err := decodeEntry(row)
		if err != nil || n.kind != store.MessageAmended {
			return false, err
		}
		upTo, known := pruned[n.number]
		if !known {
			h, err := r.head(n.number)
			if err != nil {
				return false, err
			}
			upTo = h.Pruned
			pruned[n.number] = upTo
		}
		return n.seq <= upTo, nil
	}
}

// catchUp copies what has changed, and tells how much that was.
func (c *compaction) catchUp(ctx context.Context) (rows int, err error) {
	for more := true; more; {
		err := c.step(ctx, func(from, to *bbolt.Tx) (err error) {
			before := c.logged
			_, more, err = c.copyRows(from, to, bucketLog, before)
			rows += int(logPosition(c.logged) - logPosition(before))
			return err
		})
		if err != nil {
			return rows, err
		}
	}
	n, err := c.applyChanges(ctx)
	return rows + n, err
}

func logPosition(key []byte) uint64 {
	if key == nil {
		return 0
	}
	return binary.BigEndian.Uint64(key)
}

func (c *compaction) applyChanges(ctx context.Context) (rows int, err error) {
	keys := c.changes.take()
	for part := range slices.Chunk(keys, copyStepRows) {
		err := c.step(ctx, func(from, to *bbolt.Tx) error { return copyKeys(from, to, part) })
		if err != nil {
			return rows, err
		}
	}
	return len(keys), nil
}

func copyKeys(from, to *bbolt.Tx, keys []string) error {
	for _, changed := range keys {
		bucket, key := copyOrder[changed[0]], []byte(changed[1:])
		v, target := from.Bucket(bucket).Get(key), to.Bucket(bucket)
		var err error
		if v == nil {
			err = target.Delete(key)
		} else {
			err = target.Put(key, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finish copies the last of it, and makes the copy the store. The writer is at
// rest meanwhile.
func (c *compaction) finish() error {
	s := c.store
	if err := s.failed.Load(); err != nil {
		return *err
	}
	old := s.db.Load()
	keys := c.changes.take()
	err := old.View(func(from *bbolt.Tx) error {
		return c.db.Update(func(to *bbolt.Tx) error {
			for more := true; more; {
				var err error
				if _, more, err = c.copyRows(from, to, bucketLog, c.logged); err != nil {
					return err
				}
			}
			if err := copyKeys(from, to, keys); err != nil {
				return err
			}
			state, err := reader{from}.state()
			if err != nil {
				return err
			}
			state.removed += c.dropped
			return to.Bucket(bucketMeta).Put(metaState, state.encode())
		})
	})
	if err != nil {
		return err
	}
	if err := c.db.Sync(); err != nil {
		return err
	}
	c.db.NoSync, c.db.AllocSize = false, c.allocSize
	if err := os.Rename(c.db.Path(), s.path); err != nil {
		return err
	}
	s.writer.changes = nil
	s.db.Store(c.db)
	c.db = nil
	s.retired.Go(func() { // when the last reader has left it
		if err := guard(old.Close); err != nil {
			s.log.Warn("the file before the compaction was not closed", "file", s.path, "err", err)
		}
	})
	if err := s.options.syncDir(filepath.Dir(s.path)); err != nil {
		// A power cut might bring the old file back, without what is to come.
		err = fmt.Errorf("bolt: compact: %s must be opened again: %w", s.path, err)
		s.failed.Store(&err)
		return err
	}
	return nil
}

// changes are the keys that were written since their bucket began to be copied:
// the index of the bucket in copyOrder and the key.
type changes struct {
	mu       sync.Mutex
	followed int // so many buckets
	keys     map[string]struct{}
}

// follow adds the next bucket, before its first step.
func (c *changes) follow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.followed++
}

// add notes what a commit has written, once readers see it.
func (c *changes) add(keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if int(key[0]) < c.followed {
			if c.keys == nil {
				c.keys = map[string]struct{}{}
			}
			c.keys[key] = struct{}{}
		}
	}
}

func (c *changes) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.keys)
}

// take returns what was noted, in order.
func (c *changes) take() []string {
	c.mu.Lock()
	keys := c.keys
	c.keys = nil
	c.mu.Unlock()
	return slices.Sorted(maps.Keys(keys))
}

// changedKey is how changes notes a key.
func changedKey(bucket, key []byte) string {
	for i, name := range copyOrder {
		if bytes.Equal(name, bucket) {
			return string(byte(i)) + string(key)
		}
	}
	panic("bolt: a bucket that is not copied: " + string(bucket))
}

// replaced tells whether a transaction did not begin because a compaction has
// put another file in the place of db.
func (s *Store) replaced(db *bbolt.DB, err error) bool {
	return errors.Is(err, berrors.ErrDatabaseNotOpen) && s.db.Load() != db
}
