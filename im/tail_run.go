package im

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"example.com/h5im/store"
)

const (
	// tailStored is how often a position that moved is stored.
	tailStored = time.Second
	// tailPolled is how often the feed is read for what other nodes wrote.
	tailPolled = time.Second
	// tailBatch is how many changes are read at once.
	tailBatch = 256
	// tailLetters is how many dead letters are written or taken up at once.
	tailLetters = 100
)

// tailRun is a tail while it holds the lease. One goroutine, run, owns all of
// it; calls of the function and writes of the record run beside and report.
//
// It reads the feed as long as it could begin one more call, spreads what it
// reads over the lanes of the conversations, and remembers in window, in the
// order of the feed, what is not done. The position is that before the first.
type tailRun struct {
	tail  *tail
	lease *lease // in the hands of the running save, else of run

	renewed time.Time // as far as run knows

	calls       context.Context // of the calls; ends with the lease
	cancelCalls context.CancelFunc
	stop        context.Context // no more calls are begun
	lost        *time.Timer     // ends both when the lease was not renewed in time

	read    store.Position // everything up to it has been read
	atEnd   bool           // there was no more when it was read last
	polled  time.Time
	window  []*delivery
	lanes   lanes
	running int

	letters  []*delivery             // whose writes are to be stored
	retrying map[store.Position]bool // dead letters that are tried again
	saving   bool
	stored   time.Time // when the last save began
	dirty    bool      // something is to be stored

	results chan callResult
	saved   chan saveResult
}

type callResult struct {
	lane   *lane
	letter DeadLetter // what it becomes if this was the last attempt
	err    error
	unread bool // err is the store's, and the function was not called
}

var errGoexit = errors.New("the function ended its goroutine")

type saveResult struct {
	letters int // stored
	retries []store.Record
	err     error
}

func newTailRun(t *tail, l *lease) *tailRun {
	r := &tailRun{
		tail: t, lease: l, read: l.position,
		lanes: lanes{all: map[string]*lane{}}, retrying: map[store.Position]bool{}, renewed: l.renewed, stored: l.renewed,
		results: make(chan callResult, t.options.Concurrency), saved: make(chan saveResult, 1),
	}
	r.calls, r.cancelCalls = context.WithCancel(t.cancelled)
	var halt context.CancelFunc
	r.stop, halt = context.WithCancel(t.halted)
	r.lost = time.AfterFunc(leaseHeld, func() { halt(); r.cancelCalls() })
	context.AfterFunc(r.calls, halt)
	return r
}

// run works until the tail is halted or the lease lost, and returns when no call
// runs any more. The error is that of storing the last position.
func (r *tailRun) run() error {
	defer r.cancelCalls()
	defer r.lost.Stop()
	r.dirty = true // takes up dead letters that are to be tried again
	for {
		now := time.Now()
		stopping := r.stop.Err() != nil
		if stopping && r.running == 0 && !r.saving {
			break
		}
		r.lanes.wake(now)
		if !stopping {
			r.begin()
			if r.hungry() {
				r.fill()
				continue
			}
		}
		if r.saveDue(now) {
			r.save()
		}
		if !r.wait(stopping) {
			break
		}
	}
	return r.finish()
}

// begin begins calls while there are lanes for them.
func (r *tailRun) begin() {
	for r.running < r.tail.options.Concurrency {
		if !fresh(r.renewed) {
			r.cancelCalls()
			return
		}
		l := r.lanes.next()
		if l == nil {
			return
		}
		r.running++
		go r.call(l, l.queue[0].position, l.queue[0].change)
	}
}

// hungry tells whether to read on.
func (r *tailRun) hungry() bool {
	return r.running < r.tail.options.Concurrency && !r.atEnd && len(r.window) < r.tail.options.ReadAhead && r.stop.Err() == nil
}

