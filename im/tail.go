package im

import (
	"context"
	"sync"
	"time"

	"example.com/h5im/store"
)

type (
	// Change is an entry of the feed: what kind of object changed, where it stands
	// in the feed, and the object as it is now.
	Change = store.Change
	// ChangeKind is the kind of object that a Change points to.
	ChangeKind = store.ChangeKind
	// Position is a place in the feed. It orders changes and counts nothing.
	Position = store.Position
)

// The kinds of change.
const (
	MessageAppended        = store.MessageAppended
	MessageAmended         = store.MessageAmended
	ConversationCreated    = store.ConversationCreated
	ConversationConfigured = store.ConversationConfigured
	MemberChanged          = store.MemberChanged
)

// TailOptions tune a tail. Zero fields, and nil for all, mean the defaults.
type TailOptions struct {
	// From is where a consumer begins that the store has never seen. It does not
	// move one that it knows. Defaults to FromNow.
	From Start
	// Concurrency is how many conversations are worked on at once. Above 1 the
	// function is called concurrently. Defaults to 1.
	Concurrency int
	// Timeout is after what time the context of one call ends. Defaults to 30 s.
	Timeout time.Duration
	// MaxAttempts is how often a change is tried before it becomes a dead letter.
	// The waits between grow from 1 s to 1 min, each shortened at random by up
	// to a half. Defaults to 12, which is about 5 minutes; math.MaxInt: for ever.
	MaxAttempts int
	// ReadAhead is how many changes are read beyond the oldest that is not done.
	// Where one that fails holds so many back, the tail reads no more until it is
	// done or a dead letter. After a crash they are repeated, and those of the
	// last second. Defaults to 10,000.
	ReadAhead int
}

// Start is where a new consumer begins.
type Start uint8

const (
	// FromNow: with the first change after its first Tail.
	FromNow Start = iota
	// FromBeginning: with the first change of the store.
	FromBeginning
)

const maxConcurrency = 10_000

// complete returns o with the defaults, or what is wrong with it.
func (o *TailOptions) complete() (TailOptions, error) {
	var c TailOptions
	if o != nil {
		c = *o
	}
	if c.From > FromBeginning {
		return c, ErrInvalidArgument.At("From")
	}
	for _, f := range []struct {
		name  string
		field *int
		value int
	}{
		{"Concurrency", &c.Concurrency, 1}, {"MaxAttempts", &c.MaxAttempts, 12}, {"ReadAhead", &c.ReadAhead, 10_000},
	} {
		if *f.field < 0 {
			return c, ErrInvalidArgument.With("an option is negative").At(f.name)
		}
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if c.Timeout < 0 {
		return c, ErrInvalidArgument.With("an option is negative").At("Timeout")
	}
	if c.Concurrency > maxConcurrency {
		return c, ErrInvalidArgument.over("Concurrency", maxConcurrency)
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	return c, nil
}

// tail is one call of Tail.
type tail struct {
	server   *server
	consumer string
	options  TailOptions
	fn       func(context.Context, Change) error
	owner    string         // names this call in the lease
	start    store.Position // of a new consumer; -1: at the end, when it is made

	more chan struct{} // holds a token when there may be something new

	// The three degrees of stopping: no call is begun, the running ones are
	// cancelled, they are waited for no longer.
	halted, cancelled context.Context
	halt, cancel      context.CancelFunc
	abandoned         chan struct{}
	done              chan struct{} // closed when Tail returns
}

func (s *server) newTail(ctx context.Context, consumer string, o *TailOptions, fn func(context.Context, Change) error) (*tail, error) {
	if !validName(consumer, 64) {
		return nil, ErrInvalidArgument.With("a consumer is 1 to 64 of [A-Za-z0-9_.-]").At("consumer")
	}
	if fn == nil {
		return nil, ErrInvalidArgument.With("a tail needs a function").At("fn")
	}
	options, err := o.complete()
	if err != nil {
		return nil, err
	}
	t := &tail{
		server: s, consumer: consumer, options: options, fn: fn, owner: randomID(), start: -1,
		more: make(chan struct{}, 1), abandoned: make(chan struct{}), done: make(chan struct{}),
	}
	if options.From == FromBeginning {
		t.start = 0
	}
	t.cancelled, t.cancel = context.WithCancel(ctx)
	t.halted, t.halt = context.WithCancel(t.cancelled)
	return t, nil
}

// Tail follows the feed. See Server.
func (s *server) Tail(ctx context.Context, consumer string, o *TailOptions, fn func(context.Context, Change) error) error {
	t, err := s.newTail(ctx, consumer, o, fn)
	if err != nil {
		return err
	}
	if err := s.tails.add(t); err != nil {
		t.cancel()
		return err
	}
	return t.serve()
}

// serveTails runs the tails of extensions.
func (s *server) serveTails() {
	for _, t := range s.tailed {
		if err := s.tails.add(t); err != nil { // their names differ
			s.log.Error("tail not begun", "consumer", t.consumer, "err", err)
			continue
		}
		go func() {
			if err := t.serve(); err != nil {
				s.log.Error("tail ended", "consumer", t.consumer, "err", err)
			}
		}()
	}
}

// serve runs the tail whenever it has the lease, until it is stopped.
func (t *tail) serve() error {
	defer t.cancel()
	defer t.server.tails.remove(t)
	for {
		l := t.acquire()
		if l == nil {
			return nil
		}
		if err := newTailRun(t, l).run(); err != nil {
			return err
		}
	}
}

// wake tells that there may be something new.
func (t *tail) wake() {
	select {
	case t.more <- struct{}{}:
	default:
	}
}

// tails are the running tails of a server.
type tails struct {
	mu      sync.RWMutex
	closed  bool
	running map[string]*tail
}

func (ts *tails) add(t *tail) error {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	switch {
	case ts.closed:
		return ErrUnavailable.With("the server shuts down")
	case ts.running[t.consumer] != nil:
		return ErrConflict.With("this server runs a tail of this name already").At("consumer")
	}
	if ts.running == nil {
		ts.running = map[string]*tail{}
	}
	ts.running[t.consumer] = t
	return nil
}

func (ts *tails) remove(t *tail) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.running, t.consumer)
	close(t.done)
}

// wake tells all tails, or that of one consumer.
func (ts *tails) wake(consumer string) {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	for _, t := range ts.running {
		if consumer == "" || consumer == t.consumer {
			t.wake()
		}
	}
}

func (ts *tails) all() []*tail {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	all := make([]*tail, 0, len(ts.running))
	for _, t := range ts.running {
		all = append(all, t)
	}
	return all
}

// halt begins no more calls.
func (ts *tails) halt() {
	ts.mu.Lock()
	ts.closed = true
	ts.mu.Unlock()
	for _, t := range ts.all() {
		t.halt()
	}
}

// cancel cancels the calls that run.
func (ts *tails) cancel() {
	for _, t := range ts.all() {
		t.cancel()
	}
}

// wait waits for all tails. When ctx ends first, their calls are left alone and
// they store what is done.
func (ts *tails) wait(ctx context.Context) (err error) {
	all := ts.all()
	for _, t := range all {
		select {
		case <-t.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err == nil {
		return nil
	}
	for _, t := range all {
		close(t.abandoned)
	}
	last := time.After(lastGrace)
	for _, t := range all {
		select {
		case <-t.done:
		case <-last: // the store hangs
			return err
		}
	}
	return err
}
