// Package memory is the reference implementation of store.Store: the contract
// in the plainest code that keeps it. One mutex guards plain maps and slices,
// a read copies out what it found, and nothing outlives the process.
//
// It serves tests and programs whose chat may be forgotten. It walks where a
// database would have an index, so it suits thousands of messages in a
// conversation, not millions.
package memory

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"

	"example.com/h5im/store"
)

// Options configures a Store. Zero fields take their defaults.
type Options struct {
	// Epoch names the history. Defaults to a random one.
	Epoch string
	// MaxMessages is the number of messages in the whole store above which an
	// append is store.ErrFull. Defaults to no limit.
	MaxMessages int
}

// Store keeps a chat in memory. Make it with New.
type Store struct {
	options Options
	key     []byte

	mu            sync.Mutex
	closed        bool
	version       int64
	conversations map[string]*conversation
	memberships   map[string]map[string]*conversation // user, then conversation id; ended ones too
	receipts      map[request]answer
	messages      int // in all conversations
	feed          []entry
	records       map[name]store.Record
	revision      int64 // of the last record write
}

var _ store.Store = (*Store)(nil)

// conversation is one conversation with all that is in it.
type conversation struct {
	head     store.Conversation
	messages []*store.Message         // seq 1 is at 0; nil where not even a tombstone is left
	members  map[string]*store.Member // ended ones too
	// forgotten is the seq up to which not even a tombstone is left.
	forgotten int64
}

// New makes an empty store. The options may be nil.
func New(options *Options) *Store {
	s := &Store{
		key:           make([]byte, 32),
		conversations: map[string]*conversation{},
		memberships:   map[string]map[string]*conversation{},
		receipts:      map[request]answer{},
		records:       map[name]store.Record{},
	}
	if options != nil {
		s.options = *options
	}
	if s.options.Epoch == "" {
		s.options.Epoch = rand.Text()
	}
	rand.Read(s.key) // never fails: crypto/rand ends the process instead
	return s
}

// Info implements store.Store.
func (s *Store) Info(ctx context.Context) (store.Info, error) {
	if err := s.lock(ctx); err != nil {
		return store.Info{}, err
	}
	defer s.mu.Unlock()
	return store.Info{
		Epoch: s.options.Epoch, Key: bytes.Clone(s.key),
		Version: s.version, Position: store.Position(len(s.feed)),
	}, nil
}

// Close implements store.Store. It drops everything.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.conversations, s.memberships, s.receipts, s.feed, s.records = nil, nil, nil, nil, nil
	return nil
}

// lock begins every method: on nil the caller holds the mutex.
func (s *Store) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

// commitLocked begins a commit that cannot fail any more and answers its version.
func (s *Store) commitLocked() int64 {
	s.version++
	return s.version
}

func (s *Store) findLocked(id string) (*conversation, error) {
	c := s.conversations[id]
	if c == nil {
		return nil, fmt.Errorf("memory: conversation %q: %w", id, store.ErrNotFound)
	}
	return c, nil
}

// activeLocked finds a conversation and the user's active row there.
func (s *Store) activeLocked(id, user string) (*conversation, *store.Member, error) {
	c, err := s.findLocked(id)
	if err != nil {
		return nil, nil, err
	}
	m := c.members[user]
	if !m.Active() {
		return nil, nil, fmt.Errorf("memory: user %q in %q: %w", user, id, store.ErrNotMember)
	}
	return c, m, nil
}

// copyHead copies a head for or from a caller.
func copyHead(c store.Conversation) store.Conversation {
	c.Ext = bytes.Clone(c.Ext)
	return c
}

// copyMember copies a row for a caller; nil stays nil.
func copyMember(m *store.Member) *store.Member {
	if m == nil {
		return nil
	}
	row := *m
	return &row
}

// copyMessage copies a message for or from a caller.
func copyMessage(m *store.Message) *store.Message {
	row := *m
	row.Content = bytes.Clone(m.Content)
	row.Ext = bytes.Clone(m.Ext)
	row.Mentions = slices.Clone(m.Mentions)
	if m.Recalled != nil {
		recall := *m.Recalled
		row.Recalled = &recall
	}
	return &row
}