// fill reads the next changes.
func (r *tailRun) fill() {
	limit := min(tailBatch, r.tail.options.ReadAhead-len(r.window))
	changes, err := r.tail.server.store.Feed(r.stop, r.read, limit)
	r.polled, r.atEnd = time.Now(), len(changes) < limit
	if err != nil {
		if r.stop.Err() == nil {
			r.warn("tail cannot read", "err", err)
		}
		return
	}
	for i := range changes {
		c := &changes[i]
		d := &delivery{position: c.Position, change: c}
		r.read = c.Position
		r.window = append(r.window, d)
		r.lanes.add(c.Conversation, d)
	}
}

// wait returns when there is something to do, false when the tail was abandoned.
func (r *tailRun) wait(stopping bool) bool {
	next := time.Now().Add(leaseHeld)
	if !r.saving && fresh(r.renewed) {
		next = r.nextSave()
	}
	if len(r.lanes.waiting) > 0 && !stopping {
		next = earlier(next, r.lanes.waiting[0].until)
	}
	if r.atEnd && !stopping {
		next = earlier(next, r.polled.Add(tailPolled))
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	stop := r.stop.Done()
	if stopping {
		stop = nil
	}
	select {
	case result := <-r.results:
		r.called(result)
	case result := <-r.saved:
		r.saveEnded(result)
	case <-r.tail.more:
		r.atEnd = false
	case <-timer.C:
		if time.Since(r.polled) >= tailPolled {
			r.atEnd = false
		}
	case <-stop:
	case <-r.tail.abandoned:
		return false
	}
	return true
}

// call runs in a goroutine of its own and always reports.
func (r *tailRun) call(l *lane, position store.Position, c *store.Change) {
	result := callResult{lane: l}
	defer func() { r.results <- result }()
	if c == nil {
		if c, result.err = r.tail.server.changeAt(r.calls, position); c == nil {
			result.unread = result.err != nil
			return
		}
	}
	if m := c.Message; m != nil && m.Expired(r.tail.server.now()) {
		return
	}
	result.letter = newDeadLetter(c) // before the change is the function's
	ctx, cancel := context.WithTimeout(r.calls, r.tail.options.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			result.err = fmt.Errorf("the function panicked: %v\n%s", p, debug.Stack())
		}
	}()
	result.err = errGoexit
	result.err = r.tail.fn(ctx, *c)
}

// changeAt reads one change; nil where the feed no longer has it.
func (s *server) changeAt(ctx context.Context, position store.Position) (*store.Change, error) {
	changes, err := s.store.Feed(ctx, position-1, 1)
	if err != nil || len(changes) == 0 || changes[0].Position != position {
		return nil, err
	}
	return &changes[0], nil
}

// called takes the result of a call.
func (r *tailRun) called(result callResult) {
	r.running--
	l := result.lane
	d := l.queue[0]
	switch {
	case result.err == nil:
		if d.retry {
			r.settle(d, deleteLetter(retryRecords, r.tail.consumer, d.position))
		} else {
			d.done = true
		}
		r.lanes.shift(l)
		r.advance()
	case r.calls.Err() != nil: // cancelled: no fault of the function's
		r.lanes.delay(l, 0)
	case result.unread:
		r.warn("tail cannot read", "err", result.err)
		r.lanes.delay(l, tailPolled)
	case l.attempts+1 < r.tail.options.MaxAttempts:
		l.attempts++
		wait := backoff(l.attempts)
		r.warn("tail failed", "conversation", l.conversation, "position", d.position, "attempt", l.attempts, "again", wait, "err", result.err)
		r.lanes.delay(l, wait)
	default:
		l.attempts++
		r.tail.server.log.Error("tail gave up a change", "consumer", r.tail.consumer,
			"conversation", l.conversation, "position", d.position, "attempt", l.attempts, "err", result.err)
		letter := result.letter
		letter.Attempts, letter.Error, letter.Time = l.attempts, result.err.Error(), r.tail.server.config.Now()
		r.settle(d, letter.bury(r.tail.consumer)...)
		r.lanes.shift(l)
	}
}

// settle makes a delivery done with the write of the position that stores its own.
func (r *tailRun) settle(d *delivery, writes ...store.RecordWrite) {
	d.writes = writes
	r.letters = append(r.letters, d)
	r.dirty = true
}

