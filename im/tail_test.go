package im_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/store"
	"example.com/h5im/store/memory"
)

// post sends a text as a user, in process, and returns the conversation.
func post(t testing.TB, srv im.Server, from, to, text string) string {
	t.Helper()
	r, err := im.Call[im.SendParams, im.SendResult](ctx, srv.As(im.Identity{User: from}), "message.send",
		im.SendParams{To: im.ToUser(to), ClientID: fmt.Sprint(rand.Int64()), Content: im.Text(text)})
	must(t, err)
	return r.Conversation
}

// text is what a message says, "" for other changes.
func text(c im.Change) string {
	if c.Message == nil {
		return ""
	}
	var v struct{ Text string }
	_ = json.Unmarshal(c.Message.Content, &v)
	return v.Text
}

// taker is a consumer that notes the texts of what it takes.
type taker struct {
	mu   sync.Mutex
	list []string
	// fails, where not nil, says how an attempt ends: nil takes the change.
	fails func(ctx context.Context, c im.Change) error
}

func (k *taker) take(ctx context.Context, c im.Change) error {
	if c.Message == nil {
		return nil
	}
	if k.fails != nil {
		if err := k.fails(ctx, c); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list = append(k.list, text(c))
	return nil
}

func (k *taker) taken() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.list)
}

func (k *taker) has(t testing.TB, want ...string) {
	t.Helper()
	if got := k.taken(); !slices.Equal(got, want) {
		t.Errorf("taken %q, wanted %q", got, want)
	}
}

// follow runs a tail until stop, which returns what Tail did.
func follow(srv im.Server, consumer string, o *im.TailOptions, fn func(context.Context, im.Change) error) (stop func() error) {
	tailed, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- srv.Tail(tailed, consumer, o, fn) }()
	return func() error {
		cancel()
		return <-done
	}
}

var beginning = &im.TailOptions{From: im.FromBeginning}

