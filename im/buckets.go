package im

import (
	"math"
	"sync"
	"time"
)

// Rate is a token bucket: Burst calls at once, and PerSecond in the long run.
type Rate struct {
	PerSecond float64 // math.Inf(1): no limit
	Burst     int
}

// Rates are those of the classes of operations. Zero fields mean the defaults.
type Rates struct {
	Read  Rate // reads a page at most
	Write Rate // writes a row or a few
	Heavy Rate // walks or writes many rows
}

// Unlimited are rates that limit nobody.
func Unlimited() Rates {
	none := Rate{PerSecond: math.Inf(1), Burst: 1}
	return Rates{Read: none, Write: none, Heavy: none}
}

func (r *Rates) setDefaults(d Rates) {
	for _, f := range []struct{ field, value *Rate }{{&r.Read, &d.Read}, {&r.Write, &d.Write}, {&r.Heavy, &d.Heavy}} {
		if f.field.PerSecond == 0 {
			f.field.PerSecond = f.value.PerSecond
		}
		if f.field.Burst == 0 {
			f.field.Burst = f.value.Burst
		}
	}
}

func (r *Rates) valid() bool {
	for _, f := range []Rate{r.Read, r.Write, r.Heavy} {
		if !(f.PerSecond > 0) || f.Burst < 1 {
			return false
		}
	}
	return true
}

func (r *Rates) of(class rate) Rate {
	switch class {
	case rateRead:
		return r.Read
	case rateWrite:
		return r.Write
	case rateHeavy:
		return r.Heavy
	}
	return Rate{PerSecond: math.Inf(1), Burst: 1}
}

// buckets are one for each class. A bucket is the time at which it will be full
// again (the generic cell rate algorithm, ITU-T I.371): one word, no timer.
type buckets struct {
	mu   sync.Mutex
	full [rateHeavy + 1]time.Time
}

// take takes a token, or returns how long until there is one.
func (b *buckets) take(class rate, r Rate, now time.Time) (wait time.Duration) {
	if class == rateFree || math.IsInf(r.PerSecond, 1) {
		return 0
	}
	token := time.Duration(float64(time.Second) / r.PerSecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	full := b.full[class]
	if full.Before(now) {
		full = now
	}
	full = full.Add(token)
	if wait = full.Sub(now) - token*time.Duration(r.Burst); wait > 0 {
		return wait
	}
	b.full[class] = full
	return 0
}

// userBuckets are those of the users that were active lately. They are kept in
// two generations, so that to forget costs nothing: who comes again within one
// is carried over, and a bucket of whom nothing came for as long is full.
type userBuckets struct {
	mu       sync.Mutex
	turned   time.Time
	now, old map[string]*buckets
}

const generation = 10 * time.Minute

func (u *userBuckets) of(user string, now time.Time) *buckets {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.turned) > generation {
		u.now, u.old, u.turned = map[string]*buckets{}, u.now, now
	}
	b := u.now[user]
	if b == nil {
		if b = u.old[user]; b == nil {
			b = &buckets{}
		}
		u.now[user] = b
	}
	return b
}

// meter refuses what a user, or one of his sessions, does too often. What comes
// from this process is not counted.
func (s *server) meter(o *Operation, op *Op) error {
	if !op.remote || o.rate == rateFree {
		return nil
	}
	now := time.Now() // and not Config.Now: it must not jump
	wait := s.users.of(op.Identity.User, now).take(o.rate, s.limits.UserRates.of(o.rate), now)
	if op.session != nil && wait == 0 {
		wait = op.session.buckets.take(o.rate, s.limits.SessionRates.of(o.rate), now)
	}
	if wait > 0 {
		return ErrRateLimited.At(rateNames[o.rate]).after(wait)
	}
	return nil
}