// advance forgets what is done and has nothing before it that is not.
func (r *tailRun) advance() {
	for len(r.window) > 0 && r.window[0].done {
		r.window[0] = nil
		r.window = r.window[1:]
		r.dirty = true
	}
}

// position is up to where everything is done.
func (r *tailRun) position() store.Position {
	if len(r.window) > 0 {
		return r.window[0].position - 1
	}
	return r.read
}

func (r *tailRun) nextSave() time.Time {
	if r.dirty {
		return r.stored.Add(tailStored)
	}
	return r.stored.Add(leaseRenewed)
}

func (r *tailRun) saveDue(now time.Time) bool {
	return !r.saving && fresh(r.renewed) && !now.Before(r.nextSave())
}

// save stores the position and what else is due, and looks for dead letters that
// are to be tried again.
func (r *tailRun) save() {
	position, letters, writes := r.due()
	r.saving, r.dirty, r.stored = true, false, time.Now()
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.calls), leaseHeld)
		defer cancel()
		result := saveResult{letters: letters}
		if result.err = r.lease.write(ctx, position, false, writes); result.err == nil {
			result.retries, result.err = r.tail.retries(ctx)
		} else {
			result.letters = 0
		}
		r.saved <- result
	}()
}

// due is what is to be stored in one write: dead letters, and a position that
// counts them as done.
func (r *tailRun) due() (p store.Position, letters int, writes []store.RecordWrite) {
	letters = min(len(r.letters), tailLetters)
	for _, d := range r.letters[:letters] {
		d.done = true
		writes = append(writes, d.writes...)
	}
	r.advance()
	return r.position(), letters, writes
}

func (r *tailRun) saveEnded(result saveResult) {
	r.saving = false
	for _, d := range r.letters[:result.letters] {
		if d.retry {
			delete(r.retrying, d.position)
		}
	}
	r.letters = r.letters[result.letters:]
	r.dirty = r.dirty || len(r.letters) > 0
	r.renewed = r.lease.renewed
	switch {
	case errors.Is(result.err, errLeaseLost):
		r.warn("tail lost its lease")
		r.renewed = time.Time{}
	case result.err != nil:
		r.warn("tail cannot store", "err", result.err)
		r.dirty = true
	}
	r.lost.Reset(leaseHeld - time.Since(r.renewed))
	for i := range result.retries {
		r.takeUp(&result.retries[i])
	}
}

// takeUp puts a dead letter that is to be tried again into its lane.
func (r *tailRun) takeUp(record *store.Record) {
	letter, err := readDeadLetter(record)
	if err != nil {
		r.warn("dead letter not readable", "err", err)
		return
	}
	if !r.retrying[letter.Position] {
		r.retrying[letter.Position] = true
		r.lanes.add(letter.Conversation, &delivery{position: letter.Position, retry: true})
	}
}

// finish stores the last position and gives the lease back; where calls were
// left alone, it runs out instead.
func (r *tailRun) finish() error {
	r.cancelCalls()
	if r.saving || !fresh(r.renewed) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.calls), lastGrace)
	defer cancel()
	position, _, writes := r.due()
	var err error
	if r.running > 0 {
		r.warn("tail left calls alone that do not end", "calls", r.running)
		err = r.lease.write(ctx, position, false, writes)
	} else {
		err = r.lease.release(ctx, position, writes)
	}
	if errors.Is(err, errLeaseLost) {
		return nil
	}
	if err != nil {
		err = fmt.Errorf("im: the position of the tail %s is not stored, its last changes will be repeated: %w", r.tail.consumer, err)
	}
	return err
}

func (r *tailRun) warn(what string, args ...any) {
	r.tail.server.log.Warn(what, append([]any{"consumer", r.tail.consumer}, args...)...)
}

// backoff is how long to wait after so many failures.
func backoff(failures int) time.Duration {
	wait := time.Minute
	if failures <= 6 {
		wait = time.Second << (failures - 1)
	}
	return wait - rand.N(wait/2)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
