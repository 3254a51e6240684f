package hubtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/h5im/im/hub"
)

func (s suite) subscriptions(t *testing.T) {
	t.Run("an envelope comes to every node that subscribes, whole, and to no other", func(t *testing.T) {
		nodes := s.start(t, 3, nil)
		must(t, nodes[0].Subscribe("a"))
		must(t, nodes[1].Subscribe("a"))
		must(t, nodes[2].Subscribe("b"))
		payload := []byte("opaque \x00 bytes")
		sent := hub.Envelope{Key: "k", Rev: 7, MemberRev: 3, Class: hub.Signal, Payload: payload}
		s.published(t, nodes, 0, []string{"a"}, sent)
		for i, want := range []int{1, 1, 0} {
			got := settle(t, nodes[0], nodes[i])
			if len(got) != want {
				t.Fatalf("node %d got %d", i, len(got))
			}
			for _, d := range got {
				if d.Key != "k" || d.Rev != 7 || d.MemberRev != 3 || d.Class != hub.Signal ||
					string(d.Payload) != string(payload) || !slices.Equal(d.topics, []string{"a"}) {
					t.Errorf("node %d got %+v", i, d)
				}
			}
		}
		if string(payload) != "opaque \x00 bytes" {
			t.Error("the payload was changed")
		}
	})

	t.Run("several topics make one delivery per node, with those that it subscribes", func(t *testing.T) {
		nodes := s.start(t, 2, nil)
		must(t, nodes[0].Subscribe("a", "b", "c", "elsewhere"))
		must(t, nodes[1].Subscribe("d", "b"))
		topics := []string{"a", "b", "c", "d", "e"}
		s.published(t, nodes, 0, topics, hub.Envelope{Key: "k"})
		for i, want := range [][]string{{"a", "b", "c"}, {"b", "d"}} {
			got := settle(t, nodes[0], nodes[i])
			if len(got) != 1 {
				t.Fatalf("node %d got %d", i, len(got))
			}
			slices.Sort(got[0].topics)
			if !slices.Equal(got[0].topics, want) {
				t.Errorf("node %d got topics %v, want %v", i, got[0].topics, want)
			}
		}
		if !slices.Equal(topics, []string{"a", "b", "c", "d", "e"}) {
			t.Error("the publisher's topics were changed")
		}
	})

	t.Run("the publisher's topics are its own again after Publish", func(t *testing.T) {
		nodes := s.start(t, 2, nil)
		must(t, nodes[1].Subscribe("a"))
		topics := []string{"a"}
		s.published(t, nodes, 0, topics, hub.Envelope{Key: "k"})
		topics[0] = "changed"
		if got := settle(t, nodes[0], nodes[1]); len(got) != 1 || got[0].topics[0] != "a" {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("what a process publishes after its own Subscribe is delivered to it", func(t *testing.T) {
		n := s.start(t, 2, nil)[0]
		for i := range 100 {
			topic := fmt.Sprint("topic ", i)
			must(t, n.Subscribe(topic))
			must(t, n.Publish(t.Context(), []string{topic}, hub.Envelope{Key: topic}))
		}
		n.wait(t, 100)
	})

	t.Run("one Unsubscribe ends any number of Subscribes", func(t *testing.T) {
		n := s.start(t, 2, nil)[0]
		must(t, n.Subscribe("a", "a"))
		must(t, n.Subscribe("a"))
		must(t, n.Subscribe("b"))
		must(t, n.Unsubscribe("a", "unknown"))
		must(t, n.Publish(t.Context(), []string{"a", "b"}, hub.Envelope{Key: "k"}))
		must(t, n.Publish(t.Context(), []string{"a"}, hub.Envelope{Key: "k"}))
		if got := settle(t, n, n); len(got) != 1 || !slices.Equal(got[0].topics, []string{"b"}) {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("a topic is any string of 1 to 256 bytes", func(t *testing.T) {
		nodes := s.start(t, 2, nil)
		topics := []string{" ", "*", ">", "a.b", "a.*", "a b\r\n", "\x00\xff", "日本語", strings.Repeat("x", 256), "A", "a"}
		must(t, nodes[1].Subscribe(topics...))
		for i, topic := range topics {
			s.published(t, nodes, 0, []string{topic}, hub.Envelope{Key: "k", Rev: int64(i)})
		}
		got := settle(t, nodes[0], nodes[1])
		if len(got) != len(topics) {
			t.Fatalf("got %d of %d", len(got), len(topics))
		}
		for i, d := range got {
			if d.Rev != int64(i) || !slices.Equal(d.topics, topics[i:i+1]) {
				t.Errorf("topic %q came as %q", topics[i], d.topics)
			}
		}
		for _, bad := range []string{"", strings.Repeat("x", 257)} {
			if nodes[0].Subscribe(bad) == nil || nodes[0].Publish(t.Context(), []string{bad}, hub.Envelope{}) == nil {
				t.Errorf("%d bytes were taken", len(bad))
			}
		}
	})
}

// published publishes when every node's subscriptions are known to node from,
// which other processes' need not be at once.
func (s suite) published(t testing.TB, nodes []*node, from int, topics []string, e hub.Envelope) {
	t.Helper()
	for _, n := range nodes {
		settle(t, nodes[from], n)
	}
	must(t, nodes[from].Publish(t.Context(), topics, e))
}

func (s suite) order(t *testing.T) {
	t.Run("envelopes of one key stay in order, on every node", func(t *testing.T) {
		const keys, each = 8, 100
		nodes := s.start(t, 2, nil)
		for _, n := range nodes {
			must(t, n.Subscribe("a"))
			settle(t, nodes[0], n)
		}
		var publishing sync.WaitGroup
		for k := range keys {
			publishing.Go(func() {
				for i := range each {
					if err := nodes[0].Publish(t.Context(), []string{"a"}, hub.Envelope{Key: fmt.Sprint("k", k), Rev: int64(i + 1)}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		publishing.Wait()
		for i, n := range nodes {
			last := map[string]int64{}
			for _, d := range settle(t, nodes[0], n) {
				if strings.HasPrefix(d.Key, "k") {
					if d.Rev != last[d.Key]+1 {
						t.Fatalf("node %d got rev %d of %s after %d", i, d.Rev, d.Key, last[d.Key])
					}
					last[d.Key] = d.Rev
				}
			}
			for k := range keys {
				if last[fmt.Sprint("k", k)] != each {
					t.Errorf("node %d got %d of key %d", i, last[fmt.Sprint("k", k)], k)
				}
			}
		}
	})

	t.Run("Deliver may publish and subscribe", func(t *testing.T) {
		h := s.open(t, 1)[0]
		done := make(chan struct{})
		must(t, h.Start(t.Context(), hub.Handler{Deliver: func(_ []string, e hub.Envelope) {
			if e.Key == "second" {
				close(done)
				return
			}
			if err := errors.Join(h.Subscribe("b"), h.Publish(t.Context(), []string{"b"}, hub.Envelope{Key: "second"})); err != nil {
				t.Error(err)
			}
		}}))
		defer h.Close()
		must(t, h.Subscribe("a"))
		must(t, h.Publish(t.Context(), []string{"a"}, hub.Envelope{Key: "first"}))
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("it stands still")
		}
	})
}

func (s suite) overflow(t *testing.T) {
	t.Run("a node that does not keep up gets everything or a Gap, and holds up nobody", func(t *testing.T) {
		const count = 20_000
		hubs := s.open(t, 2)
		var mu sync.Mutex
		delivered, gap := 0, make(chan struct{}, 1)
		enough := make(chan struct{})
		blocked := make(chan struct{})
		must(t, hubs[0].Start(t.Context(), hub.Handler{Deliver: func([]string, hub.Envelope) {}}))
		must(t, hubs[1].Start(t.Context(), hub.Handler{
			Deliver: func(_ []string, e hub.Envelope) {
				<-blocked
				mu.Lock()
				defer mu.Unlock()
				if delivered++; delivered == count {
					close(enough)
				}
			},
			Gap: func() {
				select {
				case gap <- struct{}{}:
				default:
				}
			},
		}))
		defer hubs[1].Close()
		defer hubs[0].Close()
		for _, h := range hubs {
			eventually(t, func() bool { return len(h.Nodes()) == 2 })
		}
		must(t, hubs[1].Subscribe("a"))
		published := make(chan struct{})
		go func() {
			defer close(published)
			for i := range count {
				if err := hubs[0].Publish(context.Background(), []string{"a"}, hub.Envelope{Key: "k", Rev: int64(i + 1)}); err != nil {
					t.Error(err)
				}
			}
		}()
		select {
		case <-published:
		case <-time.After(patience):
			t.Error("Publish waits for another node")
		}
		close(blocked)
		<-published
		select {
		case <-enough:
		case <-gap:
		case <-time.After(patience):
			t.Errorf("%d of %d came, and no Gap", delivered, count)
		}
	})
}

func (s suite) concurrency(t *testing.T) {
	t.Run("every method may run beside every other", func(t *testing.T) {
		nodes := s.start(t, 2, func(_ context.Context, body []byte) ([]byte, error) { return body, nil })
		var work sync.WaitGroup
		for w := range 4 {
			for _, n := range nodes {
				work.Go(func() {
					for i := range 50 {
						topic := fmt.Sprint("topic ", (i+w)%5)
						err := errors.Join(
							n.Subscribe(topic),
							n.Publish(t.Context(), []string{topic}, hub.Envelope{Key: topic, Rev: int64(i)}),
							n.Unsubscribe(topic),
						)
						if _, askErr := n.Request(t.Context(), nodes[i%2].Node(), []byte("x")); err != nil || askErr != nil {
							t.Error(err, askErr)
							return
						}
						_ = n.Nodes()
					}
				})
			}
		}
		work.Wait()
	})

	t.Run("Close may come beside everything, and ends delivery", func(t *testing.T) {
		for range 5 {
			h := s.open(t, 1)[0]
			var mu sync.Mutex
			closed, late := false, false
			must(t, h.Start(t.Context(), hub.Handler{Deliver: func([]string, hub.Envelope) {
				mu.Lock()
				defer mu.Unlock()
				late = late || closed
			}}))
			must(t, h.Subscribe("a"))
			var work sync.WaitGroup
			begun := make(chan struct{}, 4)
			for range 4 {
				work.Go(func() {
					begun <- struct{}{}
					for h.Publish(context.Background(), []string{"a"}, hub.Envelope{Key: "k"}) == nil {
					}
				})
			}
			<-begun
			must(t, h.Close())
			mu.Lock()
			closed = true
			mu.Unlock()
			work.Wait()
			mu.Lock()
			if late {
				t.Error("delivered after Close")
			}
			mu.Unlock()
		}
	})
}
