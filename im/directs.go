package im

import "sync"

// directs are direct conversations that were seen in the store, which deletes
// none: a send need not look for them.
type directs struct {
	mu   sync.RWMutex
	seen map[string]struct{}
}

// maxDirects bounds what is remembered; beyond it all is forgotten.
const maxDirects = 1 << 14

func (d *directs) known(id string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	_, ok := d.seen[id]
	return ok
}

func (d *directs) add(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil || len(d.seen) >= maxDirects {
		d.seen = map[string]struct{}{}
	}
	d.seen[id] = struct{}{}
}
