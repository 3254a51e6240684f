// Package hubtest is the suite that every hub passes.
package hubtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"example.com/h5im/im/hub"
)

// Run tests a hub. open returns the ends of a new cluster of that many nodes,
// not started; the suite starts and closes them.
func Run(t *testing.T, open func(t testing.TB, nodes int) []hub.Hub) {
	s := suite{open}
	t.Run("subscriptions", s.subscriptions)
	t.Run("order", s.order)
	t.Run("requests", s.requests)
	t.Run("membership", s.membership)
	t.Run("overflow", s.overflow)
	t.Run("concurrency", s.concurrency)
}

type suite struct {
	open func(t testing.TB, nodes int) []hub.Hub
}

// patience is how long anything may take on a busy machine.
const patience = 20 * time.Second

// A node is a started hub and what it was told.
type node struct {
	hub.Hub

	mu      sync.Mutex
	got     []delivery
	settled int           // envelopes of settle
	news    chan struct{} // closed at the next delivery
}

type delivery struct {
	topics []string
	hub.Envelope
}

// start opens and starts nodes, whose Answer is answer.
func (s suite) start(t testing.TB, nodes int, answer func(context.Context, []byte) ([]byte, error)) []*node {
	t.Helper()
	var started []*node
	for _, h := range s.open(t, nodes) {
		n := &node{Hub: h, news: make(chan struct{})}
		err := h.Start(t.Context(), hub.Handler{
			Deliver: func(topics []string, e hub.Envelope) {
				n.note(func() {
					if e.Key == settleTopic {
						n.settled++
						return
					}
					n.got = append(n.got, delivery{append([]string(nil), topics...), e})
				})
			},
			Answer: answer,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Close() })
		started = append(started, n)
	}
	// A cluster forms when every node knows every other.
	for _, n := range started {
		eventually(t, func() bool { return len(n.Nodes()) == nodes })
	}
	return started
}

func (n *node) note(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.news)
	n.news = make(chan struct{})
}

// wait returns the deliveries when there are at least count.
func (n *node) wait(t testing.TB, count int) []delivery {
	t.Helper()
	late := time.After(patience)
	for {
		n.mu.Lock()
		got, news := append([]delivery(nil), n.got...), n.news
		n.mu.Unlock()
		if len(got) >= count {
			return got
		}
		select {
		case <-news:
		case <-late:
			t.Fatalf("node %s got %d of %d", n.Node(), len(got), count)
		}
	}
}

const settleTopic = "hubtest.settle"

// settle returns what has come to a node, and sees to it that this includes
// what was published before: an envelope of its own follows it.
func settle(t testing.TB, from, to *node) []delivery {
	t.Helper()
	must(t, to.Subscribe(settleTopic))
	to.mu.Lock()
	before := to.settled
	to.mu.Unlock()
	late := time.After(patience)
	again := time.NewTicker(100 * time.Millisecond) // other processes learn of a Subscribe later
	defer again.Stop()
	publish := true
	for {
		if publish {
			must(t, from.Publish(t.Context(), []string{settleTopic}, hub.Envelope{Key: settleTopic}))
			publish = false
		}
		to.mu.Lock()
		got, settled, news := append([]delivery(nil), to.got...), to.settled, to.news
		to.mu.Unlock()
		if settled > before {
			must(t, to.Unsubscribe(settleTopic))
			return got
		}
		select {
		case <-news:
		case <-again.C:
			publish = true
		case <-late:
			t.Fatalf("node %s heard nothing of %s", to.Node(), from.Node())
		}
	}
}

// eventually waits until f is true.
func eventually(t testing.TB, f func() bool) {
	t.Helper()
	late := time.After(patience)
	for !f() {
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			t.Fatal("it never came true")
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
