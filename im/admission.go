package im

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// gate lets a few through at a time, in the order of coming, so that ten
// thousand clients that come back at once take their turns and leave the
// processors to those who are here. Who would wait for long is told when to
// come again.
type gate struct {
	slots    chan struct{}
	waiting  atomic.Int64
	most     int64         // that wait
	patience time.Duration // of one who waits
	rest     time.Duration // of a slot, before the next has it
}

// The gates' own limits: more than a node holds, and less than a client's
// patience.
const (
	maxWaiting   = 20_000
	gatePatience = 5 * time.Second
	// shakeRest makes 2,000 handshakes a second and processor at most, which
	// leaves most of it to those who are here.
	shakeRest = 2 * time.Millisecond
)

func newGate(slots, most int, patience time.Duration) *gate {
	return &gate{slots: make(chan struct{}, slots), most: int64(most), patience: patience}
}

// enter waits for a slot, which leave gives back.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > g.most {
		g.waiting.Add(-1)
		return busy()
	}
	defer g.waiting.Add(-1)
	timeout := time.NewTimer(g.patience)
	defer timeout.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-timeout.C:
		return busy()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) leave() {
	if g.rest == 0 {
		<-g.slots
	} else {
		time.AfterFunc(g.rest, func() { <-g.slots })
	}
}

// busy spreads those who are sent away, or they would come back together.
func busy() error {
	return ErrUnavailable.With("the server is busy").after(time.Second + rand.N(9*time.Second))
}

// addresses counts the connections of each client's address.
type addresses struct {
	limit int
	mu    sync.Mutex
	count map[string]int
}

// enter counts one more, unless there are too many.
func (a *addresses) enter(address string) bool {
	if address == "" {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[address] >= a.limit {
		return false
	}
	a.count[address]++
	return true
}

func (a *addresses) leave(address string) {
	if address == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[address]--; a.count[address] == 0 {
		delete(a.count, address)
	}
}

// clientAddress is where a request comes from, and "" where that is a proxy's
// address, or may be: many users share it.
func (s *server) clientAddress(r *http.Request) string {
	if s.config.ClientAddress != nil {
		return s.config.ClientAddress(r)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() {
		return ""
	}
	return ip.Unmap().WithZone("").String()
}
