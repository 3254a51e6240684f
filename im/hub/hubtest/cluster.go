package hubtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"example.com/h5im/im/hub"
)

func (s suite) requests(t *testing.T) {
	t.Run("a request is answered by the node that is asked", func(t *testing.T) {
		hubs := s.open(t, 3)
		for _, h := range hubs {
			must(t, h.Start(t.Context(), hub.Handler{
				Deliver: func([]string, hub.Envelope) {},
				Answer: func(_ context.Context, body []byte) ([]byte, error) {
					return []byte(h.Node() + " heard " + string(body)), nil
				},
			}))
			defer h.Close()
		}
		for _, h := range hubs {
			eventually(t, func() bool { return len(h.Nodes()) == 3 })
		}
		for _, from := range hubs {
			for _, to := range hubs {
				got, err := from.Request(t.Context(), to.Node(), []byte(from.Node()))
				if want := to.Node() + " heard " + from.Node(); err != nil || string(got) != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
				}
			}
		}
	})

	t.Run("the answer's error arrives as text", func(t *testing.T) {
		nodes := s.start(t, 2, func(context.Context, []byte) ([]byte, error) { return nil, context.Canceled })
		for _, to := range nodes {
			_, err := nodes[0].Request(t.Context(), to.Node(), nil)
			if err == nil || err.Error() != context.Canceled.Error() || errors.Is(err, context.Canceled) {
				t.Errorf("got %#v", err)
			}
		}
	})

	t.Run("a node that does not exist or has gone is ErrNoNode", func(t *testing.T) {
		nodes := s.start(t, 2, func(_ context.Context, body []byte) ([]byte, error) { return body, nil })
		if _, err := nodes[0].Request(t.Context(), "nobody", nil); !errors.Is(err, hub.ErrNoNode) {
			t.Errorf("unknown: %v", err)
		}
		must(t, nodes[1].Close())
		if _, err := nodes[0].Request(t.Context(), nodes[1].Node(), nil); !errors.Is(err, hub.ErrNoNode) {
			t.Errorf("gone: %v", err)
		}
	})

	t.Run("the asker's context ends the wait", func(t *testing.T) {
		asked := make(chan struct{}, 2)
		release := make(chan struct{})
		nodes := s.start(t, 2, func(context.Context, []byte) ([]byte, error) {
			asked <- struct{}{}
			<-release
			return nil, nil
		})
		defer close(release)
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error, 1)
		go func() {
			_, err := nodes[0].Request(ctx, nodes[1].Node(), nil)
			got <- err
		}()
		<-asked
		cancel()
		select {
		case err := <-got:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		case <-time.After(patience):
			t.Error("it waits on")
		}
		if _, err := nodes[0].Request(ctx, nodes[1].Node(), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that has ended: %v", err)
		}
	})
}

func (s suite) membership(t *testing.T) {
	t.Run("Nodes are those that are alive, this one included", func(t *testing.T) {
		nodes := s.start(t, 3, nil)
		var names []string
		for _, n := range nodes {
			names = append(names, n.Node())
		}
		slices.Sort(names)
		if len(slices.Compact(slices.Clone(names))) != 3 {
			t.Fatalf("names are not unique: %v", names)
		}
		same := func(n *node, want []string) func() bool {
			return func() bool {
				got := n.Nodes()
				slices.Sort(got)
				return slices.Equal(got, want)
			}
		}
		for _, n := range nodes {
			eventually(t, same(n, names))
		}
		gone := nodes[1].Node()
		must(t, nodes[1].Close())
		names = slices.DeleteFunc(names, func(name string) bool { return name == gone })
		eventually(t, same(nodes[0], names))
		eventually(t, same(nodes[2], names))
	})

	t.Run("a node that was closed gets nothing, and the others go on", func(t *testing.T) {
		nodes := s.start(t, 2, nil)
		for _, n := range nodes {
			must(t, n.Subscribe("a"))
		}
		must(t, nodes[1].Close())
		must(t, nodes[0].Publish(t.Context(), []string{"a"}, hub.Envelope{Key: "k"}))
		if got := settle(t, nodes[0], nodes[0]); len(got) != 1 {
			t.Errorf("got %d", len(got))
		}
		nodes[1].mu.Lock()
		defer nodes[1].mu.Unlock()
		if len(nodes[1].got) != 0 {
			t.Errorf("the closed node got %d", len(nodes[1].got))
		}
	})

	t.Run("after Close everything is ErrClosed", func(t *testing.T) {
		n := s.start(t, 1, nil)[0]
		name := n.Node()
		must(t, n.Close())
		must(t, n.Close())
		_, err := n.Request(t.Context(), name, nil)
		for i, err := range []error{
			err, n.Subscribe("a"), n.Unsubscribe("a"), n.Publish(t.Context(), []string{"a"}, hub.Envelope{}),
			n.Start(t.Context(), hub.Handler{Deliver: func([]string, hub.Envelope) {}}),
		} {
			if !errors.Is(err, hub.ErrClosed) {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
}
