package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"example.com/h5im/store/bolt"
)

// Plan is what a run does. The seed decides what is random in it: who writes
// what where, which fault comes when and hits whom. How processes interleave is
// the machine's.
type Plan struct {
	Seed     uint64
	Messages int
	Faults   []string // of the names in faults.go, in turn
	Rounds   int      // how often each fault comes
	Mutant   string   // "" for the server as it is
	Binary   string   // of the server
	Env      []string // of the server
	Dir      string   // an empty directory
	// extra are faults of a test's own.
	extra map[string]fault
	// Patience is how long after the faults everything may take to settle.
	// Defaults to a minute, and to failing then; a run with patience of its own
	// checks what there is, since a broken server may leave clients that never settle.
	Patience time.Duration
	Log      func(format string, args ...any)
}

const (
	clients = 16
	guests  = 4 // the last of them, who are removed and added again
	groups  = 4
	host    = "user-00" // owns the conversations
)

// run is one server under load and faults.
type run struct {
	Plan
	rand          *rand.Rand
	history       *Recorder
	server        *process
	proxy         *proxy
	clients       []*client
	conversations []string
	pruned        map[string][]Message // what was there when it was told to go

	budget       atomic.Int64 // messages that may be composed
	unsettled    atomic.Int64 // that were composed
	acknowledged atomic.Int64
	refused      atomic.Int64
	settling     atomic.Bool
	surprises    chan error
	restarts     int
	unsynced     int
}

// Result is what came of a run.
type Result struct {
	Violations   []Violation
	History      *History
	Stored       int   // messages, pruned ones too
	Pruned       int64 // messages
	Acknowledged int64 // receipts, repeated ones included
	Refused      int64 // answers that told to try again
	Restarts     int
	Unsynced     int // pages that power cuts lost, tore or left
}

// Run executes a plan and checks what came of it. An error means that the run
// itself failed; the result then says nothing.
func Run(ctx context.Context, plan Plan) (Result, error) {
	r := &run{Plan: plan, rand: rand.New(rand.NewPCG(plan.Seed, 1)), history: NewRecorder(), pruned: map[string][]Message{}, surprises: make(chan error, 1)}
	flags := []string{}
	if plan.Mutant != "" {
		flags = append(flags, "-mutant", plan.Mutant)
	}
	var err error
	if r.server, err = newProcess(plan.Binary, plan.Dir, flags...); err != nil {
		return Result{}, err
	}
	r.server.env = plan.Env
	if r.proxy, err = newProxy(r.server.addr, plan.Seed); err != nil {
		return Result{}, err
	}
	defer r.proxy.close()
	defer r.server.kill()
	if err = r.setup(ctx); err != nil {
		return Result{}, err
	}
	h, err := r.load(ctx)
	if err != nil {
		return Result{}, err
	}
	result := Result{Violations: Check(h), History: h, Acknowledged: r.acknowledged.Load(), Refused: r.refused.Load(), Restarts: r.restarts, Unsynced: r.unsynced}
	for _, messages := range h.Final {
		result.Stored += len(messages)
	}
	for _, first := range h.First {
		result.Pruned += max(0, first-1)
	}
	if plan.Mutant == "" {
		err = r.inspect(ctx)
	}
	return result, err
}

// setup starts the server and makes the conversations.
func (r *run) setup(ctx context.Context) error {
	if err := r.server.start(); err != nil {
		return err
	}
	transports := []string{"ws", "sse", "poll"}
	var users []string
	for i := range clients {
		c := r.newClient(i, transports[i%len(transports)])
		r.clients = append(r.clients, c)
		users = append(users, c.user)
	}
	for i := range groups {
		var made struct {
			ID string `json:"id"`
		}
		err := r.server.post(ctx, host, "conversation.create",
			map[string]any{"kind": "group", "clientId": fmt.Sprint("group ", i), "title": fmt.Sprint("group ", i), "members": users[1:]}, &made)
		if err != nil {
			return err
		}
		r.conversations = append(r.conversations, made.ID)
	}
	return nil
}

