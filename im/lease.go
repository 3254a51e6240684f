package im

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"example.com/h5im/store"
)

// A consumer is one record: who runs it, and up to where it is done. Whoever
// runs it writes that record again and again, each time on condition that nobody
// else did meanwhile: that keeps the lease, stores the position, and makes both
// impossible for one who has lost it.
//
// No clocks are compared. A holder that could not write for leaseHeld stops by
// itself; another who sees the record unchanged for leaseTaken, by its own clock
// and from a later moment, takes it. What lies between is for calls that end
// slowly.
const (
	leaseRenewed = 3 * time.Second
	leaseHeld    = 6 * time.Second
	leaseTaken   = 10 * time.Second
	leaseWatched = time.Second // how often a node that waits looks
)

// tailRecords cannot be the name of an extension.
const tailRecords = "im:tail"

// leaseRecord is the value of a consumer's record.
type leaseRecord struct {
	Position store.Position `json:"position"` // everything up to it is done
	Node     string         `json:"node,omitempty"`
	Owner    string         `json:"owner,omitempty"` // the call of Tail that runs it; "": none
}

// errLeaseLost tells that another node runs the consumer.
var errLeaseLost = errors.New("im: another node runs this tail")

// lease is a consumer's record in the hands of its holder. One goroutine at a
// time uses it.
type lease struct {
	tail     *tail
	position store.Position // as stored
	revision int64          // of the record, by which a write is fenced
	renewed  time.Time      // when the last write began that succeeded
}

// fresh tells whether a lease that was renewed then is held for sure. Both clocks
// are asked: the monotonic one stands still while a machine is suspended.
func fresh(renewed time.Time) bool {
	now := time.Now()
	return now.Sub(renewed) < leaseHeld && now.Round(0).Sub(renewed.Round(0)) < leaseHeld
}

// write stores the position, which never goes back, with other records.
func (l *lease) write(ctx context.Context, position store.Position, release bool, more []store.RecordWrite) error {
	state := leaseRecord{Position: max(l.position, position)}
	if !release {
		state.Node, state.Owner = l.tail.server.hub.Node(), l.tail.owner
	}
	value, err := json.Marshal(state)
	if err != nil {
		return err
	}
	for range 2 {
		began := time.Now()
		writes := append([]store.RecordWrite{{
			Namespace: tailRecords, Key: l.tail.consumer, Value: value, If: l.revision,
		}}, more...)
		revisions, err := l.tail.server.store.WriteRecords(ctx, writes)
		if err == nil {
			l.position, l.revision, l.renewed = state.Position, revisions[0], began
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		// It may be a write of our own that was committed although it failed.
		r, s, err := l.tail.readLease(ctx)
		if err != nil {
			return err
		}
		if s.Owner != l.tail.owner {
			return errLeaseLost
		}
		l.revision = r.Revision
	}
	return errLeaseLost
}

func (t *tail) readLease(ctx context.Context) (r store.Record, s leaseRecord, err error) {
	if r, err = t.server.store.GetRecord(ctx, tailRecords, t.consumer, t.server.now()); err == nil {
		s, err = readLeaseRecord(&r)
	}
	return r, s, err
}

func readLeaseRecord(r *store.Record) (s leaseRecord, err error) {
	if err = json.Unmarshal(r.Value, &s); err != nil {
		return s, fmt.Errorf("im: the record of the tail %s: %w", r.Key, err)
	}
	return s, nil
}

// acquire waits for the lease; nil when the tail was halted meanwhile.
func (t *tail) acquire() *lease {
	var seen int64
	var since time.Time
	failures := 0
	for t.halted.Err() == nil {
		l, revision, err := t.tryLease(seen, since)
		switch {
		case l != nil:
			return l
		case err != nil:
			failures++
			t.server.log.Warn("tail cannot have its lease", "consumer", t.consumer, "err", err)
		default:
			failures = 0
			if revision != seen {
				seen, since = revision, time.Now()
			}
		}
		wait := leaseWatched
		if failures > 0 {
			wait = min(backoff(failures), leaseTaken)
		}
		select {
		case <-time.After(wait):
		case <-t.more:
		case <-t.halted.Done():
		}
	}
	return nil
}

// tryLease takes the lease where it is free, where it is ours, or where its
// record has been of the same revision since longer than a holder holds it. Else
// it tells that revision.
func (t *tail) tryLease(seen int64, since time.Time) (l *lease, revision int64, err error) {
	// A write that was handed over is waited for, else nobody would have the lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.halted), leaseHeld)
	defer cancel()
	r, state, err := t.readLease(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		r.Revision = store.NoRecord
		if state.Position, err = t.begin(ctx); err != nil {
			return nil, 0, err
		}
	case err != nil:
		return nil, 0, err
	case state.Owner == "" || state.Owner == t.owner:
	case r.Revision != seen || time.Since(since) < leaseTaken:
		return nil, r.Revision, nil
	}
	l = &lease{tail: t, position: state.Position, revision: r.Revision}
	if err := l.write(ctx, state.Position, false, nil); err != nil {
		if errors.Is(err, errLeaseLost) || errors.Is(err, store.ErrNotFound) {
			err = nil // somebody else was faster
		}
		return nil, 0, err
	}
	return l, 0, nil
}

// begin is where a new consumer begins.
func (t *tail) begin(ctx context.Context) (store.Position, error) {
	if t.start < 0 {
		info, err := t.server.store.Info(ctx)
		if err != nil {
			return 0, err
		}
		t.start = info.Position
	}
	return t.start, nil
}

// release makes the lease free and tells the other nodes, which would notice by
// themselves within leaseWatched.
func (l *lease) release(ctx context.Context, position store.Position, more []store.RecordWrite) error {
	if err := l.write(ctx, position, true, more); err != nil {
		return err
	}
	s := l.tail.server
	body, err := json.Marshal(nodeRequest{Tail: l.tail.consumer})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, leaseWatched)
	defer cancel()
	var asked sync.WaitGroup
	for _, node := range s.hub.Nodes() {
		if node != s.hub.Node() {
			asked.Go(func() { _, _ = s.hub.Request(ctx, node, body) })
		}
	}
	asked.Wait()
	return nil
}
