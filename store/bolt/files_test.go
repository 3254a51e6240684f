package bolt_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

var (
	ctx   = context.Background()
	quiet = slog.New(slog.NewTextHandler(io.Discard, nil))
)

// send appends n messages of one sender and returns the errors of their items.
func send(s store.Store, conversation, serial string, n, size int) error {
	items := make([]store.Append, n)
	for i := range items {
		items[i] = store.Append{As: store.AsMember, Message: store.Message{
			Conversation: conversation, From: "alice", ID: "m", Type: "text", Time: 1,
			ClientID: fmt.Sprintf("%s-%d", serial, i), Content: []byte(strings.Repeat("x", size)),
		}}
	}
	results, err := s.Append(ctx, items)
	for _, r := range results {
		err = errors.Join(err, r.Err)
	}
	return err
}

func create(s store.Store, id string) error {
	_, err := s.Create(ctx, store.NewConversation{
		ID: id, Kind: store.Group, Time: 1, Members: []store.NewMember{{User: "alice", Role: store.Owner}, {User: "bob"}},
	})
	return err
}

const conversations = 8

// filled writes a store with some of everything and returns the used bytes of
// its file.
func filled(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "im.db")
	s := open(t, path, nil)
	for c := range conversations {
		id := fmt.Sprint("g_", c)
		must(t, create(s, id))
		must(t, send(s, id, id, 100, 200))
		_, err := s.Amend(ctx, id, 7, func(m *store.Message) error { m.EditedAt = 5; return nil })
		must(t, err)
	}
	_, err := s.WriteRecords(ctx, []store.RecordWrite{{Namespace: "n", Key: "k", Value: []byte("v")}})
	must(t, err)
	must(t, s.Close())
	var used int64
	db, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.View(func(tx *bbolt.Tx) error { used = tx.Size(); return nil }))
	must(t, db.Close())
	data, err := os.ReadFile(path)
	must(t, err)
	return data[:used]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within fails the test where f hangs.
func within(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("still running after %v", d)
	}
}

// use calls everything that reads and something that writes.
func use(s *bolt.Store) error {
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	for c := range conversations {
		id := fmt.Sprint("g_", c)
		_, err := s.Messages(ctx, store.MessagesQuery{Conversation: id, Limit: 1000})
		note(err)
		_, err = s.Changes(ctx, store.ChangesQuery{Conversation: id, Limit: 1000})
		note(err)
		_, err = s.Members(ctx, store.MembersQuery{Conversation: id, Limit: 1000})
		note(err)
		_, err = s.Lookup(ctx, "alice", id+"-3", store.Fingerprint{})
		note(err)
	}
	_, err := s.Feed(ctx, 0, 10_000)
	note(err)
	_, err = s.Sync(ctx, store.SyncQuery{User: "alice", Limit: 100})
	note(err)
	_, err = s.ListRecords(ctx, store.RecordsQuery{Namespace: "n", Limit: 10})
	note(err)
	note(s.Check(ctx))
	note(send(s, "g_1", "after", 3, 50))
	return errors.Join(errs...)
}

