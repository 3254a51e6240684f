package im_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/store"
	"example.com/h5im/store/memory"
)

// disk is a store whose commits and syncs take a second.
type disk struct{ store.Store }

func newDisk(t testing.TB) disk {
	s := memory.New(nil)
	t.Cleanup(func() { s.Close() })
	return disk{s}
}

func (d disk) Append(ctx context.Context, items []store.Append) ([]store.Appended, error) {
	time.Sleep(time.Second)
	return d.Store.Append(ctx, items)
}

func (d disk) Sync(ctx context.Context, q store.SyncQuery) (store.SyncPage, error) {
	defer time.Sleep(time.Second)
	return d.Store.Sync(ctx, q)
}

// Operations of a session on one conversation run in the order in which they
// came, without a client having to wait for answers.
func TestPipelinedRequests(t *testing.T) { // [P12] [P30]
	t.Run("what follows a send sees it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Store: newDisk(t)})
			alice := srv.Connect("alice")
			g := group(t, alice, "bob")
			alice.Start("message.send", im.SendParams{To: im.ToConversation(g.ID), ClientID: "c", Content: im.Text("x")})
			id := alice.Start("message.list", im.ListParams{Conversation: g.ID})
			begin := time.Now()
			if must(t, alice.Call("ping", nil, nil)); time.Since(begin) != 0 {
				t.Error("a ping waited for the send")
			}
			var r im.ListResult
			if must(t, alice.Await(id, &r)); len(r.Messages) != 1 {
				t.Errorf("the list came before the send: %+v", r)
			}
		})
	})
	t.Run("what follows in one batch sees it, whatever it names", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Store: newDisk(t)})
			alice := srv.Connect("alice")
			alice.Raw([]byte(`[{"jsonrpc":"2.0","id":"a","method":"message.send","params":{"to":"bob","clientId":"c","content":"x"}},` +
				`{"jsonrpc":"2.0","id":77,"method":"sync"}]`))
			var r im.SyncResult
			if must(t, alice.Await(77, &r)); len(r.Conversations) != 1 || r.Conversations[0].Seq != 1 {
				t.Errorf("the sync came before the send: %+v", r)
			}
		})
	})
	t.Run("64 sends share a commit or two", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Store: newDisk(t)})
			alice := srv.Connect("alice")
			begin := time.Now()
			var ids []int64
			for i := range 64 {
				ids = append(ids, alice.Start("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: fmt.Sprint(i), Content: im.Text("x")}))
			}
			for i, id := range ids {
				var r im.SendResult
				if must(t, alice.Await(id, &r)); r.Seq != int64(i+1) {
					t.Errorf("send %d has seq %d", i, r.Seq)
				}
			}
			if synctest.Wait(); im.Tickets(srv.Server) != 0 {
				t.Error("the session remembers requests that were answered")
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("they took %v", took)
			}
		})
	})
	t.Run("64 senders share a commit or two", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Store: newDisk(t)})
			begin := time.Now()
			var all sync.WaitGroup
			for i := range 64 {
				all.Go(func() {
					who := srv.As(im.Identity{User: fmt.Sprint("u", i)})
					err := who.Call(ctx, "message.send", im.SendParams{To: im.ToUser("bob"), ClientID: "c", Content: im.Text("x")}, nil)
					if err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("they took %v", took)
			}
		})
	})
}

// A session may have so many requests running, and no more; the rest wait in
// the connection.
func TestRequestsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		running, most := 0, 0
		srv := setup(t, im.Config{Limits: im.Limits{InFlight: 3}, Middleware: []im.Middleware{func(next im.Handler) im.Handler {
			return func(ctx context.Context, op *im.Op) (any, error) {
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				running--
				mu.Unlock()
				return next(ctx, op)
			}
		}}})
		alice := srv.Connect("alice")
		begin := time.Now()
		var ids []int64
		for range 9 {
			ids = append(ids, alice.Start("ping", nil))
		}
		for _, id := range ids {
			must(t, alice.Await(id, nil))
		}
		if took := time.Since(begin); most != 3 || took != 3*time.Second {
			t.Errorf("%d at once, %v in all", most, took)
		}
	})
}

// A client that asks and does not read is not asked for more memory than its
// queue has: the server stops reading from it.
func TestClientThatOnlyAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		answered := 0
		srv := setup(t, im.Config{
			Limits: im.Limits{SendQueueBytes: 64 << 10, InFlight: 4, WriteTimeout: time.Hour, PingInterval: time.Hour},
			Middleware: []im.Middleware{func(next im.Handler) im.Handler {
				return func(ctx context.Context, op *im.Op) (any, error) {
					mu.Lock()
					defer mu.Unlock()
					answered++
					return next(ctx, op)
				}
			}},
		})
		alice := srv.Connect("alice")
		for i := range 10 {
			send(t, alice, im.ToUser("bob"), fmt.Sprint(i), fmt.Sprintf("%5000d", i))
		}
		resume := alice.Pause()
		mu.Lock()
		answered = 0
		mu.Unlock()
		asked := make(chan int64, 500)
		go func() {
			for range cap(asked) {
				asked <- alice.Start("message.list", im.ListParams{Conversation: im.DirectID("alice", "bob")})
			}
			close(asked)
		}()
		synctest.Wait()
		mu.Lock()
		if answered > 50 {
			t.Errorf("%d answers of 50 kB wait for a client that does not read", answered)
		}
		mu.Unlock()
		resume()
		for id := range asked {
			must(t, alice.Await(id, nil))
		}
	})
}

// What a sync reads goes out before the events that come while it reads.
func TestSyncComesBeforeEvents(t *testing.T) { // [P30]
	synctest.Test(t, func(t *testing.T) {
		srv := setup(t, im.Config{Store: newDisk(t)})
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		send(t, alice, im.ToUser("bob"), "c1", "x")
		send(t, alice, im.ToUser("bob"), "c2", "y")
		synctest.Wait()
		bob.Events()
		id := alice.Start("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: "c3", Content: im.Text("z")})
		time.Sleep(500 * time.Millisecond)
		sync := bob.Start("sync", nil)
		must(t, alice.Await(id, nil)) // committed in the middle of the sync
		synctest.Wait()
		if events := bob.Events(); len(events) != 0 {
			t.Errorf("%s came before the answer", events[0].Name)
		}
		var r im.SyncResult
		must(t, bob.Await(sync, &r))
		if r.Conversations[0].Seq != 2 {
			t.Fatalf("the sync read %+v", r.Conversations[0])
		}
		var m im.MessageView
		if bob.Decode(bob.Event("message"), &m); m.Seq != 3 {
			t.Errorf("event %+v", m)
		}
	})
}
