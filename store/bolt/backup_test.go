package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

func backup(t *testing.T, s *bolt.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, s.Backup(ctx, &b))
	return b.Bytes()
}

// restored restores a backup and opens it.
func restored(t *testing.T, backup []byte) *bolt.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "im.db")
	must(t, bolt.Restore(ctx, path, bytes.NewReader(backup), nil))
	alone(t, path)
	s := open(t, path, nil)
	t.Cleanup(func() { s.Close() })
	must(t, s.Check(ctx))
	return s
}

// messages returns all that a conversation has.
func messages(t *testing.T, s store.Store, id string) []store.Message {
	t.Helper()
	page, err := s.Messages(ctx, store.MessagesQuery{Conversation: id, Anchor: store.After, Limit: 1 << 20})
	must(t, err)
	return page.Messages
}

func TestABackupHoldsWhatTheStoreDoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	must(t, os.WriteFile(path, filled(t), 0o600))
	s := open(t, path, nil)
	defer s.Close()
	data := backup(t, s)
	alone(t, path)
	r := restored(t, data)
	for c := range conversations {
		id := fmt.Sprint("g_", c)
		want, got := messages(t, s, id), messages(t, r, id)
		if fmt.Sprint(got) != fmt.Sprint(want) || len(want) != 100 {
			t.Errorf("%s differs", id)
		}
	}
	before, err := s.Info(ctx)
	must(t, err)
	after, err := r.Info(ctx)
	must(t, err)
	if after.Version != before.Version || after.Position != before.Position {
		t.Errorf("%+v and %+v", before, after)
	}
	must(t, use(r))
	receipt, err := r.Lookup(ctx, "alice", "g_1-3", store.Fingerprint{})
	must(t, err)
	if receipt.Seq != 4 {
		t.Errorf("the receipt of then: %+v", receipt)
	}
}

func TestEveryRestoreIsAnotherHistory(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "im.db"), nil)
	defer s.Close()
	data := backup(t, s)
	seen := map[string]bool{}
	for _, s := range []*bolt.Store{s, restored(t, data), restored(t, data)} {
		info, err := s.Info(ctx)
		must(t, err)
		seen[info.Epoch], seen[string(info.Key)] = true, true
	}
	if len(seen) != 6 {
		t.Errorf("three stores have %d epochs and keys", len(seen))
	}
}

// What was acknowledged before Backup is in it, whoever writes meanwhile.
func TestABackupUnderWritersIsOneCommit(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "im.db"), nil)
	defer s.Close()
	const writers, backups = 8, 5
	var acked [writers]atomic.Int64
	for w := range writers {
		must(t, create(s, fmt.Sprint("g_", w)))
	}
	done, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			id := fmt.Sprint("g_", w)
			for n := 0; done.Err() == nil; n++ {
				if err := send(s, id, fmt.Sprint(id, "-", n), 1, 100+n%300); err != nil {
					t.Error(err)
					return
				}
				acked[w].Store(int64(n + 1))
				if n%10 == 0 {
					if _, err := s.Amend(ctx, id, 1+int64(n/2), func(m *store.Message) error { m.EditedAt++; return nil }); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	type taken struct {
		acked [writers]int64
		data  []byte
	}
	var copies []taken
	for round := range backups {
		for acked[0].Load() < int64(20*round+5) && !t.Failed() {
			runtime.Gosched()
		}
		var c taken
		for w := range writers {
			c.acked[w] = acked[w].Load()
		}
		var b bytes.Buffer
		must(t, s.Backup(&paced{Context: ctx, wait: func() {
			for n := acked[1].Load(); acked[1].Load() < n+3 && !t.Failed(); runtime.Gosched() {
			}
		}}, &b))
		c.data = b.Bytes()
		copies = append(copies, c)
	}
	stop()
	all.Wait()
	for _, c := range copies {
		r := restored(t, c.data) // which checks it
		for w := range writers {
			id := fmt.Sprint("g_", w)
			got := messages(t, r, id)
			if int64(len(got)) < c.acked[w] {
				t.Errorf("%s: %d messages, %d were acknowledged before", id, len(got), c.acked[w])
			}
			for i, m := range got {
				want := strings.Repeat("x", 100+i%300)
				if m.Seq != int64(i+1) || m.ClientID != fmt.Sprintf("%s-%d-0", id, i) || string(m.Content) != want {
					t.Fatalf("%s: message %d is %d %q", id, i+1, m.Seq, m.ClientID)
				}
			}
		}
	}
}

// paced is a context that makes whoever asks it wait: between any two pieces of
// the file that a backup copies, others commit.
type paced struct {
	context.Context
	wait func()
}

func (p *paced) Err() error {
	p.wait()
	return p.Context.Err()
}

// blocked is a writer that waits for the test after its first bytes.
type blocked struct {
	bytes.Buffer
	entered, release chan struct{}
	once             sync.Once
}

func (b *blocked) Write(p []byte) (int, error) {
	b.once.Do(func() { close(b.entered); <-b.release })
	return b.Buffer.Write(p)
}

func TestASlowReaderOfABackupHoldsUpNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	// A mapping that must grow waits for every open read.
	s := open(t, path, &bolt.Options{InitialMmapSize: 1})
	must(t, create(s, "g_1"))
	w := &blocked{entered: make(chan struct{}), release: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- s.Backup(ctx, w) }()
	<-w.entered
	if n := s.OpenReads(); n != 0 {
		t.Errorf("%d read transactions are open", n)
	}
	must(t, send(s, "g_1", "meanwhile", 200, 10_000))
	must(t, s.Close()) // and not even this waits
	close(w.release)
	must(t, <-done)
	alone(t, path)
	if got := messages(t, restored(t, w.Bytes()), "g_1"); len(got) != 0 {
		t.Errorf("%d messages from after the snapshot", len(got))
	}
}

func TestABackupThatFailsSaysWhyAndLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	must(t, os.WriteFile(path, filled(t), 0o600))
	s := open(t, path, nil)
	broken := errors.New("the line is cut")
	for _, after := range []int{0, 1, 5000, 100_000} {
		if err := s.Backup(ctx, &failing{left: after, err: broken}); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", after, err)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	if err := s.Backup(ended, writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil })); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ends: %v", err)
	}
	if err := s.Backup(ended, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	alone(t, path)
	must(t, s.Close())
	if err := s.Backup(ctx, io.Discard); !errors.Is(err, store.ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
}

type failing struct {
	left int
	err  error
}

func (f *failing) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, f.err
	}
	return len(b), nil
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestABackupIsNoStore(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "im.db"), nil)
	defer s.Close()
	path := filepath.Join(t.TempDir(), "im.db")
	data := backup(t, s)
	must(t, os.WriteFile(path, data, 0o600))
	if s, err := bolt.Open(path, nil); err == nil {
		s.Close()
		t.Fatal("opened, with the epoch of the store that it was made of")
	} else if !strings.Contains(err.Error(), "backup") {
		t.Errorf("the error does not say what it is: %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, data) {
		t.Errorf("it was changed: %v", err)
	}
}

func TestWhatIsNoBackupIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	must(t, os.WriteFile(path, filled(t), 0o600))
	s := open(t, path, nil)
	defer s.Close()
	data := backup(t, s)
	cases := map[string][]byte{
		"empty":                   {},
		"a store":                 data[16 : len(data)-48],
		"text":                    []byte(strings.Repeat("not a backup\n", 1000)),
		"zeroes":                  make([]byte, len(data)),
		"a byte more":             append(slices.Clone(data), 0),
		"itself again":            append(slices.Clone(data), data...),
		"a trailer more":          append(slices.Clone(data), data[len(data)-48:]...),
		"without its header":      data[16:],
		"a page less":             append(slices.Clone(data[:len(data)-48-4096]), data[len(data)-48:]...),
		"a page more":             append(append(slices.Clone(data[:len(data)-48]), make([]byte, 4096)...), data[len(data)-48:]...),
		"a newer form of backups": slices.Concat([]byte("h5im backup\n\x00\x00\x00\x02"), data[16:]),
	}
	for _, n := range []int{1, 11, 12, 15, 16, 17, 63, 64, 65, 4096, 8192 + 16, len(data) / 2, len(data) - 49, len(data) - 48, len(data) - 47, len(data) - 40, len(data) - 32, len(data) - 1} {
		cases[fmt.Sprintf("cut to %d of %d", n, len(data))] = data[:n]
	}
	for _, at := range []int{0, 11, 12, 15, 16, 36, 4096 + 36, 20_000, len(data) / 2, len(data) - 49, len(data) - 48, len(data) - 41, len(data) - 40, len(data) - 33, len(data) - 32, len(data) - 1} {
		d := slices.Clone(data)
		d[at] ^= 1
		cases[fmt.Sprintf("a bit of byte %d of %d flipped", at, len(data))] = d
	}
	for name, d := range cases {
		for _, replace := range []bool{false, true} {
			dir := t.TempDir()
			path := filepath.Join(dir, "im.db")
			if replace {
				must(t, os.WriteFile(path, []byte("what was there"), 0o600))
			}
			err := bolt.Restore(ctx, path, bytes.NewReader(d), &bolt.RestoreOptions{Replace: replace})
			if !errors.Is(err, bolt.ErrBackup) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", name, err)
			}
			if replace {
				alone(t, path)
				if was, _ := os.ReadFile(path); string(was) != "what was there" {
					t.Errorf("%s: replaced", name)
				}
			} else if entries, _ := os.ReadDir(dir); len(entries) != 0 {
				t.Errorf("%s: left %v", name, entries)
			}
		}
	}
}

func TestARestoreChecksTheStore(t *testing.T) {
	for name, corrupt := range map[string]func(*bolt.Store) error{
		"a newer version": func(s *bolt.Store) error { return s.SetSchema(99) },
		"contradicts": func(s *bolt.Store) error {
			return s.Corrupt(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("names")).Put([]byte("orphan"), []byte{0, 0, 0, 1}) })
		},
		"is no store": func(s *bolt.Store) error {
			return s.Corrupt(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("log")) })
		},
	} {
		s := openUnchecked(t, filepath.Join(t.TempDir(), "im.db"), nil)
		must(t, create(s, "g_1"))
		must(t, corrupt(s))
		data := backup(t, s)
		must(t, s.Close())
		dir := t.TempDir()
		err := bolt.Restore(ctx, filepath.Join(dir, "im.db"), bytes.NewReader(data), nil)
		if err == nil || errors.Is(err, bolt.ErrBackup) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 0 {
			t.Errorf("%s: left %v", name, entries)
		}
	}
}
