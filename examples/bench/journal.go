package main

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/store"
	"github.com/google/uuid"
)

// A journal stores messages for a hub of one's own: whoever comes while the
// last commit is on its way shares the next.
type journal struct {
	store store.Store

	mu      sync.Mutex
	waiting []*entry
	running bool
}

type entry struct {
	item store.Append
	err  error
	done chan struct{}
}

func newJournal(s store.Store) *journal { return &journal{store: s} }

// append returns when the message is on the disk.
func (j *journal) append(from string, in *incoming) error {
	e := &entry{done: make(chan struct{}), item: store.Append{
		Message: store.Message{
			Conversation: im.DirectID(from, in.To), ID: uuid.NewString()[:22], ClientID: in.ID, From: from,
			Time: store.MillisOf(time.Now()), Type: im.TypeText, Content: []byte(`{"text":"` + in.Text + `"}`),
		},
		Open: &[2]string{from, in.To},
	}}
	hash := sha256.Sum256([]byte(in.Text))
	copy(e.item.Fingerprint[:], hash[:])
	j.mu.Lock()
	j.waiting = append(j.waiting, e)
	start := !j.running
	j.running = true
	j.mu.Unlock()
	if start {
		go j.run()
	}
	<-e.done
	return e.err
}

func (j *journal) run() {
	for {
		j.mu.Lock()
		batch := j.waiting
		j.waiting = nil
		j.running = len(batch) > 0
		j.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		items := make([]store.Append, len(batch))
		for i, e := range batch {
			items[i] = e.item
		}
		results, err := j.store.Append(context.Background(), items)
		for i, e := range batch {
			if e.err = err; err == nil {
				e.err = results[i].Err
			}
			close(e.done)
		}
	}
}
