package bolt_test

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"example.com/h5im/store/bolt"
)

// alone fails the test where the directory of path has anything but it.
func alone(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	must(t, err)
	if len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("beside %s there are %v", path, entries)
	}
}

func epoch(t *testing.T, s *bolt.Store) string {
	t.Helper()
	info, err := s.Info(ctx)
	must(t, err)
	return info.Epoch
}

func TestConcurrentFirstOpenMakesOneStore(t *testing.T) {
	for range 10 {
		concurrentFirstOpen(t, filepath.Join(t.TempDir(), "im.db"))
	}
}

func concurrentFirstOpen(t *testing.T, path string) {
	t.Helper()
	var all sync.WaitGroup
	epochs := make([]string, 4)
	for i := range epochs {
		all.Go(func() {
			s, err := bolt.Open(path, &bolt.Options{LockTimeout: 10 * time.Second})
			if err != nil {
				t.Error(err)
				return
			}
			epochs[i] = epoch(t, s)
			s.Close()
		})
	}
	all.Wait()
	for _, e := range epochs {
		if e == "" || e != epochs[0] {
			t.Fatalf("epochs %q", epochs)
		}
	}
	alone(t, path)
}

func TestWhatAKilledCreationLeftIsSwept(t *testing.T) {
	whole := filled(t)
	for name, content := range map[string][]byte{
		"before anything was written": {},
		"in the first write":          whole[:5000],
		"between the writes":          whole[:4*os.Getpagesize()],
		"before it had its name":      whole,
	} {
		t.Run("killed "+name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "im.db")
			must(t, os.WriteFile(path+".unfinished-123", content, 0o600))
			for range 2 { // the first creates, the second opens
				s := open(t, path, nil)
				alone(t, path)
				must(t, s.Close())
				must(t, os.WriteFile(path+".unfinished-123", content, 0o600))
			}
		})
	}
	t.Run("killed when it had its name", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "im.db")
		s := open(t, path, nil)
		must(t, s.Close())
		must(t, os.Link(path, path+".unfinished-123"))
		s = open(t, path, nil)
		defer s.Close()
		alone(t, path)
	})
	t.Run("what somebody is making, and what others have here, stays", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "im.db")
		db, err := bbolt.Open(path+".unfinished-123", 0o600, nil)
		must(t, err)
		defer db.Close()
		for _, name := range []string{"other.db.unfinished-1", "im.db.new-1", "im.db-unfinished"} {
			must(t, os.WriteFile(filepath.Join(filepath.Dir(path), name), nil, 0o600))
		}
		within(t, 10*time.Second, func() {
			s := open(t, path, nil)
			s.Close()
		})
		entries, err := os.ReadDir(filepath.Dir(path))
		must(t, err)
		if len(entries) != 5 {
			t.Errorf("there are %v", entries)
		}
	})
}

func TestACreationThatWasSweptBeginsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	o := new(bolt.Options)
	swept := false
	o.OnLink(func(from, to string) error {
		if !swept {
			swept = true
			must(t, os.Remove(from))
		}
		return os.Link(from, to)
	})
	s := open(t, path, o)
	defer s.Close()
	must(t, create(s, "g_1"))
	alone(t, path)
}

// Without links a store gets its name by a rename, which would replace.
func TestWithoutLinksNothingIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	noLinks := func(string, string) error { return errors.ErrUnsupported }
	o := new(bolt.Options)
	o.OnLink(noLinks)
	s := open(t, path, o)
	must(t, create(s, "g_1"))
	must(t, s.Close())
	alone(t, path)

	path = filepath.Join(t.TempDir(), "im.db")
	var first string
	o.OnLink(func(string, string) error { // another process is a little faster
		s := open(t, path, nil)
		first = epoch(t, s)
		must(t, s.Close())
		return errors.ErrUnsupported
	})
	s = open(t, path, o)
	defer s.Close()
	if epoch(t, s) != first {
		t.Error("the store of another process was replaced")
	}
	alone(t, path)
}