func TestDamagedFileIsRefused(t *testing.T) {
	data := filled(t)
	page := os.Getpagesize()
	flip := func(at ...int) []byte {
		d := append([]byte(nil), data...)
		for _, i := range at {
			d[i] ^= 0xff
		}
		return d
	}
	garbage := make([]byte, 1<<20)
	for i := range garbage {
		garbage[i] = byte(rand.Uint32())
	}
	for name, d := range map[string][]byte{
		"empty":                 {},
		"one byte":              data[:1],
		"one page":              data[:page],
		"meta pages only":       data[:2*page],
		"half":                  data[:len(data)/2],
		"both metas flipped":    flip(20, page+20),
		"garbage":               garbage,
		"text":                  []byte(strings.Repeat("not a store\n", 1000)),
		"zeroes":                make([]byte, 1<<20),
		"zeroes after the meta": append(append([]byte(nil), data[:2*page]...), make([]byte, len(data))...),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "im.db")
			must(t, os.WriteFile(path, d, 0o600))
			within(t, 10*time.Second, func() {
				s, err := bolt.Open(path, nil)
				if err == nil {
					s.Close()
					t.Error("opened")
				} else if !strings.Contains(err.Error(), path) {
					t.Errorf("the error does not name the file: %v", err)
				}
				// The lock must be free again for whoever repairs the file.
				f, err := os.Open(path)
				if err == nil {
					err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
					f.Close()
				}
				if err != nil {
					t.Errorf("lock: %v", err)
				}
			})
		})
	}
	t.Run("pages that refer to themselves", func(t *testing.T) {
		d := append([]byte(nil), data...)
		branches := 0
		for at := 2 * page; at < len(d); at += page {
			if d[at+8] == 1 && d[at+9] == 0 && binary.NativeEndian.Uint64(d[at:]) == uint64(at/page) {
				branches++
				copy(d[at+24:at+32], d[at:at+8]) // the first child becomes the page itself
			}
		}
		if branches == 0 {
			t.Fatal("no branch page to damage")
		}
		path := filepath.Join(t.TempDir(), "im.db")
		must(t, os.WriteFile(path, d, 0o600))
		if s, err := bolt.Open(path, nil); err == nil {
			s.Close()
			t.Error("opened")
		}
	})
	t.Run("a directory", func(t *testing.T) {
		if _, err := bolt.Open(t.TempDir(), nil); err == nil {
			t.Error("opened")
		}
	})
	t.Run("one flipped meta is survived", func(t *testing.T) {
		for _, at := range []int{20, page + 20} {
			path := filepath.Join(t.TempDir(), "im.db")
			must(t, os.WriteFile(path, flip(at), 0o600))
			s, err := bolt.Open(path, nil)
			if err != nil {
				continue // the older meta may lead to pages that are used again
			}
			s.Close()
		}
	})
}

func TestFlippedBytesNeverPanicOrHang(t *testing.T) {
	data := filled(t)
	noticed := 0
	const rounds = 100
	for i := range rounds {
		seed := uint64(i)
		r := rand.New(rand.NewPCG(seed, 1))
		d := append([]byte(nil), data...)
		for range 1 + r.IntN(40) {
			at := r.IntN(len(d))
			if r.IntN(2) == 0 { // headers and the first elements of a page
				at = at/4096*4096 + r.IntN(200)
			}
			d[at] ^= byte(1 + r.IntN(255))
		}
		path := filepath.Join(t.TempDir(), "im.db")
		must(t, os.WriteFile(path, d, 0o600))
		within(t, time.Minute, func() {
			s, err := bolt.Open(path, &bolt.Options{Logger: quiet})
			if err != nil {
				noticed++
				return
			}
			if err := use(s); err != nil {
				noticed++
			}
			if n := s.OpenReads(); n != 0 {
				t.Errorf("round %d: %d read transactions are still open", i, n)
			}
			s.Close()
		})
	}
	if noticed < rounds/4 {
		t.Errorf("only %d of %d damaged files were noticed", noticed, rounds)
	}
}

// A small bucket lies in its parent's leaf. What leads out of it there is found
// when the file is opened.
func TestInlineBucketsAreLookedAt(t *testing.T) {
	data := filled(t)
	path := filepath.Join(t.TempDir(), "im.db")
	must(t, os.WriteFile(path, data, 0o600))
	db, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	var root int // where the leaf of the root bucket begins
	must(t, db.View(func(tx *bbolt.Tx) error {
		root = int(tx.Cursor().Bucket().Root()) * db.Info().PageSize
		return nil
	}))
	must(t, db.Close())
	u32 := func(at int) int { return int(binary.NativeEndian.Uint32(data[at:])) }
	inline := 0
	for i := range int(binary.NativeEndian.Uint16(data[root+10:])) {
		elem := root + 16 + 16*i
		value := elem + u32(elem+4) + u32(elem+8)
		if binary.NativeEndian.Uint64(data[value:]) != 0 || binary.NativeEndian.Uint16(data[value+16+10:]) == 0 {
			continue
		}
		inline++
		first := value + 16 + 16 // element of the inline page
		for what, flip := range map[string]struct {
			at   int
			bits byte
		}{
			"page's flags": {value + 16 + 8, 0x7f}, "count": {value + 16 + 11, 0x7f}, "position": {first + 6, 0x7f},
			"key size": {first + 10, 0x7f}, "value size": {first + 14, 0x7f},
		} {
			d := slices.Clone(data)
			d[flip.at] ^= flip.bits
			must(t, os.WriteFile(path, d, 0o600))
			if s, err := bolt.Open(path, &bolt.Options{Logger: quiet}); err == nil {
				t.Errorf("bucket %d: a false %s was not noticed", i, what)
				s.Close()
			}
		}
	}
	if inline == 0 {
		t.Error("no bucket is inline")
	}
}

