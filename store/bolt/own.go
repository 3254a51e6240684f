package bolt

import (
	"context"

	"example.com/h5im/store"
)

// Mark moves a member's markers. See store.Store.
func (s *Store) Mark(ctx context.Context, q store.Mark) (store.Marked, error) {
	if err := q.Validate(); err != nil {
		return store.Marked{}, err
	}
	var marked store.Marked
	err := s.update(ctx, 0, func(b *batch) (err error) {
		marked, err = b.mark(&q)
		return err
	})
	if err != nil {
		return store.Marked{}, err
	}
	return marked, nil
}

func (b *batch) mark(q *store.Mark) (store.Marked, error) {
	h, err := b.headByID(q.Conversation)
	if err != nil {
		return store.Marked{}, err
	}
	m, err := b.activeMember(h, q.User)
	if err != nil {
		return store.Marked{}, err
	}
	read := max(m.Read, min(q.Read, h.Seq))
	delivered := max(m.Delivered, min(q.Delivered, h.Seq), read)
	moved := read > m.Read || delivered > m.Delivered
	if moved {
		seen, seenAll := m.Seen, m.SeenAll
		if read > m.Read && read > h.Pruned {
			c, err := b.messages(h).counters(read)
			if err != nil {
				return store.Marked{}, err
			}
			seen, seenAll = max(seen, c.count), max(seenAll, c.allCount)
		}
		m.Read, m.Delivered, m.Seen, m.SeenAll = read, delivered, seen, seenAll
		m.Own++
		b.touchMember(h, m)
		if h.Members <= store.SmallConversation {
			b.touchHead(h)
		}
	}
	return store.Marked{Member: *m, Conversation: h.conversation(), Moved: moved}, nil
}

// SetOwn changes a member's own settings. See store.Store.
func (s *Store) SetOwn(ctx context.Context, conversation, user string, change func(*store.OwnSettings) error) (store.Member, error) {
	if err := store.ValidateOwn(conversation, user); err != nil {
		return store.Member{}, err
	}
	var row store.Member
	err := s.update(ctx, 0, func(b *batch) error {
		h, err := b.headByID(conversation)
		if err != nil {
			return err
		}
		m, err := b.activeMember(h, user)
		if err != nil {
			return err
		}
		own := m.OwnSettings
		if err := try(func() error { return change(&own) }); err != nil {
			return err
		}
		if err := own.Validate(); err != nil {
			return err
		}
		if own != m.OwnSettings {
			m.OwnSettings = own
			m.Own++
			b.touchMember(h, m)
		}
		row = *m
		return nil
	})
	if err != nil {
		return store.Member{}, err
	}
	return row, nil
}