func TestTail(t *testing.T) {
	t.Run("a conversation comes in order and one after the other, others at the same time", func(t *testing.T) {
		srv := setup(t, im.Config{})
		const conversations, messages = 20, 30
		var mu sync.Mutex
		last, inside := map[string]int64{}, map[string]bool{}
		most, total := 0, 0
		all := make(chan struct{})
		stop := follow(srv, "c", &im.TailOptions{From: im.FromBeginning, Concurrency: 8}, func(_ context.Context, c im.Change) error {
			mu.Lock()
			defer mu.Unlock()
			if inside[c.Conversation] {
				t.Errorf("two calls at once for %s", c.Conversation)
			}
			inside[c.Conversation] = true
			most = max(most, len(inside))
			mu.Unlock()
			runtime.Gosched()
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			mu.Lock()
			delete(inside, c.Conversation)
			if c.Message == nil {
				return nil
			}
			if c.Message.Seq != last[c.Conversation]+1 {
				t.Errorf("%s: %d after %d", c.Conversation, c.Message.Seq, last[c.Conversation])
			}
			last[c.Conversation] = c.Message.Seq
			if total++; total == conversations*messages {
				close(all)
			}
			return nil
		})
		var senders sync.WaitGroup
		for i := range conversations {
			senders.Go(func() {
				for range messages {
					post(t, srv, "alice", fmt.Sprint("user", i), "x")
				}
			})
		}
		senders.Wait()
		<-all
		must(t, stop())
		if most < 2 || most > 8 {
			t.Errorf("%d conversations at once", most)
		}
	})
	t.Run("every kind of change comes, and what is its own may be changed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			var kinds []im.ChangeKind
			defer follow(srv, "c", nil, func(_ context.Context, c im.Change) error {
				kinds = append(kinds, c.Kind)
				c.Head.Title, *c.Head = "mine", im.Conversation{}
				if c.Message != nil {
					clear(c.Message.Content)
				}
				return nil
			})()
			synctest.Wait()
			host := srv.System()
			g, err := im.Call[im.CreateParams, im.ConversationView](ctx, host, "conversation.create", im.CreateParams{Kind: "group", Members: []string{"alice"}})
			must(t, err)
			must(t, host.Call(ctx, "member.add", im.MemberParams{Conversation: g.ID, Users: []string{"bob"}}, nil))
			must(t, host.Call(ctx, "message.send", im.SendParams{To: im.ToConversation(g.ID), ClientID: "1", Content: im.Text("x")}, nil))
			synctest.Wait()
			if want := []im.ChangeKind{im.ConversationCreated, im.MemberChanged, im.MessageAppended}; !slices.Equal(kinds, want) {
				t.Errorf("%v, wanted %v", kinds, want)
			}
			got, err := im.Call[im.ListParams, im.ListResult](ctx, srv.As(im.Identity{User: "bob"}), "message.list", im.ListParams{Conversation: g.ID})
			must(t, err)
			if string(got.Messages[0].Content) != `{"text":"x"}` {
				t.Errorf("stored: %s", got.Messages[0].Content)
			}
		})
	})
	t.Run("a change is there at once on its node, and on others within a second", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			here, there := pair(t, memory.New(nil), nil)
			var k taker
			defer follow(here, "c", nil, k.take)()
			synctest.Wait()
			began := time.Now()
			post(t, here, "alice", "bob", "here")
			synctest.Wait()
			k.has(t, "here")
			if d := time.Since(began); d != 0 {
				t.Errorf("after %v", d)
			}
			post(t, there, "alice", "bob", "there")
			time.Sleep(time.Second)
			synctest.Wait()
			k.has(t, "here", "there")
		})
	})
	t.Run("a new consumer begins now, or at the beginning where it says so, and one that is known where it was", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			post(t, srv, "alice", "bob", "one")
			var now, from, again taker
			stopNow, stopFrom := follow(srv, "now", nil, now.take), follow(srv, "from", beginning, from.take)
			synctest.Wait()
			post(t, srv, "alice", "bob", "two")
			synctest.Wait()
			now.has(t, "two")
			from.has(t, "one", "two")
			must(t, stopNow())
			must(t, stopFrom())
			post(t, srv, "alice", "bob", "three")
			stop := follow(srv, "now", beginning, again.take)
			synctest.Wait()
			again.has(t, "three")
			must(t, stop())
		})
	})
	t.Run("what expired is left out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New(nil)
			srv := setup(t, im.Config{Store: s})
			id := post(t, srv, "alice", "bob", "one")
			_, err := s.Amend(ctx, id, 1, func(m *store.Message) error {
				m.ExpiresAt = store.MillisOf(time.Now().Add(time.Minute))
				return nil
			})
			must(t, err)
			time.Sleep(time.Minute)
			post(t, srv, "alice", "bob", "two")
			var k taker
			defer follow(srv, "c", beginning, k.take)()
			synctest.Wait()
			k.has(t, "two")
		})
	})
	t.Run("a call whose time is over has failed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			calls := 0
			k := taker{fails: func(ctx context.Context, _ im.Change) error {
				if calls++; calls > 1 {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}}
			defer follow(srv, "c", &im.TailOptions{Timeout: 5 * time.Second}, k.take)()
			synctest.Wait()
			began := time.Now()
			post(t, srv, "alice", "bob", "x")
			time.Sleep(6 * time.Second)
			synctest.Wait()
			k.has(t, "x")
			if d := time.Since(began); d < 5*time.Second {
				t.Error(d)
			}
		})
	})
	t.Run("arguments that cannot be are refused by name", func(t *testing.T) {
		srv := setup(t, im.Config{})
		nop := func(context.Context, im.Change) error { return nil }
		for _, c := range []struct {
			field, consumer string
			o               *im.TailOptions
			fn              func(context.Context, im.Change) error
		}{
			{"consumer", "", nil, nop},
			{"consumer", "a/b", nil, nop},
			{"consumer", "näh", nil, nop},
			{"consumer", string(make([]byte, 65)), nil, nop},
			{"fn", "c", nil, nil},
			{"From", "c", &im.TailOptions{From: 2}, nop},
			{"Concurrency", "c", &im.TailOptions{Concurrency: -1}, nop},
			{"Concurrency", "c", &im.TailOptions{Concurrency: 1 << 40}, nop},
			{"Timeout", "c", &im.TailOptions{Timeout: -1}, nop},
			{"MaxAttempts", "c", &im.TailOptions{MaxAttempts: -1}, nop},
			{"ReadAhead", "c", &im.TailOptions{ReadAhead: -1}, nop},
		} {
			if e := refused(t, srv.Tail(ctx, c.consumer, c.o, c.fn), im.ErrInvalidArgument); e.Field != c.field {
				t.Errorf("%q %+v: %v", c.consumer, c.o, e)
			}
		}
	})
	t.Run("a server runs a consumer once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			var k taker
			stop := follow(srv, "c", nil, k.take)
			synctest.Wait()
			refused(t, srv.Tail(ctx, "c", nil, k.take), im.ErrConflict)
			post(t, srv, "alice", "bob", "x")
			synctest.Wait()
			k.has(t, "x")
			must(t, stop())
			must(t, follow(srv, "c", nil, k.take)())
		})
	})
}

