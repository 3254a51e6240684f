package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
	"example.com/h5im/store/memory"
	"example.com/h5im/store/storetest"
)

func TestCompactGivesBackTheRoomOfWhatWasPruned(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	s := open(t, path, nil)
	must(t, create(s, "g_1"))
	must(t, create(s, "g_2"))
	for i := range 200 {
		must(t, send(s, "g_1", fmt.Sprint("a", i), 50, 300))
		must(t, send(s, "g_2", fmt.Sprint("b", i), 10, 300))
		for _, id := range []string{"g_1", "g_2"} {
			_, err := s.Amend(ctx, id, int64(i+1), func(m *store.Message) error { m.EditedAt = 1; return nil })
			must(t, err)
		}
	}
	must(t, s.Compact(ctx)) // what bbolt had set aside does not count
	full := size(t, path)
	prune(t, s, "g_1", 9_000)
	before := everything(t, s)
	must(t, s.Compact(ctx))
	if now := size(t, path); now > full/2 {
		t.Errorf("%d bytes of %d are left of a quarter of the messages", now, full)
	}
	same := func(when string) {
		t.Helper()
		if after := everything(t, s); after != before {
			t.Errorf("%s: another content:\n%s\nbefore:\n%s", when, after, before)
		}
		must(t, s.Check(ctx))
	}
	same("after it")
	if left := unfinished(t, path); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	if _, err := bolt.Open(path, &bolt.Options{LockTimeout: 1, Logger: quiet}); err == nil {
		t.Error("another process could open the file")
	}
	var backup bytes.Buffer
	must(t, s.Backup(ctx, &backup))
	must(t, s.Compact(ctx))
	same("after the second")
	must(t, send(s, "g_1", "later", 3, 300))
	before = everything(t, s)
	must(t, s.Close())
	s = open(t, path, nil)
	same("opened again")
	must(t, s.Close())
	must(t, bolt.Restore(ctx, filepath.Join(t.TempDir(), "restored.db"), &backup, nil))
}

// Rule: whatever is written while the store is compacted is as if it were not.
func TestCompactUnderWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	s := open(t, path, nil)
	reference := memory.New(nil)
	defer reference.Close()
	for _, id := range []string{"g_0", "g_1", "g_2", "g_3"} {
		for _, one := range []store.Store{s, reference} {
			_, err := one.Create(ctx, store.NewConversation{ID: id, Kind: store.Group, Members: []store.NewMember{{User: "alice"}, {User: "bob"}}})
			must(t, err)
		}
	}
	var stop atomic.Bool
	var writers sync.WaitGroup
	for w := range 4 { // each in its conversation, in the same order in both
		writers.Go(func() {
			id, r := fmt.Sprint("g_", w), rand.New(rand.NewPCG(uint64(w), 1))
			for i := 1; !stop.Load() || i < 500; i++ {
				act(t, r, id, i, s, reference)
			}
		})
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				page, err := s.Messages(ctx, store.MessagesQuery{Conversation: "g_0", Limit: 100})
				if err != nil {
					t.Error(err)
					return
				}
				for i, m := range page.Messages {
					if m.Seq != page.From+int64(i) {
						t.Errorf("seq %d at place %d of %d..%d", m.Seq, i, page.From, page.To)
					}
				}
			}
		})
	}
	for range 15 {
		must(t, s.Compact(ctx))
	}
	stop.Store(true)
	writers.Wait()
	readers.Wait()
	must(t, s.Check(ctx))
	if got, want := content(t, s), content(t, reference); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	must(t, s.Close())
	s = open(t, path, nil)
	if got, want := content(t, s), content(t, reference); got != want {
		t.Error("opened again it is another")
	}
	must(t, s.Close())
}

