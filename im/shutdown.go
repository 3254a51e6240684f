package im

import (
	"context"
	"sync"
	"time"

	"example.com/h5im/im/wire"
	"example.com/h5im/transport"
)

// goawayRetry is how long after a goaway the first client should wait: long
// enough for a restart. Where all are told at once, the others wait longer, each
// by a share, so that they do not come back together.
const (
	goawayRetry     = time.Second
	goawayShare     = time.Millisecond
	maxGoawaySpread = 20 * time.Second
)

// lastGrace is for what runs when Shutdown's context has ended.
const lastGrace = 5 * time.Second

// Shutdown drains the server. See Server.
func (s *server) Shutdown(ctx context.Context) error {
	s.shutdown.Do(func() {
		s.draining.Store(true)
		go func() {
			s.doneErr = s.drain(ctx)
			close(s.done)
		}()
	})
	<-s.done
	return s.doneErr
}

func (s *server) drain(ctx context.Context) error {
	s.tails.halt()
	s.sendAway(ctx)
	s.tails.cancel()
	s.calls.refuse()
	err := s.calls.wait(ctx)
	for _, session := range s.sessions.all() {
		if flushErr := session.queue.flushed(ctx); err == nil {
			err = flushErr
		}
	}
	var closing sync.WaitGroup
	for _, session := range s.sessions.all() {
		closing.Go(func() { session.close(transport.CloseRestart, "the server restarts") })
	}
	closing.Wait()
	if tailErr := s.tails.wait(ctx); err == nil {
		err = tailErr
	}
	s.cancel()
	if err != nil {
		last, cancel := context.WithTimeout(context.Background(), lastGrace)
		defer cancel()
		_ = s.calls.wait(last)
	}
	s.work.Wait()
	if hubErr := s.hub.Close(); err == nil {
		err = hubErr
	}
	if s.ownsStore {
		if storeErr := s.store.Close(); err == nil {
			err = storeErr
		}
	}
	return err
}

// sendAway tells every session to go, evenly over the drain window.
func (s *server) sendAway(ctx context.Context) {
	sessions := s.sessions.all()
	n, window := len(sessions), s.config.DrainWindow
	begin := time.Now()
	for i, session := range sessions {
		share := func(d time.Duration) time.Duration { return d * time.Duration(i) / time.Duration(n) }
		retry := goawayRetry
		if window == 0 {
			retry += share(min(maxGoawaySpread, time.Duration(n)*goawayShare))
		} else {
			sleepUntil(ctx, begin.Add(share(window)))
		}
		session.notify(wire.EventGoaway, wire.GoawayEvent{RetryAfterMs: retry.Milliseconds()})
	}
	if n > 0 {
		sleepUntil(ctx, begin.Add(window))
	}
}

func sleepUntil(ctx context.Context, t time.Time) {
	if wait := time.Until(t); wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// inFlight counts operations and lets Shutdown wait for none.
type inFlight struct {
	mu      sync.Mutex
	n       int
	refused bool
	waiting chan struct{}
}

// begin counts one more, unless no more are taken.
func (f *inFlight) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refused {
		return false
	}
	f.n++
	return true
}

func (f *inFlight) refuse() {
	f.mu.Lock()
	f.refused = true
	f.mu.Unlock()
}

func (f *inFlight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.n == 0 && f.waiting != nil {
		close(f.waiting)
		f.waiting = nil
	}
}

// wait returns when no operation runs, or with ctx's error.
func (f *inFlight) wait(ctx context.Context) error {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.waiting == nil {
		f.waiting = make(chan struct{})
	}
	waiting := f.waiting
	f.mu.Unlock()
	select {
	case <-waiting:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