func TestTailPosition(t *testing.T) {
	t.Run("a restart goes on where the last left off", func(t *testing.T) {
		dir := t.TempDir()
		open := func() *imtest.Server { return setup(t, im.Config{DataDir: dir}) }
		srv := open()
		post(t, srv, "alice", "bob", "one")
		two := make(chan struct{})
		first := taker{fails: func(_ context.Context, c im.Change) error {
			if text(c) == "two" {
				close(two)
			}
			return nil
		}}
		follow(srv, "c", beginning, first.take)
		post(t, srv, "alice", "bob", "two")
		<-two
		must(t, srv.Shutdown(ctx))
		first.has(t, "one", "two")

		srv = open()
		post(t, srv, "alice", "bob", "three")
		three := make(chan struct{})
		second := taker{fails: func(context.Context, im.Change) error { close(three); return nil }}
		stop := follow(srv, "c", nil, second.take)
		<-three
		must(t, stop())
		second.has(t, "three")
	})
	t.Run("it is stored at most once a second, and seldom when nothing happens", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &counting{Store: memory.New(nil)}
			srv := setup(t, im.Config{Store: s})
			var k taker
			defer follow(srv, "c", nil, k.take)()
			synctest.Wait()
			busy := s.writes(func() {
				for i := range 1000 {
					post(t, srv, "alice", "bob", fmt.Sprint(i))
					time.Sleep(10 * time.Millisecond)
				}
			})
			idle := s.writes(func() { time.Sleep(time.Minute) })
			if len(k.taken()) != 1000 || busy < 9 || busy > 11 || idle > 21 {
				t.Errorf("%d taken, %d writes in 10 busy seconds, %d in an idle minute", len(k.taken()), busy, idle)
			}
		})
	})
	t.Run("what was done and not stored when the node died comes again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New(nil)
			dying := &faulty{Store: s}
			a, b := pair(t, dying, s)
			var first, second taker
			stopA := follow(a, "c", nil, first.take)
			synctest.Wait()
			post(t, a, "alice", "bob", "one")
			time.Sleep(2 * time.Second)
			post(t, a, "alice", "bob", "two") // stored at once, the next within a second
			synctest.Wait()
			post(t, a, "alice", "bob", "three")
			synctest.Wait()
			first.has(t, "one", "two", "three")
			dying.fail(errors.New("killed"))
			stopB := follow(b, "c", nil, second.take)
			time.Sleep(12 * time.Second)
			synctest.Wait()
			second.has(t, "three")
			must(t, stopB())
			dying.fail(nil)
			must(t, stopA())
		})
	})
	t.Run("Tails tells how far each is, wherever it runs", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := pair(t, memory.New(nil), nil)
			k := taker{fails: func(_ context.Context, c im.Change) error {
				if text(c) == "stuck" {
					return errors.New("no")
				}
				return nil
			}}
			defer follow(a, "c", nil, k.take)()
			stop := follow(a, "other", nil, k.take)
			synctest.Wait()
			must(t, stop())
			post(t, a, "alice", "bob", "one")
			time.Sleep(2 * time.Second)
			made := time.Now().UTC()
			post(t, a, "alice", "bob", "stuck")
			post(t, a, "alice", "bob", "three")
			time.Sleep(2 * time.Second)
			post(t, a, "alice", "bob", "four")
			list, err := b.Tails(ctx)
			must(t, err)
			want := []im.TailStatus{
				{Consumer: "c", Node: "a", Position: 2, Behind: 3, Oldest: made},
				{Consumer: "other", Behind: 5, Oldest: made.Add(-2 * time.Second)},
			}
			if !slices.Equal(list, want) {
				t.Errorf("%+v\nwanted %+v", list, want)
			}
		})
	})
}

