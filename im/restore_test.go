package im_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"example.com/h5im/im"
	"example.com/h5im/im/wire"
	"example.com/h5im/store/bolt"
	"example.com/h5im/transport"
)

// A server on a restored backup tells a new history: whoever had seen the old
// one gets it whole, however far either has come.
func TestARestoredBackupResets(t *testing.T) { // [P46] [P73] [P76]
	live, err := bolt.Open(filepath.Join(t.TempDir(), "im.db"), nil)
	must(t, err)
	defer live.Close()
	srv := setup(t, im.Config{Store: live})
	alice := srv.Connect("alice")
	said := map[int64][]byte{}
	for i := range 10 {
		r := send(t, alice, im.ToUser("bob"), fmt.Sprint("c", i), fmt.Sprint("before ", i, " 語"))
		said[r.Seq] = im.Text(fmt.Sprint("before ", i, " 語"))
	}
	var copied bytes.Buffer
	must(t, live.Backup(ctx, &copied))
	for i := range 10 {
		send(t, alice, im.ToUser("bob"), fmt.Sprint("late", i), "lost with the restore")
	}
	_, cursor, _ := catchUp(t, alice, "", 0)
	before, err := live.Info(ctx)
	must(t, err)

	path := filepath.Join(t.TempDir(), "im.db")
	must(t, bolt.Restore(ctx, path, &copied, nil))
	restored, err := bolt.Open(path, nil)
	must(t, err)
	defer restored.Close()
	srv = setup(t, im.Config{Store: restored})
	alice = srv.Connect("alice")
	var opened wire.OpenResult
	must(t, srv.Dial(transport.JSON).Call("session.open", wire.OpenParams{AppID: "test", Token: "bob", Device: "d"}, &opened))
	if opened.Epoch == before.Epoch {
		t.Error("session.open answers the epoch of before")
	}
	resets := func(version int64) {
		t.Helper()
		rows, _, reset := catchUp(t, alice, cursor, 0)
		if !reset || len(rows) != 1 || rows[0].Peer != "bob" {
			t.Errorf("version %d, the cursor is of %d: reset %v, %+v", version, before.Version, reset, rows)
		}
	}
	version := func() int64 {
		info, err := restored.Info(ctx)
		must(t, err)
		return info.Version
	}
	if v := version(); v >= before.Version {
		t.Fatalf("version %d, and %d before: the test is not one", v, before.Version)
	} else {
		resets(v)
	}
	var list im.ListResult
	dm := im.DirectID("alice", "bob")
	must(t, alice.Call("message.list", im.ListParams{Conversation: dm, Limit: 100}, &list))
	if len(list.Messages) != 10 {
		t.Errorf("%d messages, 10 were acknowledged before the backup", len(list.Messages))
	}
	for _, m := range list.Messages {
		if !bytes.Equal(m.Content, said[m.Seq]) {
			t.Errorf("seq %d: %s, want %s", m.Seq, m.Content, said[m.Seq])
		}
	}
	for i := range 10 {
		again := send(t, alice, im.ToUser("bob"), fmt.Sprint("c", i), fmt.Sprint("before ", i, " 語"))
		if !again.Duplicate || again.Seq != int64(i+1) {
			t.Errorf("a repetition: %+v", again)
		}
	}
	for i := 0; version() <= before.Version; i++ {
		send(t, alice, im.ToUser("bob"), fmt.Sprint("grow", i), "another history")
	}
	resets(version())
	rows, next, reset := catchUp(t, alice, cursor, 0)
	if !reset {
		t.Errorf("%+v", rows)
	}
	if rows, _, reset = catchUp(t, alice, next, 0); reset || len(rows) != 0 {
		t.Errorf("its own cursor: reset %v, %+v", reset, rows)
	}
}