// Flips in headers and first elements make references that go in circles.
func TestFlippedHeadersNeverPanicOrHang(t *testing.T) {
	data := filled(t)
	path := filepath.Join(t.TempDir(), "im.db")
	r := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		d := append([]byte(nil), data...)
		offset := []int{0, 8, 10, 12, 16, 20, 24, 28, 40}[r.IntN(9)]
		d[r.IntN(len(d)/4096)*4096+offset] ^= []byte{1, 2, 3, 0x80}[r.IntN(4)]
		must(t, os.WriteFile(path, d, 0o600))
		within(t, time.Minute, func() {
			if s, err := bolt.Open(path, &bolt.Options{Logger: quiet}); err == nil {
				use(s)
				s.Close()
			}
		})
	}
}

func TestDamagedRowIsNamed(t *testing.T) {
	s := openUnchecked(t, filepath.Join(t.TempDir(), "im.db"), &bolt.Options{Logger: quiet})
	defer s.Close()
	must(t, create(s, "g_1"))
	must(t, send(s, "g_1", "a", 3, 50))
	must(t, s.Corrupt(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("log"))
		k, v := b.Cursor().Last()
		v = append([]byte(nil), v...)
		v[len(v)/2] ^= 1
		return b.Put(append([]byte(nil), k...), v)
	}))
	_, err := s.Messages(ctx, store.MessagesQuery{Conversation: "g_1", Limit: 10})
	if err == nil || !strings.Contains(err.Error(), "log/0000000000000004") {
		t.Errorf("Messages: %v", err)
	}
	if err := s.Check(ctx); err == nil {
		t.Error("Check found nothing")
	}
}

func TestCheckFindsWhatContradicts(t *testing.T) {
	for bucket, change := range map[string]func(b *bbolt.Bucket, k, v []byte) error{
		"log":           func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) },
		"requests":      func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) },
		"names":         func(b *bbolt.Bucket, k, v []byte) error { return b.Put([]byte("orphan"), v) },
		"memberships":   func(b *bbolt.Bucket, k, _ []byte) error { return b.Put(k, []byte{0}) },
		"memberRevs":    func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) },
		"blocks":        func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) },
		"edits":         func(b *bbolt.Bucket, k, v []byte) error { return b.Put(append(k[:11:11], 0xff), v) },
		"conversations": func(b *bbolt.Bucket, k, _ []byte) error { return b.Delete(k) },
	} {
		t.Run(bucket, func(t *testing.T) {
			s := openUnchecked(t, filepath.Join(t.TempDir(), "im.db"), nil)
			defer s.Close()
			must(t, create(s, "g_1"))
			must(t, send(s, "g_1", "a", 70, 50))
			_, err := s.Amend(ctx, "g_1", 7, func(m *store.Message) error { m.EditedAt = 5; return nil })
			must(t, err)
			must(t, s.Check(ctx))
			must(t, s.Corrupt(func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte(bucket))
				k, v := b.Cursor().Last()
				return change(b, append([]byte(nil), k...), append([]byte(nil), v...))
			}))
			if err := s.Check(ctx); err == nil {
				t.Error("nothing found")
			}
		})
	}
}

