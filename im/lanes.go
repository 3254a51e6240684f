package im

import (
	"container/heap"
	"time"

	"example.com/h5im/store"
)

// delivery is a change that a tail has read and not done with.
type delivery struct {
	position store.Position
	// change is nil where it is to be read again when its turn comes: in its
	// state of then, and so that what waits long costs no memory.
	change *store.Change
	retry  bool // of a dead letter: the position of the tail does not wait for it
	done   bool
	writes []store.RecordWrite // that have to be stored before it is done
}

// lane is the order of one conversation's changes.
type lane struct {
	conversation string
	queue        []*delivery
	attempts     int       // of the first, that failed
	until        time.Time // when it is tried again
}

// lanes are the conversations in which something is not done: each is worked on
// (running), ready, or waiting to be tried again.
type lanes struct {
	all     map[string]*lane
	ready   []*lane
	waiting backoffs
	loaded  int // changes held in memory
}

// maxLoaded is how many changes are held in memory behind others of their
// conversation.
const maxLoaded = 256

// add puts a delivery behind the others of its conversation.
func (ls *lanes) add(conversation string, d *delivery) {
	l := ls.all[conversation]
	if l == nil {
		l = &lane{conversation: conversation}
		ls.all[conversation] = l
		ls.ready = append(ls.ready, l)
	} else if l.attempts > 0 || ls.loaded >= maxLoaded {
		d.change = nil
	}
	if d.change != nil {
		ls.loaded++
	}
	l.queue = append(l.queue, d)
}

// next takes a lane that is ready; nil: none is.
func (ls *lanes) next() *lane {
	if len(ls.ready) == 0 {
		return nil
	}
	l := ls.ready[0]
	ls.ready = ls.ready[1:]
	return l
}

// shift removes the first of a lane that next returned.
func (ls *lanes) shift(l *lane) {
	ls.unload(l.queue[:1])
	l.queue = l.queue[1:]
	l.attempts = 0
	if len(l.queue) == 0 {
		delete(ls.all, l.conversation)
	} else {
		ls.ready = append(ls.ready, l)
	}
}

// delay lets a lane that next returned wait.
func (ls *lanes) delay(l *lane, d time.Duration) {
	ls.unload(l.queue)
	l.until = time.Now().Add(d)
	heap.Push(&ls.waiting, l)
}

func (ls *lanes) unload(queue []*delivery) {
	for _, d := range queue {
		if d.change != nil {
			d.change = nil
			ls.loaded--
		}
	}
}

// wake makes those ready that have waited until now.
func (ls *lanes) wake(now time.Time) {
	for len(ls.waiting) > 0 && !ls.waiting[0].until.After(now) {
		ls.ready = append(ls.ready, heap.Pop(&ls.waiting).(*lane))
	}
}

// backoffs is a heap of lanes, the soonest first.
type backoffs []*lane

func (b backoffs) Len() int           { return len(b) }
func (b backoffs) Less(i, j int) bool { return b[i].until.Before(b[j].until) }
func (b backoffs) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }

// Push is heap.Interface's.
func (b *backoffs) Push(l any) { *b = append(*b, l.(*lane)) }

// Pop is heap.Interface's.
func (b *backoffs) Pop() any {
	last := len(*b) - 1
	l := (*b)[last]
	*b = (*b)[:last]
	return l
}
