package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// busBacklog is how many envelopes wait for one node before they are lost and
// the node is told of a gap.
const busBacklog = 1024

// A Bus is a cluster inside one process, the reference of what a hub does.
type Bus struct {
	mu    sync.RWMutex
	nodes map[string]*node
}

// NewBus returns a cluster without nodes.
func NewBus() *Bus { return &Bus{nodes: map[string]*node{}} }

// Hub returns a new node's end. The name has to be unique among the nodes that
// are alive, else Start fails.
func (b *Bus) Hub(name string) Hub {
	n := &node{bus: b, name: name, topics: map[string]struct{}{}}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.wake.L = &n.mu
	return n
}

// Kill lets a node vanish without a Close of its own, as a crash would: the
// others get a Gap. The node still has to be closed by its owner.
func (b *Bus) Kill(name string) {
	b.mu.Lock()
	n := b.nodes[name]
	delete(b.nodes, name)
	others := make([]*node, 0, len(b.nodes))
	for _, other := range b.nodes {
		others = append(others, other)
	}
	b.mu.Unlock()
	if n == nil {
		return
	}
	n.cancel()
	for _, other := range others {
		other.lose()
	}
}

// A node is one end of a Bus. To itself it delivers in the publisher's
// goroutine; what others publish comes through its backlog.
type node struct {
	bus     *Bus
	name    string
	handler Handler // set by Start

	ctx    context.Context // ends with the node
	cancel context.CancelFunc
	work   sync.WaitGroup // handler calls and the backlog's goroutine

	mu      sync.RWMutex
	wake    sync.Cond
	started bool
	closed  bool
	topics  map[string]struct{}
	backlog []delivery
	gap     bool // something was lost since the last Gap
}

type delivery struct {
	topics []string
	e      Envelope
}

var _ Hub = (*node)(nil)

var errNotStarted = errors.New("hub: not started")

func (n *node) Start(ctx context.Context, h Handler) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.name == "" || h.Deliver == nil {
		return errors.New("hub: a node needs a name and a Deliver function")
	}
	n.bus.mu.Lock()
	defer n.bus.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.closed:
		return ErrClosed
	case n.started:
		return errors.New("hub: started twice")
	case n.bus.nodes[n.name] != nil:
		return fmt.Errorf("hub: a node named %q is alive already", n.name)
	}
	n.handler, n.started = h, true
	n.bus.nodes[n.name] = n
	n.work.Go(n.drain)
	return nil
}

func (n *node) Node() string { return n.name }

func (n *node) Nodes() []string {
	n.bus.mu.RLock()
	defer n.bus.mu.RUnlock()
	names := make([]string, 0, len(n.bus.nodes))
	for name := range n.bus.nodes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (n *node) Subscribe(topics ...string) error {
	if err := validTopics(topics); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usableLocked(); err != nil {
		return err
	}
	for _, topic := range topics {
		n.topics[topic] = struct{}{}
	}
	return nil
}

func (n *node) Unsubscribe(topics ...string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.usableLocked(); err != nil {
		return err
	}
	for _, topic := range topics {
		delete(n.topics, topic)
	}
	return nil
}

func (n *node) Publish(ctx context.Context, topics []string, e Envelope) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := validTopics(topics); err != nil {
		return err
	}
	if err := n.enter(); err != nil {
		return err
	}
	defer n.work.Done()

	n.bus.mu.RLock()
	for _, other := range n.bus.nodes {
		if other != n {
			other.enqueue(topics, e)
		}
	}
	n.bus.mu.RUnlock()

	if subscribed := n.subscribed(topics); len(subscribed) > 0 {
		n.handler.Deliver(subscribed, e)
	}
	return nil
}

func (n *node) Request(ctx context.Context, name string, body []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := n.enter(); err != nil {
		return nil, err
	}
	defer n.work.Done()

	n.bus.mu.RLock()
	to := n.bus.nodes[name]
	n.bus.mu.RUnlock()
	if to == nil || to.enter() != nil {
		return nil, ErrNoNode
	}
	type answer struct {
		body []byte
		err  error
	}
	answered := make(chan answer, 1)
	answering, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer to.work.Done()
		if to.handler.Answer == nil {
			answered <- answer{err: errors.New("hub: the node answers no requests")}
			return
		}
		b, err := to.handler.Answer(answering, body)
		answered <- answer{b, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			return nil, errors.New(a.err.Error())
		}
		return a.body, nil
	case <-to.ctx.Done():
		return nil, ErrNoNode
	case <-n.ctx.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close must not be called by the handler's functions: it waits for them.
func (n *node) Close() error {
	n.bus.mu.Lock()
	if n.bus.nodes[n.name] == n {
		delete(n.bus.nodes, n.name)
	}
	n.bus.mu.Unlock()
	n.mu.Lock()
	n.closed = true
	n.backlog = nil
	n.wake.Broadcast()
	n.mu.Unlock()
	n.cancel()
	n.work.Wait()
	return nil
}

// enter begins work that Close waits for.
func (n *node) enter() error {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if err := n.usableLocked(); err != nil {
		return err
	}
	n.work.Add(1)
	return nil
}

func (n *node) usableLocked() error {
	switch {
	case n.closed || n.ctx.Err() != nil:
		return ErrClosed
	case !n.started:
		return errNotStarted
	}
	return nil
}

// subscribed returns those of topics that the node subscribes, which is topics
// itself where it is all of them.
func (n *node) subscribed(topics []string) []string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.subscribedLocked(topics)
}

func (n *node) subscribedLocked(topics []string) []string {
	count := 0
	for _, topic := range topics {
		if _, ok := n.topics[topic]; ok {
			count++
		}
	}
	if count == len(topics) || count == 0 {
		return topics[:count]
	}
	some := make([]string, 0, count)
	for _, topic := range topics {
		if _, ok := n.topics[topic]; ok {
			some = append(some, topic)
		}
	}
	return some
}

// enqueue leaves an envelope of another node in the backlog.
func (n *node) enqueue(topics []string, e Envelope) {
	n.mu.Lock()
	defer n.mu.Unlock()
	subscribed := n.subscribedLocked(topics)
	switch {
	case n.closed || len(subscribed) == 0:
		return
	case len(n.backlog) >= busBacklog:
		n.gap = true
	default:
		n.backlog = append(n.backlog, delivery{slices.Clone(subscribed), e})
	}
	n.wake.Broadcast()
}

// lose tells the node that it may have lost something.
func (n *node) lose() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gap = true
	n.wake.Broadcast()
}

// drain delivers the backlog until the node is closed or killed. A gap is told
// first: what waits behind it is repeated at worst.
func (n *node) drain() {
	stop := context.AfterFunc(n.ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.wake.Broadcast()
	})
	defer stop()
	for {
		n.mu.Lock()
		for len(n.backlog) == 0 && !n.gap && n.ctx.Err() == nil && !n.closed {
			n.wake.Wait()
		}
		if n.closed || n.ctx.Err() != nil {
			n.mu.Unlock()
			return
		}
		gap, backlog := n.gap, n.backlog
		n.gap, n.backlog = false, nil
		n.mu.Unlock()

		if gap && n.handler.Gap != nil {
			n.handler.Gap()
		}
		for _, d := range backlog {
			if n.ctx.Err() != nil {
				return
			}
			n.handler.Deliver(d.topics, d.e)
		}
	}
}

func validTopics(topics []string) error {
	for _, topic := range topics {
		if len(topic) == 0 || len(topic) > 256 {
			return fmt.Errorf("hub: a topic has 1 to 256 bytes, not %d", len(topic))
		}
	}
	return nil
}
