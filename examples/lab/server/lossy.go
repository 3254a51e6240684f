package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"example.com/h5im/im/hub"
)

// lossy is a hub at the edge of its contract: it drops, repeats and reorders,
// and tells of a gap after it has dropped.
type lossy struct {
	hub.Hub
	handler hub.Handler
	dropped atomic.Bool
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu     sync.Mutex
	rand   *rand.Rand
	closed bool
}

func newLossy(h hub.Hub, seed uint64) *lossy {
	return &lossy{Hub: h, rand: rand.New(rand.NewPCG(seed, 3))}
}

func (l *lossy) Start(ctx context.Context, h hub.Handler) error {
	l.handler = h
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	disturbed := h
	disturbed.Deliver = l.deliver
	l.work.Go(func() { l.confess(ctx) })
	return l.Hub.Start(ctx, disturbed)
}

func (l *lossy) deliver(topics []string, e hub.Envelope) {
	l.mu.Lock()
	n := l.rand.IntN(100)
	wait := time.Duration(l.rand.IntN(20)) * time.Millisecond
	late := !l.closed && n >= 5 && n < 15
	if late {
		l.work.Add(1)
	}
	l.mu.Unlock()
	switch {
	case late: // others overtake it
		time.AfterFunc(wait, func() {
			defer l.work.Done()
			l.handler.Deliver(topics, e)
		})
		return
	case n < 2:
		l.dropped.Store(true)
		return
	case n < 5:
		l.handler.Deliver(topics, e)
	}
	l.handler.Deliver(topics, e)
}

// confess tells of gaps.
func (l *lossy) confess(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if l.dropped.Swap(false) {
				l.handler.Gap()
			}
		}
	}
}

func (l *lossy) Close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.work.Wait()
	return l.Hub.Close()
}
