package bolt

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// held opens a store whose next commit waits for release, so that what is
// written meanwhile shares the commit after it.
func held(t *testing.T) (s *Store, release func()) {
	t.Helper()
	return heldThen(t, func(*Store) {})
}

// heldThen is held, and calls then behind that commit.
func heldThen(t *testing.T, then func(*Store)) (s *Store, release func()) {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "im.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Check(context.Background()); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	entered, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.SetCommit(func(tx *bbolt.Tx) error {
		first := false
		once.Do(func() { close(entered); <-gate; first = true })
		err := tx.Commit()
		if first {
			then(s)
		}
		return err
	})
	first := make(chan error)
	go func() { first <- putRecord(s, "first") }()
	<-entered
	return s, func() {
		close(gate)
		if err := <-first; err != nil {
			t.Error(err)
		}
	}
}

func putRecord(s *Store, key string) error {
	_, err := s.WriteRecords(context.Background(), []store.RecordWrite{{Namespace: "n", Key: key}})
	return err
}

// waitQueue waits until n writes are queued.
func (s *Store) waitQueue(n int) {
	for s.writer.queued() < n {
		runtime.Gosched()
	}
}

func TestWhatQueuesDuringACommitSharesTheNext(t *testing.T) {
	s, release := held(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := putRecord(s, string(rune('a'+i))); err != nil {
				t.Error(err)
			}
		})
	}
	s.waitQueue(20)
	release()
	all.Wait()
	info, err := s.Info(context.Background())
	if err != nil || info.Version != 2 {
		t.Errorf("version %d, %v; want 2 commits in all", info.Version, err)
	}
}

func TestAWriteThatBreaksHalfWayLeavesNothingAndHurtsNobody(t *testing.T) {
	s, release := held(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if i%4 != 0 {
				if err := putRecord(s, string(rune('a'+i))); err != nil {
					t.Error(err)
				}
				return
			}
			err := s.update(context.Background(), 0, func(b *batch) error {
				b.put(bucketNames, []byte("half"), numberKey(77))
				panic("broken")
			})
			if err == nil || !strings.Contains(err.Error(), "broken") {
				t.Errorf("error %v", err)
			}
		})
	}
	s.waitQueue(20)
	release()
	all.Wait()
	records, err := s.ListRecords(context.Background(), store.RecordsQuery{Namespace: "n", Limit: 100})
	if err != nil || len(records) != 16 {
		t.Errorf("%d records, %v; want 16", len(records), err)
	}
	if err := s.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

// What a caller gave belongs to him again when update has returned.
func TestNothingIsAppliedForACallerWhoHasLeft(t *testing.T) {
	// leave calls update with a write that gives up while it is applied.
	leave := func(t *testing.T, s *Store, ctx context.Context, cancel func()) (applied *atomic.Int32, left chan error) {
		applied, left = new(atomic.Int32), make(chan error)
		var gone atomic.Bool
		go func() {
			err := s.update(ctx, 0, func(b *batch) error {
				applied.Add(1)
				if gone.Load() {
					t.Error("applied after update returned")
				}
				b.put(bucketMeta, []byte("test"), []byte("v"))
				cancel()
				return nil
			})
			gone.Store(true)
			left <- err
		}()
		s.waitQueue(1)
		return applied, left
	}
	t.Run("while others take the transaction down", func(t *testing.T) {
		s, release := held(t)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		applied, left := leave(t, s, ctx, cancel)
		const broken = 300
		var all sync.WaitGroup
		for range broken {
			all.Go(func() {
				if err := s.update(context.Background(), 0, func(*batch) error { panic("broken") }); err == nil {
					t.Error("no error")
				}
			})
		}
		s.waitQueue(1 + broken)
		release()
		all.Wait()
		if err := <-left; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n := applied.Load(); n < 2 {
			t.Errorf("applied %d times: nothing was tested", n)
		}
	})
	t.Run("while the transaction waits for its beginning", func(t *testing.T) {
		var lock *bbolt.Tx
		s, release := heldThen(t, func(s *Store) { lock, _ = s.db.Load().Begin(true) }) // as Check does
		ctx, cancel := context.WithCancel(context.Background())
		applied, left := leave(t, s, ctx, cancel)
		release()
		for s.writer.queued() > 0 {
			runtime.Gosched()
		}
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		lock.Rollback()
		if err := putRecord(s, "last"); err != nil {
			t.Error(err)
		}
		if applied.Load() > 0 {
			t.Error("applied")
		}
	})
}

func TestADrainIsBounded(t *testing.T) {
	s, release := held(t)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			value := make([]byte, maxDrainBytes/2)
			_, err := s.WriteRecords(context.Background(), []store.RecordWrite{{Namespace: "n", Key: "big", Value: value}})
			if err != nil {
				t.Error(err)
			}
		})
	}
	s.waitQueue(5)
	release()
	all.Wait()
	if info, _ := s.Info(context.Background()); info.Version != 4 {
		t.Errorf("version %d, want 1 commit and 3 for five halves of a drain", info.Version)
	}
}
