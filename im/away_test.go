package im_test

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

var awayMessages = flag.Int("away", 20_000, "how many messages are written while somebody is away")

// counted counts what a server asks of its store.
type counted struct {
	store.Store
	syncs, reads atomic.Int64
}

func (c *counted) Sync(ctx context.Context, q store.SyncQuery) (store.SyncPage, error) {
	c.syncs.Add(1)
	return c.Store.Sync(ctx, q)
}

func (c *counted) Conversation(ctx context.Context, id, user string) (store.Conversation, *store.Member, error) {
	c.reads.Add(1)
	return c.Store.Conversation(ctx, id, user)
}

func (c *counted) Messages(ctx context.Context, q store.MessagesQuery) (store.MessagesPage, error) {
	c.reads.Add(1)
	return c.Store.Messages(ctx, q)
}

func (c *counted) Members(ctx context.Context, q store.MembersQuery) (store.MembersPage, error) {
	c.reads.Add(1)
	return c.Store.Members(ctx, q)
}

func (c *counted) Changes(ctx context.Context, q store.ChangesQuery) (store.ChangesPage, error) {
	c.reads.Add(1)
	return c.Store.Changes(ctx, q)
}

// Promise 5: who was away for a month has the first useful screen from one page
// of sync, however many messages there were, and the server asks its store once
// for it. What that costs a store, at most two rows a membership and the page,
// is counted in store/bolt.
func TestAMonthAway(t *testing.T) {
	const changed = 40
	for _, memberships := range []int{200, 5000} {
		t.Run(fmt.Sprint(memberships, " memberships"), func(t *testing.T) {
			disk, err := bolt.Open(filepath.Join(t.TempDir(), "im.db"), nil)
			must(t, err)
			t.Cleanup(func() { must(t, disk.Close()) })
			kept := &counted{Store: disk}
			srv := setup(t, im.Config{Store: kept})
			alice := srv.Connect("alice")

			ids := make([]string, memberships)
			var all sync.WaitGroup
			for worker := range 64 {
				all.Go(func() {
					for i := worker; i < memberships; i += 64 {
						ids[i] = fmt.Sprintf("g_%04d", i)
						_, err := disk.Create(ctx, store.NewConversation{
							ID: ids[i], Kind: store.Group, Creator: "bob", Time: 1, Members: []store.NewMember{{User: "bob"}, {User: "alice"}},
						})
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			_, cursor, _ := catchUp(t, alice, "", 100)

			batch := make([]store.Append, 0, 64)
			for n := range *awayMessages {
				batch = append(batch, store.Append{As: store.AsMember, Message: store.Message{
					Conversation: ids[n%changed], ID: fmt.Sprint("m", n), ClientID: fmt.Sprint("c", n), From: "bob", Time: 2,
					Type: "text", Content: []byte(`{"text":"while you were away"}`),
				}})
				if len(batch) == cap(batch) || n == *awayMessages-1 {
					stored, err := disk.Append(ctx, batch)
					must(t, err)
					for _, s := range stored {
						must(t, s.Err)
					}
					batch = batch[:0]
				}
			}

			kept.syncs.Store(0)
			kept.reads.Store(0)
			begin := time.Now()
			first := page(t, alice, cursor, 50)
			t.Logf("first page after %d messages: %v", *awayMessages, time.Since(begin).Round(10*time.Microsecond))
			if len(first.Conversations) != changed || first.More || first.Reset {
				t.Errorf("%d rows, more %t, reset %t", len(first.Conversations), first.More, first.Reset)
			}
			if syncs, reads := kept.syncs.Load(), kept.reads.Load(); syncs != 1 || reads != 0 {
				t.Errorf("the store was asked for %d syncs and %d other things", syncs, reads)
			}
			var unread int64
			for _, c := range first.Conversations {
				unread += c.Unread
				if c.LastMessage == nil || c.LastMessage.Seq != c.Seq {
					t.Errorf("%s shows %+v of %d messages", c.ID, c.LastMessage, c.Seq)
				}
			}
			if unread != int64(*awayMessages) {
				t.Errorf("%d unread", unread)
			}
		})
	}
}

// Every page size gives each message once, in either direction, while others
// write.
func TestHistoryWhileOthersWrite(t *testing.T) { // [P63]
	srv := setup(t, im.Config{})
	alice := srv.Connect("alice")
	id := im.DirectID("alice", "bob")
	for i := range 200 {
		send(t, alice, im.ToUser("bob"), fmt.Sprint("before", i), "x")
	}
	done := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		bob := srv.As(im.Identity{User: "bob"})
		for i := range 5000 {
			select {
			case <-done:
				return
			default:
			}
			_, err := im.Call[im.SendParams, im.SendResult](ctx, bob, "message.send", im.SendParams{
				To: im.ToUser("alice"), ClientID: fmt.Sprint("meanwhile", i), Content: im.Text("y"),
			})
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writing.Wait()
	defer close(done)
	list := func(c *imtest.Client, p im.ListParams) (r im.ListResult) {
		t.Helper()
		p.Conversation = id
		must(t, c.Call("message.list", p, &r))
		return r
	}
	for limit := 1; limit <= 50; limit++ {
		newest := list(alice, im.ListParams{Limit: limit})
		next := newest.To // the seq that must come next, going back
		for p := newest; ; p = list(alice, im.ListParams{Before: &p.From, Limit: limit}) {
			for i := len(p.Messages) - 1; i >= 0; i-- {
				if p.Messages[i].Seq != next {
					t.Fatalf("limit %d, back: %d after %d", limit, p.Messages[i].Seq, next+1)
				}
				next--
			}
			if !p.More {
				break
			}
		}
		if next != 0 {
			t.Fatalf("limit %d: history begins at %d", limit, next+1)
		}
		var after int64
		for after < newest.To {
			p := list(alice, im.ListParams{After: &after, Limit: limit})
			for _, m := range p.Messages {
				if m.Seq != after+1 {
					t.Fatalf("limit %d, forth: %d after %d", limit, m.Seq, after)
				}
				after++
			}
			if after < newest.To && !p.More {
				t.Fatalf("limit %d: no more after %d of %d", limit, after, newest.To)
			}
		}
	}
}
