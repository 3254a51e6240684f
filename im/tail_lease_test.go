package im_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/hub"
	"example.com/h5im/im/imtest"
	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
	"example.com/h5im/store/memory"
)

// pair are two servers, a and b, on one hub and one store, which b may see in
// another way.
func pair(t testing.TB, ofA, ofB store.Store) (a, b *imtest.Server) {
	if ofB == nil {
		ofB = ofA
	}
	bus := hub.NewBus()
	return setup(t, im.Config{Store: ofA, Hub: bus.Hub("a")}), setup(t, im.Config{Store: ofB, Hub: bus.Hub("b")})
}

// faulty is a store as a node sees it that can be cut off or paused.
type faulty struct {
	store.Store
	err    atomic.Pointer[error]
	mu     sync.Mutex
	paused chan struct{}
}

// fail makes every call fail; nil: no longer.
func (f *faulty) fail(err error) {
	f.err.Store(&err)
}

// pause makes every call wait, whatever its context says, until resume.
func (f *faulty) pause() (resume func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	paused := make(chan struct{})
	f.paused = paused
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.paused = nil
		close(paused)
	}
}

func (f *faulty) wait() error {
	f.mu.Lock()
	paused := f.paused
	f.mu.Unlock()
	if paused != nil {
		<-paused
	}
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *faulty) Feed(ctx context.Context, after store.Position, limit int) ([]store.Change, error) {
	if err := f.wait(); err != nil {
		return nil, err
	}
	return f.Store.Feed(ctx, after, limit)
}

func (f *faulty) GetRecord(ctx context.Context, namespace, key string, now store.Millis) (store.Record, error) {
	if err := f.wait(); err != nil {
		return store.Record{}, err
	}
	return f.Store.GetRecord(ctx, namespace, key, now)
}

func (f *faulty) WriteRecords(ctx context.Context, w []store.RecordWrite) ([]int64, error) {
	if err := f.wait(); err != nil {
		return nil, err
	}
	return f.Store.WriteRecords(context.WithoutCancel(ctx), w) // what was handed over is committed
}

// counting counts writes of records, and reads of single changes.
type counting struct {
	store.Store
	n, single atomic.Int64
}

func (c *counting) Feed(ctx context.Context, after store.Position, limit int) ([]store.Change, error) {
	if limit == 1 {
		c.single.Add(1)
	}
	return c.Store.Feed(ctx, after, limit)
}

func (c *counting) WriteRecords(ctx context.Context, w []store.RecordWrite) ([]int64, error) {
	c.n.Add(1)
	return c.Store.WriteRecords(ctx, w)
}

func (c *counting) writes(f func()) int64 {
	before := c.n.Load()
	f()
	return c.n.Load() - before
}

// stores are where a tail is handed over.
func stores(t *testing.T, f func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, memory.New(nil)) })
	})
	t.Run("bolt", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, err := bolt.Open(filepath.Join(t.TempDir(), "im.db"), nil)
			must(t, err)
			t.Cleanup(func() { s.Close() })
			f(t, s)
		})
	})
}

