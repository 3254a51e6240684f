package im_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/transport"
)

// gate is a connection that takes nothing until it is opened.
type gate struct {
	transport.Conn
	mu    sync.Mutex
	open  sync.Cond
	taken []string
	shut  bool
	err   error
}

func newGate() *gate {
	g := &gate{shut: true}
	g.open.L = &g.mu
	return g
}

func (g *gate) Write(msgs []transport.Prepared) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.shut {
		g.open.Wait()
	}
	if g.err != nil {
		return g.err
	}
	for _, m := range msgs {
		g.taken = append(g.taken, string(m))
	}
	return nil
}

// A tryGate is a gate that can also be tried, and takes what lets returns.
type tryGate struct {
	*gate
	lets func(n int) int
}

func (g tryGate) TryWrite(msgs []transport.Prepared) (n int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n = len(msgs)
	switch {
	case g.shut:
		n, err = g.lets(n), transport.ErrWait // the end of the last may be waiting
	case g.err != nil:
		n, err = 0, g.err
	}
	for _, m := range msgs[:n] {
		g.taken = append(g.taken, string(m))
	}
	return n, err
}

// letGo opens the gate and returns what has come through in the end.
func (g *gate) letGo() []string {
	g.mu.Lock()
	g.shut = false
	g.open.Broadcast()
	g.mu.Unlock()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}

func gapText(conversation string, rev int64) transport.Prepared {
	return transport.Prepared(fmt.Sprint("gap ", conversation, " ", rev))
}

// [promise 7] The rules of a session's queue, over a connection that waits and
// over one that can also be tried.
func TestQueue(t *testing.T) {
	t.Run("waiting", func(t *testing.T) {
		testQueue(t, func(g *gate) transport.Conn { return g })
	})
	t.Run("trying", func(t *testing.T) {
		testQueue(t, func(g *gate) transport.Conn {
			return tryGate{g, func(int) int { return 0 }}
		})
	})
	t.Run("trying in parts", func(t *testing.T) {
		for seed := range uint64(300) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 2))
				g := newGate()
				q := im.NewQueue(tryGate{g, func(n int) int { return r.IntN(n + 1) }}, 200, 12, gapText, func(error) {})
				q.Reply("first")
				randomQueue(t, seed, q, g)
			})
		}
	})
}

func testQueue(t *testing.T, conn func(*gate) transport.Conn) {
	// A stalled queue: the first message is being written and blocks.
	stalled := func(t *testing.T, bytes, frames int, f func(q im.Queue, g *gate)) {
		synctest.Test(t, func(t *testing.T) {
			g := newGate()
			q := im.NewQueue(conn(g), bytes, frames, gapText, func(error) {})
			q.Reply("first")
			synctest.Wait()
			f(q, g)
		})
	}
	same := func(t *testing.T, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, append([]string{"first"}, want...)) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
	t.Run("the busiest conversation becomes a gap, the others keep their events", func(t *testing.T) {
		stalled(t, 1<<20, 4, func(q im.Queue, g *gate) {
			q.Event("quiet 1", "quiet", 1)
			q.Event("busy 1", "busy", 1)
			q.Reply("answer")
			q.Event("busy 2", "busy", 2)
			q.Event("quiet 2", "quiet", 2)
			q.Event("busy 3 is long", "busy", 3)
			same(t, g.letGo(), "quiet 1", "gap busy 3", "answer", "quiet 2")
		})
	})
	t.Run("bytes are a limit, and frames are another", func(t *testing.T) {
		stalled(t, 20, 1000, func(q im.Queue, g *gate) {
			q.Event("0123456789", "c", 1)
			q.Event("0123456789", "c", 2)
			q.Event("x", "c", 3)
			same(t, g.letGo(), "gap c 3")
		})
		stalled(t, 1<<20, 2, func(q im.Queue, g *gate) {
			q.Event("a", "c", 1)
			q.Event("b", "c", 2)
			q.Event("x", "c", 3)
			same(t, g.letGo(), "gap c 3")
		})
	})
	t.Run("a gap that waits stands for what comes later too", func(t *testing.T) {
		stalled(t, 1<<20, 1, func(q im.Queue, g *gate) {
			q.Event("a", "c", 1)
			q.Event("b", "c", 2)
			q.Event("c", "c", 3)
			q.Event("older", "c", 1)
			same(t, g.letGo(), "gap c 3")
			q.Event("after", "c", 4)
			same(t, g.letGo(), "gap c 3", "after")
		})
	})
	t.Run("answers are never dropped", func(t *testing.T) {
		stalled(t, 10, 1, func(q im.Queue, g *gate) {
			var want []string
			for i := range 100 {
				want = append(want, "answer "+strconv.Itoa(i))
				q.Reply(want[i])
			}
			same(t, g.letGo(), want...)
		})
	})
	t.Run("held events come after the answer and are bounded as well", func(t *testing.T) {
		stalled(t, 1<<20, 2, func(q im.Queue, g *gate) {
			q.Hold()
			for i := range int64(5) {
				q.Event("e", "c", i+1)
			}
			q.Event("d", "other", 1)
			q.Reply("answer of the sync")
			q.Release()
			same(t, g.letGo(), "answer of the sync", "gap c 5", "d")
		})
	})
	t.Run("a reader waits for room, but not while its own sync holds what would make it", func(t *testing.T) {
		stalled(t, 10, 1000, func(q im.Queue, g *gate) {
			waits := func() bool {
				done := make(chan struct{})
				go func() {
					q.WaitForRoom()
					close(done)
				}()
				synctest.Wait()
				select {
				case <-done:
					return false
				default:
					return true
				}
			}
			if waits() {
				t.Error("it waits with room left")
			}
			q.Reply("more than ten bytes")
			if !waits() {
				t.Error("it does not wait")
			}
			q.Hold()
			if waits() {
				t.Error("it waits for a sync")
			}
			q.Release()
			g.letGo()
			if waits() {
				t.Error("it waits for an empty queue")
			}
		})
	})
	t.Run("a write that fails is told once, and nothing is kept", func(t *testing.T) {
		for _, shut := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				g := newGate()
				g.shut, g.err = shut, errors.New("reset by peer")
				told := 0
				q := im.NewQueue(conn(g), 100, 100, gapText, func(error) { told++ })
				q.Reply("a")
				q.Reply("b")
				g.letGo()
				q.Reply("c")
				q.Event("d", "c", 1)
				time.Sleep(time.Minute)
				if told != 1 || len(g.taken) > 0 {
					t.Errorf("told %d times, and %q was taken", told, g.taken)
				}
			})
		}
	})
	t.Run("what is more than one write goes out in several", func(t *testing.T) {
		stalled(t, 1<<20, 1000, func(q im.Queue, g *gate) {
			g.letGo()
			q.Hold()
			var want []string
			for i := range int64(300) {
				want = append(want, strconv.FormatInt(i, 10))
				q.Event(want[i], "c", i+1)
			}
			q.Release()
			same(t, g.letGo(), want...)
		})
	})
	t.Run("whatever happens, nothing is lost without a gap, out of order or miscounted", func(t *testing.T) {
		for seed := range uint64(300) {
			stalled(t, 200, 12, func(q im.Queue, g *gate) { randomQueue(t, seed, q, g) })
		}
	})
}