// act does the same to both.
func act(t *testing.T, r *rand.Rand, id string, i int, stores ...store.Store) {
	seq, kind, before := r.Int64N(int64(i))+1, r.IntN(20), store.Millis(r.IntN(i))
	for _, s := range stores {
		var err error
		switch {
		case kind < 2:
			_, err = s.Amend(ctx, id, seq, func(m *store.Message) error { m.EditedAt++; return nil })
		case kind < 3:
			_, err = s.Prune(ctx, store.PruneQuery{Conversation: id, Before: before, Forget: before / 2, Limit: 20})
		case kind < 5:
			_, err = s.Mark(ctx, store.Mark{Conversation: id, User: "bob", Read: seq})
		case kind < 6:
			_, err = s.ChangeMembers(ctx, store.MembersChange{Conversation: id, Time: 1, Add: []store.NewMember{{User: fmt.Sprint("user", seq)}}})
		case kind < 7:
			_, err = s.WriteRecords(ctx, []store.RecordWrite{{Namespace: id, Key: fmt.Sprint(seq % 50), Value: []byte(id), Delete: seq%3 == 0}})
		default:
			var a []store.Appended
			a, err = s.Append(ctx, []store.Append{{Message: store.Message{
				Conversation: id, From: "alice", ClientID: fmt.Sprint(id, i), ID: "m", Type: "text", Time: store.Millis(i), Content: []byte(`{"text":"x"}`),
			}}})
			if err == nil {
				err = a[0].Err
			}
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	}
}

// content is all of a store that does not depend on how its commits interleaved.
func content(t *testing.T, s store.Store) string {
	t.Helper()
	var b strings.Builder
	heads, err := s.Conversations(ctx, "", 100)
	must(t, err)
	for _, h := range heads {
		h.Version = 0
		fmt.Fprintf(&b, "%+v\n", h)
		page, err := s.Messages(ctx, store.MessagesQuery{Conversation: h.ID, Anchor: store.After, Limit: math.MaxInt})
		must(t, err)
		for _, m := range page.Messages {
			fmt.Fprintf(&b, "%+v\n", m)
		}
		changes, err := s.Changes(ctx, store.ChangesQuery{Conversation: h.ID, Limit: math.MaxInt})
		must(t, err)
		for _, m := range changes.Messages {
			fmt.Fprint(&b, m.Seq, " ")
		}
		members, err := s.Members(ctx, store.MembersQuery{Conversation: h.ID, Since: 1, Limit: math.MaxInt})
		must(t, err)
		for _, m := range members.Members {
			m.Version = 0
			fmt.Fprintf(&b, "\n%+v", m)
		}
		records, err := s.ListRecords(ctx, store.RecordsQuery{Namespace: h.ID, Limit: math.MaxInt})
		must(t, err)
		for _, r := range records {
			r.Revision = 0
			fmt.Fprintf(&b, "\n%+v", r)
		}
	}
	return b.String()
}

// everything is content with the feed and the counters of the store.
func everything(t *testing.T, s store.Store) string {
	t.Helper()
	info, err := s.Info(ctx)
	must(t, err)
	changes, err := s.Feed(ctx, 0, math.MaxInt)
	must(t, err)
	var b strings.Builder
	for _, c := range changes {
		fmt.Fprintln(&b, c.Position, c.Kind, c.Conversation)
	}
	return fmt.Sprint(content(t, s), info.Epoch, info.Version, info.Position, b.String())
}

// prune forgets n messages: everything that the helpers send has the time 1.
func prune(t *testing.T, s store.Store, id string, n int) {
	t.Helper()
	p, err := s.Prune(ctx, store.PruneQuery{Conversation: id, Before: 2, Forget: 2, Limit: n})
	must(t, err)
	if p.Messages != n {
		t.Fatalf("%d messages are pruned", p.Messages)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

func unfinished(t *testing.T, path string) []string {
	t.Helper()
	left, err := filepath.Glob(path + ".unfinished-*")
	must(t, err)
	return left
}

// Rule: on an error, and on a context that ends, the file stays what it was, the
// copy is gone, and the store goes on.
func TestCompactThatFails(t *testing.T) {
	errDisk := errors.New("the disk is on fire")
	for name, c := range map[string]struct {
		fail func(cancel func()) error // when the second file is opened
		want error
	}{
		"no second file": {func(func()) error { return errDisk }, errDisk},
		"no room":        {func(func()) error { return syscall.ENOSPC }, store.ErrFull},
		"cancelled":      {func(cancel func()) error { cancel(); return nil }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "im.db")
			stop, cancel := context.WithCancel(ctx)
			defer cancel()
			armed := false
			o := &bolt.Options{Logger: quiet}
			o.FailOpenFile(func() error {
				if !armed {
					return nil
				}
				return c.fail(cancel)
			})
			s := open(t, path, o)
			must(t, create(s, "g_1"))
			must(t, send(s, "g_1", "a", 100, 300))
			before := everything(t, s)
			armed = true
			if err := s.Compact(stop); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			armed = false
			if left := unfinished(t, path); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
			if after := everything(t, s); after != before {
				t.Error("another content")
			}
			must(t, send(s, "g_1", "b", 10, 300))
			must(t, s.Compact(ctx))
			must(t, s.Close())
			if err := s.Compact(ctx); !errors.Is(err, store.ErrClosed) {
				t.Errorf("closed: %v", err)
			}
		})
	}
}

// Rule: as long as a power cut may bring the old file back, nothing is
// acknowledged that is in the new one only.
func TestCompactMakesTheNewNameDurable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	syncing, synced := make(chan struct{}), make(chan error)
	o := &bolt.Options{Logger: quiet}
	o.OnSyncDir(func(string) error {
		close(syncing)
		return <-synced
	})
	s := open(t, path, o)
	must(t, create(s, "g_1"))
	must(t, send(s, "g_1", "a", 100, 300))
	before := everything(t, s)
	compacted, sent := make(chan error, 1), make(chan error, 1)
	go func() { compacted <- s.Compact(ctx) }()
	<-syncing
	go func() { sent <- send(s, "g_1", "b", 1, 300) }()
	select {
	case err := <-sent:
		t.Fatalf("acknowledged (%v) before the name was durable", err)
	case <-time.After(50 * time.Millisecond): // a disk is in no bubble
	}
	errDisk := errors.New("the disk is on fire")
	synced <- errDisk
	if err := <-compacted; !errors.Is(err, errDisk) {
		t.Errorf("Compact: %v", err)
	}
	if err := <-sent; !errors.Is(err, errDisk) {
		t.Errorf("a send under a name that may not last: %v", err)
	}
	must(t, s.Close())
	s = open(t, path, nil)
	if after := everything(t, s); after != before {
		t.Error("another content")
	}
	must(t, send(s, "g_1", "c", 1, 300))
	must(t, s.Close())
}

