package im

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"example.com/h5im/store"
)

const (
	retentionFirst = 10 * time.Minute // after the start
	retentionEvery = time.Hour
	// remembered is for how long a send that is repeated is recognised, whether or
	// not its message is still there.
	remembered = 30 * 24 * time.Hour
	// skew is how far the clock may depart from the time that passes.
	skew = 5 * time.Minute
	// A clock that is this far ahead of the last look is believed after a day only.
	retentionGap   = 2 * 24 * time.Hour
	retentionDoubt = 24 * time.Hour

	pruneBatch = 256 // of messages in one commit
	pruneHeads = 256 // of conversations in one read
)

// keepRetention prunes what Config.Retention no longer keeps, until the server
// shuts down. Every node does: there is nothing to do a second time.
//
// A message that goes is gone, so a wrong clock must not decide. It is believed
// while it runs like the monotonic one: not in the minutes after a start, when a
// machine may still learn what time it is, not after it was set, and where it says
// that days have passed since anybody looked, not before a day of that.
func (s *server) keepRetention() {
	var steady time.Duration
	for wait := retentionFirst; ; wait = jittered(retentionEvery) {
		began, clock := time.Now(), s.config.Now().Round(0)
		select {
		case <-time.After(wait):
		case <-s.base.Done():
			return
		}
		now, passed := s.config.Now().Round(0), time.Since(began)
		steady += passed
		if off := now.Sub(clock) - passed; off.Abs() > skew {
			s.log.Warn("the clock was set: retention waits", "by", off.Round(time.Second))
			steady = 0
			continue
		}
		began = time.Now()
		pruned, err := s.look(s.base, now, steady)
		if err != nil && s.base.Err() == nil {
			s.log.Error("retention", "err", err)
		}
		if pruned > 0 {
			s.log.Info("retention", "messages", pruned, "took", time.Since(began))
		}
	}
}

// retentionRecords cannot be the name of an extension.
const retentionRecords = "im:retention"

// look prunes where a clock that has been steady for so long is to be believed.
func (s *server) look(ctx context.Context, now time.Time, steady time.Duration) (pruned int, err error) {
	const key = "looked"
	r, err := s.store.GetRecord(ctx, retentionRecords, key, 0)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	var last time.Time
	if err == nil {
		if err := last.UnmarshalText(r.Value); err != nil {
			return 0, err
		}
	}
	if now.Sub(last) > retentionGap && steady < retentionDoubt {
		return 0, nil
	}
	looked, err := now.UTC().MarshalText()
	if err != nil {
		return 0, err
	}
	_, err = s.store.WriteRecords(ctx, []store.RecordWrite{{Namespace: retentionRecords, Key: key, Value: looked}})
	if err != nil {
		return 0, err
	}
	return s.retain(ctx, now)
}

// retain goes through all conversations once.
func (s *server) retain(ctx context.Context, now time.Time) (pruned int, err error) {
	for after := ""; ; {
		heads, err := s.store.Conversations(ctx, after, pruneHeads)
		if err != nil {
			return pruned, err
		}
		for i := range heads {
			n, err := s.pruneConversation(ctx, &heads[i], now)
			pruned += n
			if err != nil && !errors.Is(err, errKeptFor) || s.draining.Load() {
				return pruned, err
			}
			if err != nil {
				s.log.Error("retention", "conversation", heads[i].ID, "err", err)
			}
		}
		if len(heads) < pruneHeads {
			return pruned, nil
		}
		after = heads[len(heads)-1].ID
	}
}

func (s *server) pruneConversation(ctx context.Context, c *Conversation, now time.Time) (pruned int, err error) {
	if c.Seq == 0 {
		return 0, nil
	}
	kept, err := s.keptFor(c)
	if err != nil || kept == 0 {
		return 0, err
	}
	q := store.PruneQuery{
		Conversation: c.ID, Limit: pruneBatch,
		Before: max(0, store.MillisOf(now.Add(-kept))), Forget: max(0, store.MillisOf(now.Add(-remembered))),
	}
	for more := true; more && !s.draining.Load(); {
		p, err := s.store.Prune(ctx, q)
		if err != nil {
			return pruned, err
		}
		pruned += p.Messages
		more = p.More
	}
	return pruned, nil
}

// errKeptFor: the host did not say how long.
var errKeptFor = errors.New("im: Config.Retention")

// keptFor asks the host.
func (s *server) keptFor(c *Conversation) (d time.Duration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w panicked: %v\n%s", errKeptFor, p, debug.Stack())
		}
	}()
	if d = s.config.Retention(c); d < 0 {
		err = fmt.Errorf("%w: %v is negative", errKeptFor, d)
	}
	return d, err
}
