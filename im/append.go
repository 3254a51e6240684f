package im

import (
	"context"
	"sync"

	"example.com/h5im/store"
)

// appender collects the messages of all sessions into the batches that the
// store commits: while one batch is on its way to the disk, the next gathers.
// There is no timer. What is committed goes to the publisher in commit order.
type appender struct {
	server *server

	mu      sync.Mutex
	queue   []*appendJob
	running bool

	items []store.Append // the running goroutine's, between commits
	jobs  sync.Pool      // of *appendJob
}

type appendJob struct {
	item   store.Append
	origin string // the session that gets a receipt instead of the event
	result store.Appended
	err    error
	done   chan struct{} // of one signal
}

// appendBatch bounds one commit.
const appendBatch = 1024

// append stores a message and returns when it is durable and its event is
// handed to the hub. staged is called as soon as its order is fixed.
func (a *appender) append(item store.Append, origin string, staged func()) (store.Appended, error) {
	job, _ := a.jobs.Get().(*appendJob)
	if job == nil {
		job = &appendJob{done: make(chan struct{}, 1)}
	}
	job.item, job.origin = item, origin
	a.mu.Lock()
	a.queue = append(a.queue, job)
	start := !a.running
	a.running = true
	a.mu.Unlock()
	if staged != nil {
		staged()
	}
	if start {
		a.server.work.Go(a.run)
	}
	<-job.done
	result, err := job.result, job.err
	*job = appendJob{done: job.done}
	a.jobs.Put(job)
	return result, err
}

func (a *appender) run() {
	for {
		a.mu.Lock()
		n := min(len(a.queue), appendBatch)
		batch := a.queue[:n:n]
		a.queue = a.queue[n:]
		if n == 0 {
			a.queue = nil
			a.running = false
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		a.commit(batch)
	}
}

func (a *appender) commit(batch []*appendJob) {
	items := a.items[:0]
	for _, job := range batch {
		items = append(items, job.item)
	}
	// Not a caller's context: what was handed over is committed and answered.
	results, err := a.server.store.Append(context.Background(), items)
	clear(items)
	a.items = items
	a.server.publisher.do(func() {
		for i, job := range batch {
			if err != nil {
				job.err = err
			} else if job.result, job.err = results[i], results[i].Err; job.err == nil {
				a.server.publisher.appended(&job.result, job.origin)
			}
			job.done <- struct{}{}
		}
	})
}
