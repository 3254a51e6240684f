package lab

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// fault disturbs a run for a while and leaves everything as it was.
type fault func(ctx context.Context, r *run) error

// faults are those that a plan may name.
var faults = map[string]fault{
	"none":    func(ctx context.Context, r *run) error { return r.spend(ctx, time.Minute) },
	"kill":    kill,
	"power":   power,
	"lie":     lie,
	"stop":    stop,
	"clock":   clock,
	"full":    full,
	"compact": compact,
	"prune":   prune,
	"events":  events,
	"cut":     network(cut, 300*time.Millisecond, 3),
	"flap":    flap,
	"hollow":  network(hollow, 4*time.Second, 1),
	"slow":    network(slow, 4*time.Second, 1),
	"slices":  network(sliced, 2*time.Second, 1),
	"refuse":  network(refuse, time.Second, 1),
}

// between waits for a random time.
func (r *run) between(ctx context.Context, least, most time.Duration) {
	wait(ctx, least+time.Duration(r.rand.Int64N(int64(most-least))))
}

func (r *run) restart(signal syscall.Signal, flags ...string) error {
	if err := r.server.end(signal); err != nil {
		return err
	}
	r.restarts++
	return r.server.start(flags...)
}

// kill ends the server without a word.
func kill(ctx context.Context, r *run) error {
	r.between(ctx, 50*time.Millisecond, 900*time.Millisecond)
	return r.restart(syscall.SIGKILL)
}

// power ends the server, perhaps while it compacts or just when it has, and loses what it has not
// synced. It needs a server that keeps a journal.
func power(ctx context.Context, r *run) error {
	when := r.rand.IntN(3)
	if when == 1 {
		defer r.compacting(ctx)()
	}
	r.between(ctx, 50*time.Millisecond, 900*time.Millisecond)
	if when == 2 {
		if err := r.server.call(ctx, "compact", nil); err != nil {
			return err
		}
	}
	r.server.kill()
	n, err := cutPower(filepath.Join(r.Dir, "im.db"), r.rand, false)
	if err != nil {
		return err
	}
	r.unsynced += n
	r.restarts++
	return r.server.start()
}

// lie is a power cut in which all is lost that was not synced: where the disk
// syncs nothing, all that was written since the server started.
func lie(ctx context.Context, r *run) error {
	if err := r.restart(syscall.SIGTERM); err != nil {
		return err
	}
	r.between(ctx, 500*time.Millisecond, 900*time.Millisecond)
	r.server.kill()
	if _, err := cutPower(filepath.Join(r.Dir, "im.db"), r.rand, true); err != nil {
		return err
	}
	return r.server.start()
}

// stop restarts the server as a deployment does, under load.
func stop(ctx context.Context, r *run) error {
	r.between(ctx, 50*time.Millisecond, 500*time.Millisecond)
	return r.restart(syscall.SIGTERM)
}

// clock lets the server's clock be a day ahead, and then a day behind.
func clock(ctx context.Context, r *run) error {
	for _, off := range []string{"24h", "-24h"} {
		if err := r.restart(syscall.SIGTERM, "-clock", off); err != nil {
			return err
		}
		r.between(ctx, 300*time.Millisecond, 600*time.Millisecond)
	}
	return r.restart(syscall.SIGKILL)
}

// events lets the hub drop, repeat and reorder.
func events(ctx context.Context, r *run) error {
	if err := r.restart(syscall.SIGTERM, "-events", fmt.Sprint(r.rand.Uint64()|1)); err != nil {
		return err
	}
	if err := r.spend(ctx, 3*time.Second); err != nil {
		return err
	}
	r.between(ctx, 600*time.Millisecond, 900*time.Millisecond)
	return r.restart(syscall.SIGTERM)
}

// full lets the disk have no room, and kills the server that has none.
func full(ctx context.Context, r *run) error {
	if err := r.restart(syscall.SIGTERM, "-max-bytes", fmt.Sprint(max(1<<20, r.server.size()))); err != nil {
		return err
	}
	if err := fill(ctx, r); err != nil {
		return err
	}
	r.between(ctx, 300*time.Millisecond, 600*time.Millisecond)
	return r.restart(syscall.SIGKILL)
}

// fill takes what room the file has left, as somebody whom the others do not know.
func fill(ctx context.Context, r *run) error {
	var made struct {
		ID string `json:"id"`
	}
	if err := r.server.postOnce(ctx, "filler", "conversation.create", map[string]any{"kind": "group", "title": "ballast"}, &made); err != nil {
		return nil //nolint:nilerr // it is full already
	}
	ballast := strings.Repeat("x", 60_000)
	for range 2000 {
		var sent struct{}
		err := r.server.postOnce(ctx, "filler", "message.send",
			map[string]any{"to": map[string]string{"conversation": made.ID}, "clientId": fmt.Sprint(r.rand.Uint64()), "content": ballast}, &sent)
		if err != nil {
			return nil //nolint:nilerr // this is what it is for
		}
	}
	return errors.New("the disk never got full")
}

// compact makes the server's file anew without pause, and kills it while it does;
// once it may finish.
func compact(ctx context.Context, r *run) error {
	if err := r.server.call(ctx, "compact", nil); err != nil {
		return err
	}
	for range 2 {
		stop := r.compacting(ctx)
		r.between(ctx, 50*time.Millisecond, 600*time.Millisecond)
		err := r.restart(syscall.SIGKILL)
		stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// compacting lets the server compact until stop is called, or it is killed.
func (r *run) compacting(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil && r.server.call(ctx, "compact", nil) == nil {
		}
	}()
	return func() { cancel(); <-done }
}

// prune lets the server forget up to half of what each conversation has, and
// kills it while it does.
func prune(ctx context.Context, r *run) error {
	if err := r.spend(ctx, 2*time.Second); err != nil {
		return err
	}
	done := make(chan error, groups)
	for _, conversation := range r.conversations {
		messages, times, first, err := r.read(ctx, conversation)
		if err != nil {
			return err
		}
		if len(messages) < 2 {
			done <- nil
			continue
		}
		// What went before is known already; to what is told to go the time decides.
		gone := r.pruned[conversation]
		known := gone[:min(max(0, first-1), int64(len(gone)))]
		r.pruned[conversation] = append(known, messages...)
		before := times[r.rand.IntN(1+len(times)/2)]
		go func() {
			done <- r.server.call(ctx, "prune", url.Values{"conversation": {conversation}, "before": {fmt.Sprint(before)}})
		}()
	}
	if r.rand.IntN(2) == 0 {
		r.between(ctx, time.Millisecond, 50*time.Millisecond)
		return r.restart(syscall.SIGKILL)
	}
	var err error
	for range groups {
		err = errors.Join(err, <-done)
	}
	return err
}

// network disturbs the connections, and those that come meanwhile.
func network(m mode, d time.Duration, times int) fault {
	return func(ctx context.Context, r *run) error {
		for range times {
			r.proxy.set(m)
			wait(ctx, d)
			r.proxy.set(clean)
			r.between(ctx, 50*time.Millisecond, 200*time.Millisecond)
		}
		return nil
	}
}

// flap turns the network off and on.
func flap(ctx context.Context, r *run) error {
	for range 5 {
		r.proxy.set(cut)
		r.proxy.set(refuse)
		r.between(ctx, 50*time.Millisecond, 250*time.Millisecond)
		r.proxy.set(clean)
		r.between(ctx, 50*time.Millisecond, 250*time.Millisecond)
	}
	return nil
}
