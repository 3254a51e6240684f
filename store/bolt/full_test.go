package bolt_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

// testFull fills a store until it is full, and looks that nothing is lost.
func testFull(t *testing.T, path string, o *bolt.Options, makeRoom func(*bolt.Options)) {
	s := open(t, path, o)
	must(t, create(s, "g_1"))
	stored := int64(0)
	var full error
	for i := 0; full == nil && i < 10_000; i++ {
		if full = send(s, "g_1", fmt.Sprint(i), 5, 2000); full == nil {
			stored += 5
		}
	}
	if !errors.Is(full, store.ErrFull) {
		t.Fatalf("after %d messages: %v", stored, full)
	}
	look := func() {
		t.Helper()
		c, _, err := s.Conversation(ctx, "g_1", "")
		must(t, err)
		if c.Seq != stored {
			t.Errorf("%d messages, %d were acknowledged", c.Seq, stored)
		}
		must(t, s.Check(ctx))
	}
	look()
	if o.MaxSizeBytes > 0 {
		info, err := os.Stat(path)
		must(t, err)
		if info.Size() > o.MaxSizeBytes {
			t.Errorf("the file has %d bytes, more than %d", info.Size(), o.MaxSizeBytes)
		}
		must(t, s.Close())
		makeRoom(o)
		s = open(t, path, o)
	} else {
		makeRoom(o) // and the same store goes on
	}
	must(t, send(s, "g_1", "room", 5, 2000))
	stored += 5
	look()
	must(t, s.Close())
}

func TestFullIsAnErrorAndLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "im.db")
	testFull(t, path, &bolt.Options{MaxSizeBytes: 2 << 20, Logger: quiet}, func(o *bolt.Options) { o.MaxSizeBytes *= 2 })
}

func TestFullCommitFailsEveryItemOfIt(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "im.db"), &bolt.Options{Logger: quiet})
	defer s.Close()
	must(t, create(s, "g_1"))
	s.SetCommit(func(tx *bbolt.Tx) error { tx.Rollback(); return syscall.ENOSPC })
	results, err := s.Append(ctx, []store.Append{
		{Message: store.Message{Conversation: "g_1", From: "alice", ID: "m", Type: "text", ClientID: "1"}},
		{Message: store.Message{Conversation: "g_1", From: "alice", ID: "m", Type: "text", ClientID: "2"}},
	})
	must(t, err)
	for _, r := range results {
		if !errors.Is(r.Err, store.ErrFull) || r.Receipt.Seq != 0 {
			t.Errorf("%+v", r)
		}
	}
	s.SetCommit((*bbolt.Tx).Commit)
	must(t, send(s, "g_1", "room", 1, 50))
	if c, _, _ := s.Conversation(ctx, "g_1", ""); c.Seq != 1 || c.Version != 2 {
		t.Errorf("the failed items left something: %+v", c)
	}
}