// load lets the clients write while one fault follows the other, waits until
// all is settled, and reads everything.
func (r *run) load(ctx context.Context) (*History, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var work, churn sync.WaitGroup
	defer work.Wait()
	defer stop(nil)
	go func() {
		select {
		case err := <-r.surprises:
			stop(err)
		case <-ctx.Done():
		}
	}()
	for _, c := range r.clients {
		work.Go(func() { c.work(ctx) })
	}
	moving, rest := context.WithCancel(ctx)
	defer rest()
	churn.Go(func() { r.churn(moving, ctx) })
	err := r.disturb(ctx)
	if err != nil {
		stop(err) // or who waits for an answer would wait for ever
	}
	rest()
	churn.Wait()
	if err != nil {
		return nil, context.Cause(ctx)
	}
	// Everybody is a member again, and nothing is disturbed any more.
	for _, c := range r.clients {
		for _, conversation := range r.conversations {
			if err := r.member(ctx, "member.add", conversation, c.user); err != nil {
				return nil, errors.Join(err, context.Cause(ctx))
			}
		}
	}
	r.settling.Store(true)
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(cmp.Or(r.Patience, time.Minute)):
		if r.Patience == 0 {
			return nil, r.stuck()
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	ctx, stopReading := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer stopReading()
	stop(nil)
	work.Wait()
	final, first := map[string][]Message{}, map[string]int64{}
	for _, conversation := range r.conversations {
		messages, _, from, err := r.read(ctx, conversation)
		if err != nil {
			return nil, err
		}
		gone := r.pruned[conversation]
		final[conversation], first[conversation] = append(gone[:min(max(0, from-1), int64(len(gone)))], messages...), from
	}
	return r.history.History(final, first), nil
}

func (r *run) stuck() error {
	n := 0
	for _, c := range r.clients {
		if !c.synced {
			n++
		}
	}
	return fmt.Errorf("%d clients have not settled after a minute without faults", n)
}

// take lets a client compose one message more.
func (r *run) take() bool {
	if r.budget.Add(-1) < 0 {
		r.budget.Add(1)
		return false
	}
	return true
}

// unexpected ends the run: the server said what the protocol does not know.
func (r *run) unexpected(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	select {
	case r.surprises <- err:
	default:
	}
	return err
}

// churn removes guests and adds them again, one at a time, while moving lasts.
func (r *run) churn(moving, ctx context.Context) {
	random := rand.New(rand.NewPCG(r.Seed, 4))
	for moving.Err() == nil {
		user := r.clients[clients-1-random.IntN(guests)].user
		conversation := r.conversations[random.IntN(groups)]
		if err := r.member(ctx, "member.remove", conversation, user); err != nil {
			return
		}
		wait(moving, time.Duration(50+random.IntN(300))*time.Millisecond)
		if err := r.member(ctx, "member.add", conversation, user); err != nil {
			return
		}
		wait(moving, time.Duration(random.IntN(200))*time.Millisecond)
	}
}

func (r *run) member(ctx context.Context, method, conversation, user string) error {
	e := Event{User: user, Message: Message{Conversation: conversation}}
	if method == "member.add" {
		e.Kind = Adding
		r.history.Add(e)
	}
	var changed struct{}
	err := r.server.post(ctx, host, method, map[string]any{"conversation": conversation, "users": []string{user}}, &changed)
	if err == nil {
		e.Kind = Added
		if method == "member.remove" {
			e.Kind = Removed
		}
		r.history.Add(e)
	}
	return err
}

// read is a full read, by a client that has seen nothing: messages and their
// times from the first seq that is not pruned.
func (r *run) read(ctx context.Context, conversation string) (all []Message, times []int64, first int64, err error) {
	for after := int64(0); ; {
		var page struct {
			Messages []wireMessage `json:"messages"`
			To       int64         `json:"to"`
			More     bool          `json:"more"`
			FirstSeq int64         `json:"firstSeq"`
		}
		err := r.server.post(ctx, host, "message.list", map[string]any{"conversation": conversation, "after": after, "limit": 100}, &page)
		if err != nil {
			return nil, nil, 0, err
		}
		for i := range page.Messages {
			all, times = append(all, page.Messages[i].message()), append(times, page.Messages[i].Time)
		}
		first = page.FirstSeq
		if !page.More {
			return all, times, first, nil
		}
		after = page.To
	}
}

// inspect ends the server as a host does, and looks into its file.
func (r *run) inspect(ctx context.Context) error {
	if err := r.server.end(syscall.SIGTERM); err != nil {
		return err
	}
	db, err := bolt.Open(filepath.Join(r.Dir, "im.db"), nil)
	if err != nil {
		return err
	}
	return errors.Join(db.Check(ctx), db.Close())
}

// disturb lets each fault come once per round, in a random order.
func (r *run) disturb(ctx context.Context) error {
	var turns []string
	for range max(1, r.Rounds) {
		turns = append(turns, r.Faults...)
	}
	r.rand.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
	if len(turns) == 0 {
		turns = []string{"none"}
	}
	for i, name := range turns {
		f, known := faults[name]
		if own := r.extra[name]; own != nil {
			f, known = own, true
		}
		if !known {
			return fmt.Errorf("there is no fault %q, there are %v", name, FaultNames())
		}
		share := r.Messages*(i+1)/len(turns) - r.Messages*i/len(turns)
		r.budget.Add(int64(share))
		begin := time.Now()
		if err := f(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.Log("%-8s %4.1f s", name, time.Since(begin).Seconds())
	}
	return r.finish(ctx)
}

// spend waits until the messages that may be sent have been, or the time is up.
func (r *run) spend(ctx context.Context, most time.Duration) error {
	for begin := time.Now(); r.budget.Load() > 0 && time.Since(begin) < most; {
		wait(ctx, 10*time.Millisecond)
	}
	return ctx.Err()
}

// finish waits until all messages were sent, and each has been answered.
func (r *run) finish(ctx context.Context) error {
	for begin := time.Now(); r.budget.Load() > 0 || r.unsettled.Load() > 0; {
		wait(ctx, 10*time.Millisecond)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case r.Patience > 0 && time.Since(begin) > r.Patience:
			return nil
		case time.Since(begin) > time.Minute:
			return fmt.Errorf("a minute without faults, and %d messages wait, %d are not answered", r.budget.Load(), r.unsettled.Load())
		}
	}
	return nil
}

// FaultNames are the faults that a plan may name.
func FaultNames() (names []string) {
	for name := range faults {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
