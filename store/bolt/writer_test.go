package bolt

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// held opens a store whose next commit waits for release, so that what is
// written meanwhile shares the commit after it.
func held(t *testing.T) (s *Store, release func()) {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "im.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	entered, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.SetCommit(func(tx *bbolt.Tx) error {
		once.Do(func() { close(entered); <-gate })
		return tx.Commit()
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
