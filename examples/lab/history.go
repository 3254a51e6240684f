package lab

import (
	"sync"
	"time"
)

// Kind is what a client saw.
type Kind uint8

// What a client sees. A send ends in Acknowledged or Rejected, or stays open.
const (
	Invoked      Kind = iota // a message is sent for the first time
	Acknowledged             // a receipt, each of them
	Refused                  // the server told to try again: the order of sending is lost
	Rejected                 // every attempt was refused for good
	Delivered                // an event, or a row of a page that was asked for
	Settled                  // the reader believes to have all of the conversation
	Removed                  // the removal of User was acknowledged
	Adding                   // User is about to be added
	Added                    // that was acknowledged
)

// Message is one message as somebody knows it.
type Message struct {
	Conversation, From, ClientID, Text string

	ID  string // "" where it is not known
	Seq int64  // 0 where it is not known
}

// Event is one line of a history.
type Event struct {
	At     time.Duration // of the one monotonic clock
	Kind   Kind
	User   string // who saw it, or who was removed
	Device string
	Message
	// Asked is when a page was asked for; 0 for what came unasked.
	Asked time.Duration
	// Ordered: the sender keeps the order of his messages in a conversation.
	Ordered bool
}

// History is what all clients saw, and a full read in the end.
type History struct {
	Events []Event // in the order of At
	// Final is all messages of each conversation: those before First as they were
	// read before they were pruned.
	Final map[string][]Message
	// First is the first seq that is not pruned; 0, or 1: nothing is.
	First map[string]int64
}

// Recorder writes a history. It is safe for concurrent use.
type Recorder struct {
	begin  time.Time
	mu     sync.Mutex
	events []Event
}

// NewRecorder starts the clock.
func NewRecorder() *Recorder { return &Recorder{begin: time.Now()} }

// Now is the time of the history's clock.
func (r *Recorder) Now() time.Duration { return time.Since(r.begin) }

// Add stamps an event and appends it.
func (r *Recorder) Add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = r.Now()
	r.events = append(r.events, e)
}

// History returns what was recorded, together with the final read.
func (r *Recorder) History(final map[string][]Message, first map[string]int64) *History {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &History{Events: r.events, Final: final, First: first}
}