// randomQueue plays a random history against the rules.
func randomQueue(t *testing.T, seed uint64, q im.Queue, g *gate) {
	r := rand.New(rand.NewPCG(seed, 1))
	revs := map[string]int64{}
	answers, holds := 0, 0
	for range 200 {
		switch n := r.IntN(20); {
		case n < 14:
			c := string(rune('a' + r.IntN(3)))
			revs[c]++
			q.Event(fmt.Sprint("event ", c, " ", revs[c])+strings.Repeat(".", r.IntN(40)), c, revs[c])
		case n < 16:
			answers++
			q.Reply(fmt.Sprint("answer ", answers))
		case n < 17:
			q.Hold()
			holds++
		case n < 18 && holds > 0:
			q.Release()
			holds--
		case n == 19:
			g.letGo()
			g.mu.Lock()
			g.shut = true
			g.mu.Unlock()
		}
		if _, bytes, frames := q.Queued(); bytes > 200+40 || frames > 12+3 { // and a gap for each conversation
			t.Fatalf("seed %d: %d bytes of %d events are queued", seed, bytes, frames)
		}
	}
	for range holds {
		q.Release()
	}
	have, gap := map[string]int64{}, map[string]int64{}
	last := 0
	for _, msg := range g.letGo()[1:] {
		words := strings.Fields(strings.TrimRight(msg, "."))
		if words[0] == "answer" {
			if n, _ := strconv.Atoi(words[1]); n != last+1 {
				t.Fatalf("seed %d: answer %d after %d", seed, n, last)
			}
			last++
			continue
		}
		c := words[1]
		rev, _ := strconv.ParseInt(words[2], 10, 64)
		if words[0] == "gap" {
			gap[c] = max(gap[c], rev)
			continue
		}
		if rev <= have[c] {
			t.Fatalf("seed %d: event %d of %s after %d", seed, rev, c, have[c])
		}
		if rev != have[c]+1 && gap[c] < rev-1 {
			t.Fatalf("seed %d: event %d of %s after %d, and the gap said %d", seed, rev, c, have[c], gap[c])
		}
		have[c] = rev
	}
	if last != answers {
		t.Fatalf("seed %d: %d of %d answers", seed, last, answers)
	}
	for c, rev := range revs {
		if max(have[c], gap[c]) != rev {
			t.Fatalf("seed %d: %s ends at %d with a gap to %d of %d", seed, c, have[c], gap[c], rev)
		}
	}
	if all, bytes, frames := q.Queued(); all != 0 || bytes != 0 || frames != 0 {
		t.Fatalf("seed %d: an empty queue counts %d, %d, %d", seed, all, bytes, frames)
	}
}
