package bolt_test

import (
	"context"
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

// visible opens a store whose next commit is written, so that bbolt shows it,
// and returns from its sync, with err, when release is called.
func visible(t *testing.T, err error) (s *bolt.Store, sent chan error, release func()) {
	t.Helper()
	s, openErr := bolt.Open(filepath.Join(t.TempDir(), "im.db"), &bolt.Options{Logger: quiet})
	must(t, openErr)
	t.Cleanup(func() { s.Close() })
	must(t, create(s, "g_1"))
	written, gate := make(chan struct{}), make(chan struct{})
	s.SetCommit(func(tx *bbolt.Tx) error {
		if err := tx.Commit(); err != nil {
			return err
		}
		close(written)
		<-gate
		return err
	})
	sent = make(chan error, 1)
	go func() { sent <- send(s, "g_1", "c", 1, 10) }()
	<-written
	return s, sent, func() { close(gate) }
}

// Nobody is shown what a power cut could still take back: a reader that comes
// between the writing of a commit and the end of its sync waits for that.
func TestNobodySeesWhatIsNotDurable(t *testing.T) {
	reads := map[string]func(*bolt.Store, context.Context) (bool, error){
		"a page": func(s *bolt.Store, ctx context.Context) (bool, error) {
			page, err := s.Messages(ctx, store.MessagesQuery{Conversation: "g_1", Limit: 10})
			return len(page.Messages) == 1, err
		},
		"changes": func(s *bolt.Store, ctx context.Context) (bool, error) {
			page, err := s.Changes(ctx, store.ChangesQuery{Conversation: "g_1", Limit: 10})
			return len(page.Messages) == 1, err
		},
		"the head": func(s *bolt.Store, ctx context.Context) (bool, error) {
			head, _, err := s.Conversation(ctx, "g_1", "")
			return head.Seq == 1, err
		},
		"the feed": func(s *bolt.Store, ctx context.Context) (bool, error) {
			changes, err := s.Feed(ctx, 0, 10)
			return len(changes) == 2, err
		},
	}
	for name, read := range reads {
		t.Run(name, func(t *testing.T) {
			s, sent, release := visible(t, nil)
			type answer struct {
				new bool
				err error
			}
			answered := make(chan answer, 1)
			go func() {
				got, err := read(s, ctx)
				answered <- answer{got, err}
			}()
			select {
			case a := <-answered:
				t.Errorf("answered before the sync: %+v", a)
				answered <- a
			case <-time.After(50 * time.Millisecond): // of real waiting: nothing happens
			}
			release()
			if a := <-answered; a.err != nil || !a.new {
				t.Errorf("%+v", a)
			}
			must(t, <-sent)
		})
		t.Run(name+", and the sync fails", func(t *testing.T) {
			s, sent, release := visible(t, syscall.EIO)
			answered := make(chan error, 1)
			go func() {
				_, err := read(s, ctx)
				answered <- err
			}()
			release()
			if err := <-sent; err == nil {
				t.Error("acknowledged")
			}
			if err := <-answered; err == nil {
				t.Error("answered with what may never have reached the disk")
			}
		})
	}
	t.Run("and nobody waits for longer than he likes", func(t *testing.T) {
		s, sent, release := visible(t, nil)
		brief, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := s.Info(brief); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		release()
		must(t, <-sent)
	})
}
