package im

import (
	"runtime"
	"sync"
)

// flushers write the queues of sessions that got an event: a goroutine for each
// processor at most, while there is anything to write, however many sessions
// there are. What comes for a session while it waits its turn goes out in the
// same write. They wait for no peer.
type flushers struct {
	most int

	mu      sync.Mutex
	waiting []*outQueue // claimed, in the order of coming
	running int
}

// flushShare is how many queues a flusher takes at a time, and how many are
// worth another flusher.
const flushShare = 32

func newFlushers() *flushers { return &flushers{most: runtime.GOMAXPROCS(0)} }

// add takes queues that their callers have claimed.
func (f *flushers) add(queues ...*outQueue) {
	if len(queues) == 0 {
		return
	}
	f.mu.Lock()
	f.waiting = append(f.waiting, queues...)
	wanted := min(f.most, (len(f.waiting)+flushShare-1)/flushShare)
	start := max(0, wanted-f.running)
	f.running += start
	f.mu.Unlock()
	for range start {
		go f.run()
	}
}

// run flushes until nothing waits.
func (f *flushers) run() {
	var share [flushShare]*outQueue
	for {
		f.mu.Lock()
		n := copy(share[:], f.waiting)
		clear(f.waiting[:n])
		if f.waiting = f.waiting[n:]; len(f.waiting) == 0 {
			f.waiting = nil
		}
		if n == 0 {
			f.running--
		}
		f.mu.Unlock()
		if n == 0 {
			return
		}
		for _, q := range share[:n] {
			q.flush()
		}
	}
}
