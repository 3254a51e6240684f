package memory

import (
	"context"
	"fmt"

	"example.com/h5im/store"
)

// request names a write that carried a clientId, store-wide.
type request struct{ from, clientID string }

func (r request) conflict() error {
	return fmt.Errorf("memory: clientId %q of %q: %w", r.clientID, r.from, store.ErrConflict)
}

// answer is what a request stored. It is never changed, and removed with the
// last of its message only.
type answer struct {
	fingerprint store.Fingerprint
	receipt     store.Receipt
}

// Append implements store.Store.
func (s *Store) Append(ctx context.Context, items []store.Append) ([]store.Appended, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	version := s.version + 1 // one commit for all items, if any is stored
	results := make([]store.Appended, len(items))
	for i := range items {
		r := &results[i]
		if *r, r.Err = s.appendLocked(&items[i], version); r.Err != nil {
			*r = store.Appended{Err: r.Err}
		} else if !r.Duplicate {
			s.version = version
		}
	}
	return results, nil
}

// appendLocked stores one item. Everything that may fail comes before anything
// that is changed.
func (s *Store) appendLocked(item *store.Append, version int64) (r store.Appended, err error) {
	if err := item.Validate(); err != nil {
		return r, err
	}
	m := copyMessage(&item.Message)

	asked := request{m.From, m.ClientID}
	if earlier, ok := s.receipts[asked]; ok {
		if !earlier.fingerprint.Of(item.Fingerprint) || earlier.receipt.Seq == 0 {
			return r, asked.conflict()
		}
		c := s.conversations[earlier.receipt.Conversation]
		return store.Appended{
			Receipt: earlier.receipt, Duplicate: true,
			Conversation: copyHead(c.head), Message: *copyMessage(c.messages[earlier.receipt.Seq-1]),
		}, nil
	}

	c := s.conversations[m.Conversation]
	r.Opened = c == nil && item.Open != nil
	member := false
	switch {
	case r.Opened:
		member = m.From == item.Open[0] || m.From == item.Open[1]
	case c == nil:
		return r, fmt.Errorf("memory: conversation %q: %w", m.Conversation, store.ErrNotFound)
	default:
		member = c.members[m.From].Active()
	}
	if item.As == store.AsMember && !member {
		return r, fmt.Errorf("memory: user %q in %q: %w", m.From, m.Conversation, store.ErrNotMember)
	}
	if s.options.MaxMessages > 0 && s.messages >= s.options.MaxMessages {
		return r, fmt.Errorf("memory: %d messages: %w", s.messages, store.ErrFull)
	}
	writes, err := s.stageLocked(item.Records)
	if err != nil {
		return r, err
	}

	if r.Opened {
		c = s.createLocked(&store.NewConversation{
			ID: m.Conversation, Kind: store.Direct, Creator: m.From, Time: m.Time,
			Members: []store.NewMember{{User: item.Open[0]}, {User: item.Open[1]}},
		}, version)
	}
	head := &c.head
	head.Seq++
	head.Rev++
	if m.Flags&store.NoUnread == 0 {
		head.Count++
		if m.MentionAll {
			head.AllCount++
		}
	}
	head.Version = version
	m.Seq, m.Rev, m.Born, m.Count, m.AllCount = head.Seq, head.Rev, head.Rev, head.Count, head.AllCount
	c.messages = append(c.messages, m)
	s.messages++
	if member {
		sent(c.members[m.From], m, version)
	}
	s.applyLocked(writes)
	r.Receipt = store.Receipt{
		Conversation: m.Conversation, Seq: m.Seq, Rev: m.Born, Count: m.Count, AllCount: m.AllCount, ID: m.ID, Time: m.Time,
	}
	s.receipts[asked] = answer{item.Fingerprint, r.Receipt}
	s.feed = append(s.feed, entry{kind: store.MessageAppended, conversation: c, seq: m.Seq})

	r.Conversation, r.Message = copyHead(c.head), *copyMessage(m)
	return r, nil
}

// sent notes in the sender's row that he knows his own message.
func sent(sender *store.Member, m *store.Message, version int64) {
	if sender.Read == m.Seq-1 {
		sender.Read = m.Seq
		sender.Delivered = m.Seq
	}
	sender.Seen, sender.SeenAll, sender.Version = m.Count, m.AllCount, version
}

// Lookup implements store.Store.
func (s *Store) Lookup(ctx context.Context, from, clientID string, f store.Fingerprint) (store.Receipt, error) {
	if err := store.ValidateLookup(from, clientID); err != nil {
		return store.Receipt{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.Receipt{}, err
	}
	defer s.mu.Unlock()
	asked := request{from, clientID}
	earlier, ok := s.receipts[asked]
	switch {
	case !ok:
		return store.Receipt{}, fmt.Errorf("memory: clientId %q of %q: %w", clientID, from, store.ErrNotFound)
	case !earlier.fingerprint.Of(f):
		return store.Receipt{}, asked.conflict()
	}
	return earlier.receipt, nil
}

// Amend implements store.Store.
func (s *Store) Amend(ctx context.Context, id string, seq int64, change func(*store.Message) error) (store.Amended, error) {
	if err := store.ValidateAmend(id, seq); err != nil {
		return store.Amended{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.Amended{}, err
	}
	defer s.mu.Unlock()
	c, err := s.findLocked(id)
	if err != nil {
		return store.Amended{}, err
	}
	if seq > c.head.Seq || seq <= c.head.Pruned {
		return store.Amended{}, fmt.Errorf("memory: message %d of %q: %w", seq, id, store.ErrNotFound)
	}
	was := c.messages[seq-1]
	m := copyMessage(was)
	if err := change(m); err != nil {
		return store.Amended{}, err
	}
	m = copyMessage(m) // change may have kept what it was given
	m.Conversation, m.Seq, m.Born, m.Count, m.AllCount = was.Conversation, was.Seq, was.Born, was.Count, was.AllCount
	m.ID, m.From, m.ClientID, m.Time = was.ID, was.From, was.ClientID, was.Time
	if err := m.Validate(); err != nil {
		return store.Amended{}, err
	}
	c.head.Rev++
	c.head.Version = s.commitLocked()
	m.Rev = c.head.Rev
	c.messages[seq-1] = m
	s.feed = append(s.feed, entry{kind: store.MessageAmended, conversation: c, seq: seq})
	return store.Amended{Message: *copyMessage(m), Conversation: copyHead(c.head)}, nil
}