func TestSecondOpenerIsToldSoon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	s := open(t, path, nil)
	defer s.Close()
	began := time.Now()
	_, err := bolt.Open(path, &bolt.Options{LockTimeout: 100 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "another process") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	s := openUnchecked(t, path, nil)
	must(t, s.SetSchema(2))
	must(t, s.Close())
	if _, err := bolt.Open(path, nil); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("error %v", err)
	}
}

func TestFailedCommitAcknowledgesNobody(t *testing.T) {
	for name, fail := range map[string]func(*bolt.Store, *os.File){
		"write fails": func(_ *bolt.Store, f *os.File) { f.Close() },
		"sync fails after the pages and the meta are written": func(s *bolt.Store, _ *os.File) {
			s.SetCommit(func(tx *bbolt.Tx) error {
				if err := tx.Commit(); err != nil {
					return err
				}
				return syscall.EIO
			})
		},
		"disk full after the meta is written": func(s *bolt.Store, _ *os.File) {
			s.SetCommit(func(tx *bbolt.Tx) error {
				if err := tx.Commit(); err != nil {
					return err
				}
				return syscall.ENOSPC
			})
		},
		"panic": func(s *bolt.Store, _ *os.File) { s.SetCommit(func(*bbolt.Tx) error { panic("commit") }) },
	} {
		t.Run(name, func(t *testing.T) {
			var file *os.File
			o := &bolt.Options{Logger: quiet}
			o.OnOpenFile(func(f *os.File) { file = f })
			s := open(t, filepath.Join(t.TempDir(), "im.db"), o)
			must(t, create(s, "g_1"))
			must(t, send(s, "g_1", "before", 3, 50))
			fail(s, file)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					if err := send(s, "g_1", fmt.Sprint(i), 1, 50); err == nil {
						t.Error("acknowledged")
					} else if errors.Is(err, store.ErrFull) {
						t.Errorf("says that it is full: %v", err)
					}
				})
			}
			all.Wait()
			s.SetCommit((*bbolt.Tx).Commit)
			if err := send(s, "g_1", "after", 1, 50); err == nil {
				t.Error("acknowledged after a failure of which nobody knows the extent")
			}
			if _, err := s.Info(ctx); err == nil {
				t.Error("reads what may never have reached the disk")
			}
			within(t, 10*time.Second, func() { s.Close() })
		})
	}
}

func TestPanicInChangeHurtsOnlyItsCaller(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "im.db"), nil)
	defer s.Close()
	must(t, create(s, "g_1"))
	_, err := s.Configure(ctx, "g_1", func(*store.Settings) error { panic("change") })
	if err == nil || !strings.Contains(err.Error(), "panicked: change") {
		t.Errorf("error %v", err)
	}
	must(t, send(s, "g_1", "a", 1, 50))
}

func TestContextEndsTheWaitForACommit(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "im.db"), nil)
	must(t, create(s, "g_1"))
	release, entered := make(chan struct{}), make(chan struct{})
	s.SetCommit(func(tx *bbolt.Tx) error { close(entered); <-release; return tx.Commit() })
	short, cancel := context.WithCancel(ctx)
	got := make(chan error)
	go func() {
		_, err := s.Configure(short, "g_1", func(v *store.Settings) error { v.Title = "committed"; return nil })
		got <- err
	}()
	<-entered
	go func() {
		_, err := s.Configure(short, "g_1", func(v *store.Settings) error { v.Title = "never begun"; return nil })
		got <- err
	}()
	cancel()
	for range 2 {
		if err := <-got; !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
	close(release)
	must(t, s.Close())
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []bolt.Options{{LockTimeout: -1}, {InitialMmapSize: -1}, {MaxSizeBytes: -1}, {MaxSizeBytes: 4096}} {
		if s, err := bolt.Open(filepath.Join(t.TempDir(), "im.db"), &o); err == nil {
			s.Close()
			t.Errorf("%+v accepted", o)
		}
	}
}
