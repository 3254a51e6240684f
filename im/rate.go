package im

import (
	"sync"
	"time"
)

// hourly counts what users do in the current hour of the clock.
type hourly struct {
	limit int
	now   func() time.Time

	mu    sync.Mutex
	hour  time.Time
	count map[string]int
}

func newHourly(limit int, now func() time.Time) *hourly {
	return &hourly{limit: limit, now: now}
}

// take counts one more for user, or returns how long until that is allowed.
func (h *hourly) take(user string) (wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if hour := now.Truncate(time.Hour); !hour.Equal(h.hour) {
		h.hour, h.count = hour, map[string]int{}
	}
	if h.count[user] >= h.limit {
		return h.hour.Add(time.Hour).Sub(now)
	}
	h.count[user]++
	return 0
}
