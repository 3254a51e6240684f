package hub

import (
	"context"
	"slices"
	"sync"
)

// queueLimit is how many envelopes wait for another node of a Bus; above it
// they are dropped and the node is told of a gap.
const queueLimit = 4096

// NewLocal returns the hub of a single process. Publish delivers in the
// caller's goroutine.
func NewLocal() Hub { return NewBus().Hub("local") }

// Bus joins hubs in one process: the reference for real ones, and a cluster for
// tests.
type Bus struct {
	mu    sync.RWMutex
	nodes map[string]*local
}

// NewBus returns a bus without nodes.
func NewBus() *Bus { return &Bus{nodes: map[string]*local{}} }

// Hub returns a node's end. The node is alive from Start to Close.
func (b *Bus) Hub(node string) Hub {
	return &local{bus: b, node: node, topics: map[string]struct{}{}}
}

type local struct {
	bus     *Bus
	node    string
	handler Handler

	mu      sync.Mutex
	topics  map[string]struct{}
	queue   []delivery // from other nodes
	gap     bool
	started bool
	closed  bool
	done    sync.WaitGroup // of the goroutine that empties queue, and of local deliveries
}

type delivery struct {
	topics []string
	e      Envelope
}

func (h *local) Start(_ context.Context, handler Handler) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	h.handler, h.started = handler, true
	h.bus.mu.Lock()
	h.bus.nodes[h.node] = h
	h.bus.mu.Unlock()
	return nil
}

func (h *local) Node() string { return h.node }

func (h *local) Nodes() []string {
	h.bus.mu.RLock()
	defer h.bus.mu.RUnlock()
	names := make([]string, 0, len(h.bus.nodes))
	for name := range h.bus.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (h *local) Subscribe(topics ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	for _, t := range topics {
		h.topics[t] = struct{}{}
	}
	return nil
}

func (h *local) Unsubscribe(topics ...string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range topics {
		delete(h.topics, t)
	}
	return nil
}

func (h *local) Publish(ctx context.Context, topics []string, e Envelope) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.mu.Lock()
	if h.closed || !h.started {
		h.mu.Unlock()
		return ErrClosed
	}
	mine := h.wantedLocked(topics)
	if len(mine) > 0 {
		h.done.Add(1)
	}
	h.mu.Unlock()
	if len(mine) > 0 {
		h.handler.Deliver(mine, e)
		h.done.Done()
	}
	h.bus.mu.RLock()
	defer h.bus.mu.RUnlock()
	for _, other := range h.bus.nodes {
		if other != h {
			other.enqueue(topics, e)
		}
	}
	return nil
}

// wantedLocked are those of topics that the node subscribes.
func (h *local) wantedLocked(topics []string) []string {
	var wanted []string
	for _, t := range topics {
		if _, ok := h.topics[t]; ok {
			wanted = append(wanted, t)
		}
	}
	return wanted
}

func (h *local) enqueue(topics []string, e Envelope) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wanted := h.wantedLocked(topics)
	if len(wanted) == 0 || h.closed {
		return
	}
	if len(h.queue) >= queueLimit {
		h.gap = true
		return
	}
	h.queue = append(h.queue, delivery{wanted, e})
	if len(h.queue) == 1 && !h.gap {
		h.done.Go(h.drain)
	}
}

// drain delivers what other nodes published, in order, until nothing waits.
func (h *local) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.queue) > 0 && !h.closed {
		next := h.queue[0]
		h.mu.Unlock()
		h.handler.Deliver(next.topics, next.e)
		h.mu.Lock()
		h.queue = h.queue[1:]
		if len(h.queue) == 0 && h.gap && !h.closed {
			h.gap = false
			h.mu.Unlock()
			h.handler.Gap()
			h.mu.Lock()
		}
	}
}

func (h *local) Request(ctx context.Context, node string, body []byte) ([]byte, error) {
	h.bus.mu.RLock()
	other := h.bus.nodes[node]
	h.bus.mu.RUnlock()
	if other == nil {
		return nil, ErrNoNode
	}
	return other.handler.Answer(ctx, body)
}

func (h *local) Close() error {
	h.bus.mu.Lock()
	if h.bus.nodes[h.node] == h {
		delete(h.bus.nodes, h.node)
	}
	h.bus.mu.Unlock()
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.done.Wait()
	return nil
}