func TestTailFailures(t *testing.T) {
	failing := errors.New("the endpoint is away")
	t.Run("one that fails is tried again later, more and more seldom, while others go on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			var at []time.Duration
			began := time.Now()
			k := taker{fails: func(_ context.Context, c im.Change) error {
				if text(c) != "bad" {
					return nil
				}
				if at = append(at, time.Since(began)); len(at) < 9 {
					return failing
				}
				return nil
			}}
			defer follow(srv, "c", nil, k.take)()
			synctest.Wait()
			post(t, srv, "alice", "bob", "bad")
			post(t, srv, "alice", "bob", "behind")
			post(t, srv, "alice", "carol", "other")
			synctest.Wait()
			k.has(t, "other")
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			k.has(t, "other", "bad", "behind")
			for i, full := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
				full *= time.Second
				if wait := at[i+1] - at[i]; wait > full || wait < full/2 {
					t.Errorf("wait %d was %v, wanted %v to %v", i, wait, full/2, full)
				}
			}
		})
	})
	t.Run("what is tried again is what it has become", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New(nil)
			srv := setup(t, im.Config{Store: s})
			calls := 0
			k := taker{fails: func(context.Context, im.Change) error {
				if calls++; calls == 1 {
					return failing
				}
				return nil
			}}
			defer follow(srv, "c", nil, k.take)()
			synctest.Wait()
			id := post(t, srv, "alice", "bob", "slip")
			synctest.Wait()
			_, err := s.Amend(ctx, id, 1, func(m *store.Message) error {
				m.Content = im.Text("better")
				return nil
			})
			must(t, err)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			k.has(t, "better", "better")
		})
	})
	t.Run("in the end it is a dead letter, and the conversation goes on", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			bad, calls := true, 0
			k := taker{fails: func(_ context.Context, c im.Change) error {
				if bad && text(c) == "bad" {
					calls++
					return failing
				}
				return nil
			}}
			stop := follow(srv, "c", &im.TailOptions{MaxAttempts: 3}, k.take)
			synctest.Wait()
			id := post(t, srv, "alice", "bob", "bad")
			post(t, srv, "alice", "bob", "good")
			time.Sleep(10 * time.Second)
			synctest.Wait()
			k.has(t, "good")
			dead := srv.DeadLetters("c")
			letters, err := dead.List(ctx, 0, 10)
			must(t, err)
			want := im.DeadLetter{Position: 2, Kind: im.MessageAppended, Conversation: id, Seq: 1, Attempts: 3, Error: failing.Error(), Time: time.Time{}}
			if len(letters) != 1 || calls != 3 {
				t.Fatalf("%+v after %d calls", letters, calls)
			}
			letters[0].Time = time.Time{}
			if letters[0] != want {
				t.Errorf("%+v, wanted %+v", letters[0], want)
			}
			if list, err := srv.Tails(ctx); err != nil || list[0].Behind != 0 {
				t.Errorf("%+v, %v", list, err)
			}

			// Again, in vain, and again, with success.
			must(t, dead.Retry(ctx, 2))
			if letters, _ := dead.List(ctx, 0, 10); len(letters) != 0 {
				t.Errorf("%+v rest while they are tried again", letters)
			}
			time.Sleep(20 * time.Second)
			if letters, _ := dead.List(ctx, 0, 10); len(letters) != 1 || calls != 6 {
				t.Errorf("%+v after %d calls", letters, calls)
			}
			bad = false
			must(t, dead.Retry(ctx, 2))
			must(t, stop()) // a tail that runs later takes it up
			stop = follow(srv, "c", nil, k.take)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			k.has(t, "good", "bad")
			if letters, _ := dead.List(ctx, 0, 10); len(letters) != 0 {
				t.Errorf("%+v are left", letters)
			}
			must(t, stop())
			stop = follow(srv, "c", nil, k.take)
			time.Sleep(5 * time.Second)
			must(t, stop())
			k.has(t, "good", "bad")
		})
	})
	t.Run("dead letters are listed by pages and dropped, those of one consumer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			var k taker
			k.fails = func(context.Context, im.Change) error { return failing }
			for _, consumer := range []string{"c", "c2"} {
				defer follow(srv, consumer, &im.TailOptions{MaxAttempts: 1}, k.take)()
			}
			synctest.Wait()
			for i := range 250 {
				post(t, srv, "alice", "bob", fmt.Sprint(i))
			}
			time.Sleep(10 * time.Second)
			dead := srv.DeadLetters("c")
			var all []im.Position
			for after := im.Position(0); ; {
				letters, err := dead.List(ctx, after, 100)
				must(t, err)
				for _, l := range letters {
					if l.Position <= after {
						t.Fatalf("%d after %d", l.Position, after)
					}
					after = l.Position
					all = append(all, after)
				}
				if len(letters) < 100 {
					break
				}
			}
			if len(all) != 250 {
				t.Fatalf("%d letters", len(all))
			}
			refused(t, dead.Drop(ctx, all[0], 9999), im.ErrNotFound)
			refused(t, dead.Retry(ctx, 9999), im.ErrNotFound)
			refused(t, dead.Drop(ctx, -1), im.ErrInvalidArgument)
			_, err := dead.List(ctx, 0, 0)
			refused(t, err, im.ErrInvalidArgument)
			_, err = srv.DeadLetters("c/").List(ctx, 0, 1)
			refused(t, err, im.ErrInvalidArgument)
			must(t, dead.Drop(ctx, all...))
			refused(t, dead.Drop(ctx, all[0]), im.ErrNotFound)
			rest, _ := dead.List(ctx, 0, 10)
			others, _ := srv.DeadLetters("c2").List(ctx, 0, 1000)
			if len(rest) != 0 || len(others) != 250 {
				t.Errorf("%d rest, %d of another consumer", len(rest), len(others))
			}
		})
	})
	t.Run("a panic and a goroutine that ends are failures", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			k := taker{fails: func(_ context.Context, c im.Change) error {
				switch text(c) {
				case "panic":
					panic("ouch \xff")
				case "exit":
					runtime.Goexit()
				}
				return nil
			}}
			defer follow(srv, "c", &im.TailOptions{MaxAttempts: 2}, k.take)()
			synctest.Wait()
			for _, what := range []string{"panic", "exit", "fine"} {
				post(t, srv, "alice", "bob", what)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			k.has(t, "fine")
			letters, err := srv.DeadLetters("c").List(ctx, 0, 10)
			must(t, err)
			if len(letters) != 2 || len(letters[0].Error) > 1<<10 {
				t.Errorf("%+v", letters)
			}
		})
	})
	t.Run("what may be read ahead is bounded, and goes on behind the dead letter", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{})
			k := taker{fails: func(_ context.Context, c im.Change) error {
				if text(c) == "bad" {
					return failing
				}
				return nil
			}}
			defer follow(srv, "c", &im.TailOptions{MaxAttempts: 3, ReadAhead: 10}, k.take)()
			synctest.Wait()
			post(t, srv, "alice", "bob", "warm")
			post(t, srv, "alice", "carol", "warm")
			synctest.Wait()
			post(t, srv, "alice", "bob", "bad")
			for range 20 {
				post(t, srv, "alice", "carol", "fine")
			}
			synctest.Wait()
			if n := len(k.taken()); n != 2+9 {
				t.Errorf("%d taken while the first fails", n)
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if n := len(k.taken()); n != 2+20 {
				t.Errorf("%d taken in the end", n)
			}
		})
	})
	t.Run("what waits behind a failure is not held in memory but read again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &counting{Store: memory.New(nil)}
			srv := setup(t, im.Config{Store: s})
			failed := false
			k := taker{fails: func(_ context.Context, c im.Change) error {
				if text(c) == "bad" && !failed {
					failed = true
					return failing
				}
				return nil
			}}
			defer follow(srv, "c", nil, k.take)()
			synctest.Wait()
			post(t, srv, "alice", "bob", "bad")
			for range 1000 {
				post(t, srv, "alice", "bob", "fine")
			}
			synctest.Wait()
			before := s.single.Load()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if n := s.single.Load() - before; len(k.taken()) != 1001 || n != 1001 {
				t.Errorf("%d taken, %d read again", len(k.taken()), n)
			}
		})
	})
	t.Run("a store that fails for a while costs no attempt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &faulty{Store: memory.New(nil)}
			srv := setup(t, im.Config{Store: s})
			calls := 0
			k := taker{fails: func(context.Context, im.Change) error {
				if calls++; calls < 3 {
					return failing
				}
				return nil
			}}
			stop := follow(srv, "c", &im.TailOptions{MaxAttempts: 3}, k.take)
			synctest.Wait()
			post(t, srv, "alice", "bob", "x")
			synctest.Wait()
			s.fail(errors.New("the disk is away"))
			time.Sleep(5 * time.Second)
			s.fail(nil)
			time.Sleep(20 * time.Second)
			synctest.Wait()
			k.has(t, "x")
			s.fail(errors.New("the disk is away"))
			time.Sleep(time.Minute) // longer than the lease
			if calls != 3 {
				t.Errorf("%d calls", calls)
			}
			s.fail(nil)
			time.Sleep(15 * time.Second)
			post(t, srv, "alice", "bob", "y")
			time.Sleep(time.Second)
			synctest.Wait()
			if got := k.taken(); got[len(got)-1] != "y" {
				t.Errorf("taken %q", got)
			}
			must(t, stop())
		})
	})
}
