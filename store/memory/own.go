package memory

import (
	"context"

	"example.com/h5im/store"
)

// Mark implements store.Store.
func (s *Store) Mark(ctx context.Context, mark store.Mark) (store.Marked, error) {
	if err := mark.Validate(); err != nil {
		return store.Marked{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.Marked{}, err
	}
	defer s.mu.Unlock()
	c, m, err := s.activeLocked(mark.Conversation, mark.User)
	if err != nil {
		return store.Marked{}, err
	}
	read := max(m.Read, min(mark.Read, c.head.Seq))
	delivered := max(m.Delivered, min(mark.Delivered, c.head.Seq), read)
	moved := read > m.Read || delivered > m.Delivered
	if moved {
		version := s.commitLocked()
		if read > m.Read && read > c.head.Pruned {
			last := c.messages[read-1]
			m.Seen, m.SeenAll = max(m.Seen, last.Count), max(m.SeenAll, last.AllCount)
		}
		m.Read, m.Delivered = read, delivered
		m.Own++
		m.Version = version
		if c.head.Members <= store.SmallConversation {
			c.head.Version = version
		}
	}
	return store.Marked{Member: *m, Conversation: copyHead(c.head), Moved: moved}, nil
}

// SetOwn implements store.Store.
func (s *Store) SetOwn(ctx context.Context, id, user string, change func(*store.OwnSettings) error) (store.Member, error) {
	if err := store.ValidateOwn(id, user); err != nil {
		return store.Member{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.Member{}, err
	}
	defer s.mu.Unlock()
	_, m, err := s.activeLocked(id, user)
	if err != nil {
		return store.Member{}, err
	}
	own := m.OwnSettings
	if err := change(&own); err != nil {
		return store.Member{}, err
	}
	if err := own.Validate(); err != nil {
		return store.Member{}, err
	}
	if own != m.OwnSettings {
		m.OwnSettings = own
		m.Own++
		m.Version = s.commitLocked()
	}
	return *m, nil
}