func TestTailLease(t *testing.T) {
	t.Run("one node runs a consumer, and another takes over at once when it is given back", func(t *testing.T) {
		for _, how := range []string{"end of its context", "shutdown"} {
			t.Run(how, func(t *testing.T) {
				stores(t, func(t *testing.T, s store.Store) {
					a, b := pair(t, s, nil)
					var first, second taker
					stopA := follow(a, "c", nil, first.take)
					synctest.Wait()
					stopB := follow(b, "c", nil, second.take)
					time.Sleep(time.Minute)
					post(t, b, "alice", "bob", "one")
					time.Sleep(2 * time.Second)
					first.has(t, "one")
					second.has(t)
					began := time.Now()
					if how == "shutdown" {
						must(t, a.Shutdown(ctx))
					} else {
						must(t, stopA())
					}
					post(t, b, "alice", "bob", "two")
					synctest.Wait()
					second.has(t, "two")
					if d := time.Since(began); d != 0 {
						t.Errorf("taken over after %v", d)
					}
					first.has(t, "one")
					must(t, stopB())
				})
			})
		}
	})
	t.Run("another takes over within 12 s when a node died", func(t *testing.T) {
		stores(t, func(t *testing.T, s store.Store) {
			dying := &faulty{Store: s}
			a, b := pair(t, dying, s)
			var first, second taker
			stopA := follow(a, "c", nil, first.take)
			synctest.Wait()
			stopB := follow(b, "c", nil, second.take)
			time.Sleep(30 * time.Second)
			dying.fail(errors.New("killed"))
			post(t, b, "alice", "bob", "one")
			time.Sleep(12 * time.Second)
			synctest.Wait()
			first.has(t)
			second.has(t, "one")
			must(t, stopB())
			dying.fail(nil)
			must(t, stopA())
		})
	})
	t.Run("a node that was paused for longer than the lease can call and store nothing more", func(t *testing.T) {
		stores(t, func(t *testing.T, s store.Store) {
			paused := &faulty{Store: s}
			a, b := pair(t, paused, s)
			var running, together atomic.Int32
			var cut atomic.Bool
			enter := func() func() {
				if running.Add(1) > 1 {
					together.Add(1)
				}
				return func() { running.Add(-1) }
			}
			first := taker{fails: func(ctx context.Context, c im.Change) error {
				defer enter()()
				if text(c) == "long" {
					<-ctx.Done()
					cut.Store(true)
					return ctx.Err()
				}
				return nil
			}}
			second := taker{fails: func(context.Context, im.Change) error { defer enter()(); return nil }}
			stopA := follow(a, "c", &im.TailOptions{Timeout: time.Hour, Concurrency: 2}, first.take)
			synctest.Wait()
			stopB := follow(b, "c", nil, second.take)
			post(t, a, "alice", "bob", "one")
			time.Sleep(1500 * time.Millisecond)
			post(t, a, "alice", "bob", "long")
			synctest.Wait()
			resume := paused.pause()
			post(t, b, "alice", "carol", "two")
			time.Sleep(13 * time.Second)
			synctest.Wait()
			if !cut.Load() {
				t.Error("its call was not cut off")
			}
			first.has(t, "one")
			second.has(t, "long", "two")
			post(t, b, "alice", "dave", "three")
			time.Sleep(2 * time.Second)
			status := func() im.TailStatus {
				list, err := b.Tails(ctx)
				must(t, err)
				return list[0]
			}
			before := status()
			resume()
			post(t, a, "alice", "erin", "four")
			time.Sleep(30 * time.Second)
			synctest.Wait()
			first.has(t, "one")
			second.has(t, "long", "two", "three", "four")
			if after := status(); after.Node != "b" || after.Position <= before.Position || after.Behind != 0 || before.Behind != 0 {
				t.Errorf("%+v, then %+v", before, after)
			}
			if together.Load() > 0 {
				t.Error("both called at once")
			}
			must(t, stopB())
			time.Sleep(2 * time.Second)
			post(t, a, "alice", "erin", "five")
			synctest.Wait()
			first.has(t, "one", "five")
			must(t, stopA())
		})
	})
	t.Run("a write that failed and was committed is one's own", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &doubtful{Store: memory.New(nil)}
			srv := setup(t, im.Config{Store: s})
			var k taker
			stop := follow(srv, "c", nil, k.take)
			synctest.Wait()
			for range 10 {
				s.doubt.Store(true)
				post(t, srv, "alice", "bob", "x")
				time.Sleep(4 * time.Second)
			}
			if n := len(k.taken()); n != 10 {
				t.Errorf("%d taken", n)
			}
			must(t, stop())
			if list, err := srv.Tails(ctx); err != nil || list[0].Behind != 0 || list[0].Node != "" {
				t.Errorf("%+v, %v", list, err)
			}
		})
	})
}

// doubtful is a store whose next write is committed and fails.
type doubtful struct {
	store.Store
	doubt atomic.Bool
}

func (d *doubtful) WriteRecords(ctx context.Context, w []store.RecordWrite) ([]int64, error) {
	r, err := d.Store.WriteRecords(ctx, w)
	if err == nil && d.doubt.Swap(false) {
		return nil, errors.New("the connection broke")
	}
	return r, err
}

