package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// The bounds of a drain. More waits for the next.
const (
	maxDrainWrites = 1024
	maxDrainBytes  = 4 << 20

	// patience is which part of the time of a commit the writer spends on
	// waiting for the next of those whom it has just answered.
	patience = 16
)

// write is one call of a write method on its way through the writer.
type write struct {
	apply func(*batch) error
	alone func() error // instead of apply, and not in a transaction
	bytes int
	// taken is set by whoever decides its fate: the writer, or the caller
	// whose context ended before.
	taken atomic.Bool
	err   error
	done  chan struct{}
}

// writer is the goroutine that commits. It has no timer: it takes what is
// queued, commits it in one transaction, and looks again.
type writer struct {
	store   *Store
	stopped sync.WaitGroup

	mu      sync.Mutex
	ready   sync.Cond
	queue   []*write
	closing bool

	// applying is held from taking writes until their callers' arguments are in
	// use no more.
	applying sync.Mutex
	// commit is (*bbolt.Tx).Commit but in tests.
	commit func(*bbolt.Tx) error

	// changes, where not nil, is told what every commit has written. The
	// goroutine's own, like written, which is what it is about to commit.
	changes *changes
	written []string
}

func (w *writer) start(s *Store) {
	w.store = s
	w.ready.L = &w.mu
	w.commit = (*bbolt.Tx).Commit
	w.stopped.Go(w.run)
}

// stop waits until all that was queued is committed.
func (w *writer) stop() {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.ready.Signal()
	w.stopped.Wait()
}

// update runs apply in the writer and returns when its changes are durable. An
// error of apply means that it changed nothing. apply may run more than once;
// never after update returned.
func (s *Store) update(ctx context.Context, bytes int, apply func(*batch) error) error {
	return s.hand(ctx, &write{apply: apply, bytes: bytes})
}

// exclusively runs f in the writer, between two transactions.
func (s *Store) exclusively(ctx context.Context, f func() error) error {
	return s.hand(ctx, &write{alone: f})
}

func (s *Store) hand(ctx context.Context, op *write) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	op.done = make(chan struct{})
	w := &s.writer
	w.mu.Lock()
	if w.closing {
		w.mu.Unlock()
		return store.ErrClosed
	}
	w.queue = append(w.queue, op)
	w.mu.Unlock()
	w.ready.Signal()

	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
	}
	if taken := op.taken.Swap(true); taken && op.alone != nil {
		<-op.done
		return op.err
	} else if taken {
		// Its changes may be on their way to the disk; only wait until it no
		// longer touches what belongs to the caller.
		w.applying.Lock()
		defer w.applying.Unlock()
	}
	return ctx.Err()
}

func (w *writer) run() {
	for {
		ops, ok := w.next()
		if !ok {
			return
		}
		began := time.Now()
		w.drain(ops)
		w.gather(len(ops), time.Since(began)/patience)
	}
}

// gather lets those who were just answered queue again, so that they share the
// next commit with those who waited. It yields until all are there, or nobody
// came for a while; a lone caller finds it waiting for nobody else.
func (w *writer) gather(answered int, idle time.Duration) {
	queued := w.queued()
	want := min(queued+answered, maxDrainWrites)
	for came := time.Now(); queued < want && time.Since(came) < idle; {
		runtime.Gosched()
		if n := w.queued(); n > queued {
			queued, came = n, time.Now()
		}
	}
}

func (w *writer) queued() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.queue)
}

// next waits for writes and takes what fits in a drain.
func (w *writer) next() ([]*write, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 {
		if w.closing {
			return nil, false
		}
		w.ready.Wait()
	}
	n, bytes := 0, 0
	for n < len(w.queue) && n < maxDrainWrites && (n == 0 || bytes+w.queue[n].bytes <= maxDrainBytes) {
		if w.queue[n].alone != nil {
			n = max(n, 1)
			break
		}
		bytes += w.queue[n].bytes
		n++
	}
	ops := w.queue[:n:n]
	w.queue = w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil
	}
	return ops, true
}

