package im_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

// The default store on a real disk.
func TestOnDisk(t *testing.T) {
	t.Run("a restart keeps messages, receipts, cursors and the epoch", func(t *testing.T) { // [P52] [P100]
		dir := t.TempDir()
		srv := setup(t, im.Config{DataDir: dir})
		alice := srv.Connect("alice")
		first := send(t, alice, im.ToUser("bob"), "c1", "before")
		_, cursor, _ := catchUp(t, alice, "", 0)
		must(t, srv.Shutdown(ctx))

		srv = setup(t, im.Config{DataDir: dir})
		alice = srv.Connect("alice")
		again := send(t, alice, im.ToUser("bob"), "c1", "before")
		if !again.Duplicate || again.Seq != first.Seq || again.ID != first.ID {
			t.Errorf("first %+v, again %+v", first, again)
		}
		if rows, _, reset := catchUp(t, alice, cursor, 0); reset || len(rows) != 0 {
			t.Errorf("reset %v, %d rows", reset, len(rows))
		}
		send(t, alice, im.ToUser("bob"), "c2", "after")
		rows, _, reset := catchUp(t, alice, cursor, 0)
		if reset || len(rows) != 1 || rows[0].Seq != 2 {
			t.Errorf("reset %v, %+v", reset, rows)
		}
	})
	t.Run("a second server on the same file fails at start and says why", func(t *testing.T) {
		dir := t.TempDir()
		setup(t, im.Config{DataDir: dir})
		_, err := im.New(im.Config{AppID: "x", Auth: im.AuthenticatorFunc(imtest.TokenIsUser), DataDir: dir})
		if err == nil || !strings.Contains(err.Error(), "im.db") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a damaged file fails at start and says why", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "im.db"), []byte(strings.Repeat("this is no database. ", 5000)), 0o600))
		_, err := im.New(im.Config{AppID: "x", Auth: im.AuthenticatorFunc(imtest.TokenIsUser), DataDir: dir})
		if err == nil || !strings.Contains(err.Error(), "im.db") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a data directory that cannot be made fails at start and says why", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(file, nil, 0o600))
		_, err := im.New(im.Config{AppID: "x", Auth: im.AuthenticatorFunc(imtest.TokenIsUser), DataDir: filepath.Join(file, "data")})
		if err == nil {
			t.Error("no error")
		}
	})
	t.Run("a full disk refuses sends, loses nothing, and reading goes on", func(t *testing.T) {
		s, err := bolt.Open(filepath.Join(t.TempDir(), "im.db"), &bolt.Options{MaxSizeBytes: 2 << 20})
		must(t, err)
		defer s.Close()
		srv := setup(t, im.Config{Store: s})
		alice := srv.Connect("alice")
		sent := 0
		for ; sent < 10_000; sent++ {
			err = alice.Call("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: fmt.Sprint("c", sent), Content: im.Text(strings.Repeat("x", 10_000))}, nil)
			if err != nil {
				break
			}
		}
		if e := refused(t, err, im.ErrUnavailable); e.RetryAfter <= 0 {
			t.Errorf("%+v says nothing of when to try again", e)
		}
		var r im.ListResult
		must(t, alice.Call("message.list", im.ListParams{Conversation: im.DirectID("alice", "bob"), Limit: 1}, &r))
		if r.To != int64(sent) {
			t.Errorf("%d were acknowledged, %d are there", sent, r.To)
		}
	})
}

// A store that fails must not be answered as a success, nor its text be told.
func TestFailingStore(t *testing.T) { // [P39] [P60]
	srv := setup(t, im.Config{Store: failing{}})
	_, err := im.Call[im.SendParams, im.SendResult](ctx, srv.As(im.Identity{User: "alice"}), "message.send",
		im.SendParams{To: im.ToConversation("g"), ClientID: "c", Content: im.Text("x")})
	if e := refused(t, err, im.ErrInternal); e.Incident == "" || strings.Contains(e.Message, "disk") {
		t.Errorf("%+v", e)
	}
}

type failing struct{ store.Store }

func (failing) Info(context.Context) (store.Info, error) {
	return store.Info{Epoch: "e", Key: make([]byte, 32)}, nil
}

func (failing) Lookup(context.Context, string, string, store.Fingerprint) (store.Receipt, error) {
	return store.Receipt{}, store.ErrNotFound
}

func (failing) Append(context.Context, []store.Append) ([]store.Appended, error) {
	return nil, fmt.Errorf("disk sector 7 is bad")
}