// Rule: closing in the middle ends it, one way or the other.
func TestCloseWhileCompacting(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "im.db")
		s := open(t, path, nil)
		must(t, create(s, "g_1"))
		must(t, send(s, "g_1", "a", 500, 300))
		before := everything(t, s)
		ended := make(chan error)
		go func() { ended <- s.Compact(ctx) }()
		must(t, s.Close())
		if err := <-ended; err != nil && !errors.Is(err, store.ErrClosed) {
			t.Fatal(err)
		}
		s = open(t, path, nil)
		if after := everything(t, s); after != before {
			t.Fatal("another content")
		}
		must(t, s.Close())
		if left := unfinished(t, path); len(left) > 0 {
			t.Fatalf("it left %v", left)
		}
	}
}

// Rule: a store that is compacted again and again keeps the contract.
func TestStoreWhileCompacting(t *testing.T) {
	h := harness
	h.Open = func(tb testing.TB) store.Store {
		s := harness.Open(tb)
		compacting(tb, s)
		return s
	}
	h.Reopen = func(tb testing.TB, s store.Store) store.Store {
		again := harness.Reopen(tb, s)
		compacting(tb, again)
		return again
	}
	h.Check = func(tb testing.TB, s store.Store) {
		if err := s.(*bolt.Store).Check(context.Background()); err != nil {
			tb.Error(err)
		}
	}
	h.Group = nil // a compaction comes between the writes of a group
	storetest.Run(t, h)
	storetest.Compare(t, h, func(testing.TB) store.Store { return memory.New(nil) })
}

// compacting compacts a store until it is closed.
func compacting(tb testing.TB, s store.Store) {
	go func() {
		for {
			if err := s.(*bolt.Store).Compact(context.Background()); err != nil {
				if !errors.Is(err, store.ErrClosed) {
					tb.Error(err)
				}
				return
			}
		}
	}()
}