// drain commits writes in one transaction and answers them.
func (w *writer) drain(ops []*write) {
	if ops[0].alone != nil {
		for _, op := range take(ops) {
			op.err = guard(op.alone)
			close(op.done)
		}
		return
	}
	// Beginning may take its time. Until it is done a caller can still leave.
	tx, err := w.begin()
	w.applying.Lock()
	live := take(ops)
	if err != nil {
		answer(live, err)
	} else {
		tx, ops = w.applyAll(tx, live)
	}
	w.applying.Unlock()
	if tx != nil {
		w.commitAll(tx, ops)
	}
	for _, op := range live {
		close(op.done)
	}
}

// take leaves out the writes whose callers have left.
func take(ops []*write) (live []*write) {
	for _, op := range ops {
		if !op.taken.Swap(true) {
			live = append(live, op)
		}
	}
	return live
}

func (w *writer) begin() (tx *bbolt.Tx, err error) {
	if err := w.store.failed.Load(); err != nil {
		return nil, *err
	}
	err = guard(func() error {
		tx, err = w.store.db.Load().Begin(true)
		return err
	})
	return tx, err
}

// rollback does nothing where bbolt has closed the transaction itself.
func (w *writer) rollback(tx *bbolt.Tx) {
	_ = guard(func() error { return tx.Rollback() })
}

// applyAll applies writes in tx, and returns a transaction with what is to be
// committed and whose it is; nil where there is nothing to commit. A write that
// fails half-way takes the transaction down: the others are applied again,
// without it, in another.
func (w *writer) applyAll(tx *bbolt.Tx, ops []*write) (*bbolt.Tx, []*write) {
	for {
		changed, bad := w.apply(tx, ops)
		if changed && bad == nil {
			return tx, ops
		}
		w.rollback(tx)
		if bad == nil {
			return nil, nil
		}
		ops = without(ops, bad)
		var err error
		if tx, err = w.begin(); err != nil {
			answer(ops, err)
			return nil, nil
		}
	}
}

// apply tells whether anything is to be committed, and which write left the
// transaction in a state that must not be.
func (w *writer) apply(tx *bbolt.Tx, ops []*write) (changed bool, bad *write) {
	var b *batch
	err := guard(func() (err error) {
		b, err = newBatch(tx)
		return err
	})
	if err != nil {
		answer(ops, err)
		return false, nil
	}
	b.noting = w.changes != nil
	for _, op := range ops {
		broken := true
		op.err = guard(func() error {
			err := op.apply(b)
			broken = false
			return err
		})
		if broken || b.err != nil {
			op.err = errors.Join(op.err, b.err)
			return false, op
		}
	}
	if !b.changed {
		return false, nil
	}
	if err := guard(b.flush); err != nil {
		answer(ops, err)
		return false, nil
	}
	w.written = b.written
	return true, nil
}

// commitAll commits tx, which has the changes of ops.
func (w *writer) commitAll(tx *bbolt.Tx, ops []*write) {
	id := tx.ID()
	w.store.commits.begin(id)
	defer w.store.commits.end()
	if err := guard(func() error { return w.commit(tx) }); err != nil {
		w.rollback(tx)
		answer(ops, w.judge(err, id))
		return
	}
	if w.changes != nil {
		w.changes.add(w.written)
	}
}

// judge decides what a failed commit means. For want of room nothing was
// written and the store goes on. After anything else, say a failed fsync,
// nobody knows what the disk holds: the kernel may have dropped the pages and
// the next fsync would succeed without them. Then only opening anew tells.
func (w *writer) judge(err error, id int) error {
	if isFull(err) && w.visible() < id {
		return fmt.Errorf("bolt: %w: %w", store.ErrFull, err)
	}
	err = fmt.Errorf("bolt: commit failed, %s must be opened again: %w", w.store.path, err)
	w.store.failed.Store(&err)
	w.store.log.Error("commit failed", "file", w.store.path, "err", err)
	return err
}

// visible returns the transaction that a reader would see now. A failed commit
// that got as far as the meta page is visible without being durable.
func (w *writer) visible() (id int) {
	id = int(^uint(0) >> 1)
	_ = guard(func() error {
		return w.store.db.Load().View(func(tx *bbolt.Tx) error {
			id = tx.ID()
			return nil
		})
	})
	return id
}

func answer(ops []*write, err error) {
	for _, op := range ops {
		op.err = err
	}
}

func without(ops []*write, bad *write) []*write {
	rest := make([]*write, 0, len(ops)-1)
	for _, op := range ops {
		if op != bad {
			rest = append(rest, op)
		}
	}
	return rest
}
