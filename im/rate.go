package im

import (
	"sync"
	"time"
)

// peerLimit counts the people whom each user writes to for the first time in the
// current hour of the clock.
type peerLimit struct {
	limit int
	now   func() time.Time

	mu    sync.Mutex
	hour  time.Time
	peers map[string]map[string]struct{} // at most limit of each user
}

func newPeerLimit(limit int, now func() time.Time) *peerLimit {
	return &peerLimit{limit: limit, now: now}
}

// take counts a peer of user, whom many messages may reach for the first time
// at once, or returns how long until one more is allowed.
func (n *peerLimit) take(user, peer string) (wait time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if hour := now.Truncate(time.Hour); !hour.Equal(n.hour) {
		n.hour, n.peers = hour, map[string]map[string]struct{}{}
	}
	peers := n.peers[user]
	if _, counted := peers[peer]; counted {
		return 0
	}
	if len(peers) >= n.limit {
		return n.hour.Add(time.Hour).Sub(now)
	}
	if peers == nil {
		peers = map[string]struct{}{}
		n.peers[user] = peers
	}
	peers[peer] = struct{}{}
	return 0
}
