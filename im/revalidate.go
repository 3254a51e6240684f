package im

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// revalidate asks the Authenticator again about an open session, with the
// credentials that it came with. Refused, it is treated as one whose credentials
// have expired; where the Authenticator cannot tell, it stays.
func (x *session) revalidate() {
	s := x.server
	if !s.calls.begin() {
		return
	}
	defer s.calls.end()
	x.mu.Lock()
	token, device, closed := x.token, x.device, x.closed
	x.mu.Unlock()
	if closed {
		return
	}
	h := x.credentials(token, device)
	id, err := s.authenticate(x.ctx, h, x.origin)
	var refused *Error
	switch {
	case err == nil && id.User == h.Previous.User:
		err = x.open(x.ctx, id, device, time.Now())
	case err == nil:
		err = ErrPermissionDenied
	}
	if err != nil && !errors.As(err, &refused) && !errors.Is(err, context.Canceled) {
		s.log.Warn("session not revalidated", append(logOp(&Op{Name: "revalidate", Identity: *h.Previous, Session: x.id}), "err", err)...)
	}
	x.mu.Lock()
	if !x.closed {
		x.recheck = time.AfterFunc(jittered(s.config.Revalidate), x.revalidate)
	}
	x.mu.Unlock()
	if refused != nil && refused.Code < 500 || errors.Is(err, ErrPermissionDenied) {
		x.expire()
	}
}

// jittered is d, a tenth more or less, so that sessions that came together do
// not ask together.
func jittered(d time.Duration) time.Duration { return d*9/10 + rand.N(d/5+1) }
