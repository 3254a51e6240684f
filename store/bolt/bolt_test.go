package bolt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
	"example.com/h5im/store/memory"
	"example.com/h5im/store/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if stacks := leaked(); code == 0 && stacks != "" {
		fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s", stacks)
		code = 1
	}
	os.Exit(code)
}

// leaked waits up to 2 s for the goroutines of this module to end and returns
// the stacks of those that do not.
func leaked() string {
	for deadline := time.Now().Add(2 * time.Second); ; runtime.Gosched() {
		buf := make([]byte, 1<<20)
		var ours []string
		for i, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if i > 0 && strings.Contains(g, "example.com/h5im/") {
				ours = append(ours, g)
			}
		}
		if len(ours) == 0 || time.Now().After(deadline) {
			return strings.Join(ours, "\n\n")
		}
	}
}

var harness = storetest.Harness{
	Open: func(tb testing.TB) store.Store { return openUnchecked(tb, filepath.Join(tb.TempDir(), "im.db"), nil) },
	Reopen: func(tb testing.TB, s store.Store) store.Store {
		if err := s.Close(); err != nil {
			tb.Fatal(err)
		}
		return openUnchecked(tb, s.(*bolt.Store).Path(), nil)
	},
	Check: func(tb testing.TB, s store.Store) {
		b := s.(*bolt.Store)
		if err := b.Check(context.Background()); err != nil {
			tb.Error(err)
		}
		if n := b.OpenReads(); n != 0 {
			tb.Errorf("%d read transactions are still open", n)
		}
	},
	Group: func(s store.Store, writes []func()) {
		b := s.(*bolt.Store)
		release := b.Hold()
		var all sync.WaitGroup
		for _, write := range writes {
			var done atomic.Bool // what is refused at once is never queued
			queued := b.Queued()
			all.Go(func() { write(); done.Store(true) })
			for b.Queued() == queued && !done.Load() {
				runtime.Gosched()
			}
		}
		release()
		all.Wait()
	},
}

func TestStore(t *testing.T) { storetest.Run(t, harness) }

func TestStoreAnswersAsTheReference(t *testing.T) {
	storetest.Compare(t, harness, func(testing.TB) store.Store { return memory.New(nil) })
}

// open opens a store that the caller closes. After the test its file is looked
// through.
func open(tb testing.TB, path string, o *bolt.Options) *bolt.Store {
	tb.Helper()
	tb.Cleanup(func() {
		s := openUnchecked(tb, path, &bolt.Options{Logger: quiet})
		defer s.Close()
		harness.Check(tb, s)
	})
	return openUnchecked(tb, path, o)
}

// openUnchecked is open for who looks through it himself, or damages it.
func openUnchecked(tb testing.TB, path string, o *bolt.Options) *bolt.Store {
	tb.Helper()
	s, err := bolt.Open(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
