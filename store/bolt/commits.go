package bolt

import (
	"context"
	"sync"
)

// commits tells readers of the commit that is on its way. bbolt shows it to
// them as soon as its meta page is written, which is before that is synced: a
// power cut would take back what they have seen, and another message would get
// its seq. So whoever has read in such a commit waits for its end.
type commits struct {
	mu   sync.Mutex
	id   int           // of the transaction; 0: there is none
	done chan struct{} // closed at its end
}

func (c *commits) begin(id int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id, c.done = id, make(chan struct{})
}

func (c *commits) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.done)
	c.id = 0
}

// await returns when the commit that a reader saw as transaction id has ended,
// well or not.
func (c *commits) await(ctx context.Context, id int) error {
	c.mu.Lock()
	saw, done := c.id != 0 && id >= c.id, c.done
	c.mu.Unlock()
	if !saw {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