func TestTailShutdown(t *testing.T) {
	t.Run("nothing is begun, running calls have the drain window, then their contexts end, and the position is stored", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New(nil)
			srv := setup(t, im.Config{Store: s, DrainWindow: 20 * time.Second})
			srv.Connect("alice") // drain windows are for clients
			var cutAfter time.Duration
			var began time.Time
			k := taker{fails: func(ctx context.Context, c im.Change) error {
				switch text(c) {
				case "quick":
					time.Sleep(10 * time.Second)
					return ctx.Err()
				case "slow":
					<-ctx.Done()
					cutAfter = time.Since(began)
					time.Sleep(time.Second) // it has a little to finish
				}
				return nil
			}}
			follow(srv, "c", &im.TailOptions{Timeout: time.Hour, Concurrency: 3}, k.take)
			synctest.Wait()
			post(t, srv, "alice", "bob", "quick")
			post(t, srv, "alice", "carol", "slow")
			synctest.Wait()
			began = time.Now()
			done := make(chan error)
			go func() { done <- srv.Shutdown(ctx) }()
			synctest.Wait()
			post(t, srv, "alice", "dave", "late")
			must(t, <-done)
			k.has(t, "quick", "slow")
			if cutAfter != 20*time.Second {
				t.Errorf("cut after %v", cutAfter)
			}
			refused(t, srv.Tail(ctx, "d", nil, k.take), im.ErrUnavailable)

			var next taker
			srv = setup(t, im.Config{Store: s})
			defer follow(srv, "c", nil, next.take)()
			synctest.Wait()
			next.has(t, "late")
		})
	})
	t.Run("a call that never ends and ignores its context holds Shutdown as long as its context says", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New(nil)
			srv := setup(t, im.Config{Store: s})
			never := make(chan struct{})
			k := taker{fails: func(_ context.Context, c im.Change) error {
				if text(c) == "never" {
					<-never
				}
				return nil
			}}
			tailed := make(chan error, 1)
			go func() { tailed <- srv.Tail(ctx, "c", &im.TailOptions{Concurrency: 2}, k.take) }()
			synctest.Wait()
			post(t, srv, "alice", "bob", "one")
			post(t, srv, "alice", "bob", "never")
			synctest.Wait()
			limited, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			began := time.Now()
			if err := srv.Shutdown(limited); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("shutdown: %v", err)
			}
			if d := time.Since(began); d > 6*time.Second {
				t.Errorf("shutdown took %v", d)
			}
			must(t, <-tailed)
			close(never)
			synctest.Wait()

			var next taker
			srv = setup(t, im.Config{Store: s})
			defer follow(srv, "c", nil, next.take)()
			time.Sleep(12 * time.Second)
			synctest.Wait()
			next.has(t, "never")
		})
	})
	t.Run("a store that hangs as well does not hold it for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &faulty{Store: memory.New(nil)}
			srv := setup(t, im.Config{Store: s})
			var k taker
			stop := follow(srv, "c", nil, k.take)
			synctest.Wait()
			resume := s.pause()
			time.Sleep(3 * time.Second)
			limited, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			began := time.Now()
			if err := srv.Shutdown(limited); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("shutdown: %v", err)
			}
			if d := time.Since(began); d > 11*time.Second {
				t.Errorf("shutdown took %v", d)
			}
			resume()
			_ = stop()
		})
	})
	t.Run("a position that could not be stored at the end is told", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &faulty{Store: memory.New(nil)}
			srv := setup(t, im.Config{Store: s})
			var k taker
			stop := follow(srv, "c", nil, k.take)
			synctest.Wait()
			gone := errors.New("the disk is away")
			s.fail(gone)
			if err := stop(); !errors.Is(err, gone) {
				t.Errorf("got %v", err)
			}
		})
	})
}

func TestTailOfExtension(t *testing.T) {
	extension := func(s store.Store, k *taker) im.Config {
		return im.Config{Store: s, Extensions: []im.Extension{{Name: "shop", Install: func(s *im.Setup) error {
			s.Tail("shop.orders", nil, k.take)
			return nil
		}}}}
	}
	t.Run("it runs from New until Shutdown", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.New(nil)
			var k, next taker
			srv := setup(t, extension(s, &k))
			post(t, srv, "alice", "bob", "one")
			time.Sleep(time.Second)
			synctest.Wait()
			k.has(t, "one")
			refused(t, srv.Tail(ctx, "shop.orders", nil, k.take), im.ErrConflict)
			must(t, srv.Shutdown(ctx))

			srv = setup(t, extension(s, &next))
			post(t, srv, "alice", "bob", "two")
			time.Sleep(time.Second)
			synctest.Wait()
			next.has(t, "two")
		})
	})
	t.Run("a mistake makes New fail", func(t *testing.T) {
		var k taker
		for name, install := range map[string]func(*im.Setup){
			"a foreign name": func(s *im.Setup) { s.Tail("orders", nil, k.take) },
			"no function":    func(s *im.Setup) { s.Tail("shop.orders", nil, nil) },
			"a bad option":   func(s *im.Setup) { s.Tail("shop.orders", &im.TailOptions{ReadAhead: -1}, k.take) },
			"twice":          func(s *im.Setup) { s.Tail("shop.orders", nil, k.take); s.Tail("shop.orders", nil, k.take) },
		} {
			_, err := im.New(im.Config{AppID: "x", Auth: im.AuthenticatorFunc(imtest.TokenIsUser), Store: memory.New(nil),
				Extensions: []im.Extension{{Name: "shop", Install: func(s *im.Setup) error { install(s); return nil }}}})
			if err == nil {
				t.Errorf("%s was taken", name)
			}
		}
	})
}
