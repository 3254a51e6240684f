package im

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"example.com/h5im/im/wire"
	"example.com/h5im/transport"
)

// Selector chooses sessions: those that match each of the fields that are set.
type Selector struct {
	User    string `json:"user,omitempty"`
	Device  string `json:"device,omitempty"`
	Session string `json:"session,omitempty"`
	// Except is the id of a session that is not chosen.
	Except string `json:"except,omitempty"`
}

func (sel *Selector) matches(i *SessionInfo) bool {
	return (sel.User == "" || sel.User == i.Identity.User) && (sel.Device == "" || sel.Device == i.Device) &&
		(sel.Session == "" || sel.Session == i.ID) && sel.Except != i.ID
}

// kick is a Selector and what the sessions that it chooses are told.
type kick struct {
	Selector
	Reason string `json:"reason"`
	Code   int    `json:"code"`
}

// Revoke ends sessions on all nodes. See Server.
func (s *server) Revoke(ctx context.Context, sel Selector, reason string) (closed int, err error) {
	return s.kick(ctx, kick{Selector: sel, Reason: reason, Code: transport.CloseKicked})
}

func (s *server) kick(ctx context.Context, k kick) (closed int, err error) {
	if k.User == "" && k.Device == "" && k.Session == "" {
		return 0, ErrInvalidArgument.With("a selector without user, device and session would choose everybody").At("selector")
	}
	answers, err := askNodes[int](ctx, s, nodeRequest{Kick: &k})
	for _, n := range answers {
		closed += n
	}
	return closed, err
}

// kickGrace is how long a session that ends may take to read why.
const kickGrace = 300 * time.Millisecond

// kickHere ends those of this node. It returns when they are closed.
func (s *server) kickHere(k *kick) int {
	s.revoked.add(k)
	var closing sync.WaitGroup
	sessions := s.sessions.attached(k.User, k.matches)
	for _, x := range sessions {
		closing.Go(func() {
			x.notify(wire.EventKicked, wire.KickedEvent{Reason: k.Reason})
			ctx, cancel := context.WithTimeout(context.Background(), kickGrace)
			_ = x.queue.flushed(ctx)
			cancel()
			x.close(k.Code, k.Reason)
		})
	}
	closing.Wait()
	return len(sessions)
}

// revocations remembers the latest, so that a session whose credentials were
// checked before one does not open behind it.
type revocations struct {
	mu   sync.Mutex
	list []revocation
	keep time.Duration // as long as an Authenticator may take
}

type revocation struct {
	Selector
	at time.Time
}

func (r *revocations) add(k *kick) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.list = slices.DeleteFunc(r.list, func(old revocation) bool { return now.Sub(old.at) > r.keep })
	r.list = append(r.list, revocation{k.Selector, now})
}

// since tells whether one that chooses the session came after a time.
func (r *revocations) since(begin time.Time, i *SessionInfo) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k := range r.list {
		if !r.list[k].at.Before(begin) && r.list[k].matches(i) {
			return true
		}
	}
	return false
}

// askNodes asks every node, this one without the hub, and returns what those
// answered that did.
func askNodes[T any](ctx context.Context, s *server, q nodeRequest) (answers []T, err error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
	defer cancel()
	var mu sync.Mutex
	var errs []error
	var asking sync.WaitGroup
	for _, node := range s.hub.Nodes() {
		asking.Go(func() {
			ask := s.answerNode
			if node != s.hub.Node() {
				ask = func(ctx context.Context, body []byte) ([]byte, error) { return s.hub.Request(ctx, node, body) }
			}
			b, err := ask(ctx, body)
			var answer T
			if err == nil {
				err = json.Unmarshal(b, &answer)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
			} else {
				answers = append(answers, answer)
			}
		})
	}
	asking.Wait()
	return answers, errors.Join(errs...)
}

// nodeTimeout is how long another node may take: as one that has gone.
const nodeTimeout = 3 * time.Second
