package hub_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im/hub"
	"example.com/h5im/im/hub/hubtest"
)

func TestConformance(t *testing.T) {
	hubtest.Run(t, func(_ testing.TB, nodes int) []hub.Hub {
		if nodes == 1 {
			return []hub.Hub{hub.NewLocal()}
		}
		bus := hub.NewBus()
		var hubs []hub.Hub
		for i := range nodes {
			hubs = append(hubs, bus.Hub(fmt.Sprint("node", i)))
		}
		return hubs
	})
}

func TestLocal(t *testing.T) {
	t.Run("Publish delivers before it returns", func(t *testing.T) {
		h := hub.NewLocal()
		delivered := 0
		if err := h.Start(t.Context(), hub.Handler{Deliver: func([]string, hub.Envelope) { delivered++ }}); err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		_ = h.Subscribe("a")
		for i := range 10 {
			_ = h.Publish(t.Context(), []string{"a"}, hub.Envelope{})
			if delivered != i+1 {
				t.Fatalf("%d deliveries after %d", delivered, i+1)
			}
		}
	})

	t.Run("before Start nothing works, and says so", func(t *testing.T) {
		h := hub.NewLocal()
		if err := h.Subscribe("a"); err == nil || errors.Is(err, hub.ErrClosed) {
			t.Errorf("Subscribe: %v", err)
		}
		if err := h.Start(t.Context(), hub.Handler{}); err == nil {
			t.Error("started without Deliver")
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestBus(t *testing.T) {
	deliver := func([]string, hub.Envelope) {}

	t.Run("two living nodes cannot share a name", func(t *testing.T) {
		bus := hub.NewBus()
		a, b := bus.Hub("a"), bus.Hub("a")
		if err := a.Start(t.Context(), hub.Handler{Deliver: deliver}); err != nil {
			t.Fatal(err)
		}
		if err := b.Start(t.Context(), hub.Handler{Deliver: deliver}); err == nil {
			t.Error("both started")
		}
		_ = a.Close()
		if err := b.Start(t.Context(), hub.Handler{Deliver: deliver}); err != nil {
			t.Errorf("after the first is closed: %v", err)
		}
		_ = b.Close()
	})

	t.Run("a killed node is no longer alive, its requests fail, and the others get a Gap", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			bus := hub.NewBus()
			a, b := bus.Hub("a"), bus.Hub("b")
			gaps := 0
			_ = a.Start(t.Context(), hub.Handler{Deliver: deliver, Gap: func() { gaps++ }})
			_ = b.Start(t.Context(), hub.Handler{Deliver: deliver, Answer: func(ctx context.Context, _ []byte) ([]byte, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			asked := make(chan error, 1)
			go func() {
				_, err := a.Request(t.Context(), "b", nil)
				asked <- err
			}()
			synctest.Wait()
			bus.Kill("b")
			if err := <-asked; !errors.Is(err, hub.ErrNoNode) {
				t.Errorf("the request under way: %v", err)
			}
			synctest.Wait()
			if len(a.Nodes()) != 1 || gaps != 1 {
				t.Errorf("nodes %v, %d gaps", a.Nodes(), gaps)
			}
			if err := b.Publish(t.Context(), []string{"x"}, hub.Envelope{}); !errors.Is(err, hub.ErrClosed) {
				t.Errorf("the killed node publishes: %v", err)
			}
			_ = a.Close()
			_ = b.Close()
		})
	})

	t.Run("overflow is one Gap, then the rest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			bus := hub.NewBus()
			a, b := bus.Hub("a"), bus.Hub("b")
			var got []int64
			gaps := 0
			release := make(chan struct{})
			_ = a.Start(t.Context(), hub.Handler{Deliver: deliver})
			_ = b.Start(t.Context(), hub.Handler{
				Deliver: func(_ []string, e hub.Envelope) { <-release; got = append(got, e.Rev) },
				Gap:     func() { gaps++ },
			})
			_ = b.Subscribe("x")
			for i := range 5000 {
				_ = a.Publish(t.Context(), []string{"x"}, hub.Envelope{Rev: int64(i)})
				if i == 0 {
					synctest.Wait() // b is busy with it from now on
				}
			}
			close(release)
			time.Sleep(time.Second)
			synctest.Wait()
			if gaps != 1 || len(got) >= 5000 || len(got) < 1000 {
				t.Errorf("%d gaps, %d delivered", gaps, len(got))
			}
			for i, rev := range got {
				if rev != int64(i) {
					t.Errorf("delivery %d has rev %d", i, rev)
				}
			}
			_ = a.Close()
			_ = b.Close()
		})
	})
}
