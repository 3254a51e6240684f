package memory

import (
	"context"

	"example.com/h5im/store"
)

// Prune implements store.Store.
func (s *Store) Prune(ctx context.Context, q store.PruneQuery) (store.Pruned, error) {
	if err := q.Validate(); err != nil {
		return store.Pruned{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.Pruned{}, err
	}
	defer s.mu.Unlock()
	c, err := s.findLocked(q.Conversation)
	if err != nil {
		return store.Pruned{}, err
	}
	head, worked := &c.head, 0
	forgettable := func(seq int64) bool {
		return seq <= head.Seq && c.messages[seq-1].Time < q.Forget && worked < q.Limit
	}
	for c.forgotten < head.Pruned && forgettable(c.forgotten+1) {
		worked++
		s.forgetLocked(c)
	}
	pruned := 0
	for head.Pruned < head.Seq && c.messages[head.Pruned].Time < q.Before && worked < q.Limit {
		forget := c.forgotten == head.Pruned && forgettable(head.Pruned+1)
		m := c.messages[head.Pruned]
		head.Pruned++
		m.Bury()
		for _, member := range c.members {
			member.Seen, member.SeenAll = max(member.Seen, m.Count), max(member.SeenAll, m.AllCount)
		}
		if forget {
			s.forgetLocked(c)
		}
		worked++
		pruned++
	}
	s.messages -= pruned
	if worked > 0 {
		s.commitLocked()
	}
	return store.Pruned{Conversation: copyHead(c.head), Messages: pruned, More: worked == q.Limit}, nil
}

// forgetLocked removes the first tombstone.
func (s *Store) forgetLocked(c *conversation) {
	m := c.messages[c.forgotten]
	delete(s.receipts, request{m.From, m.ClientID})
	c.messages[c.forgotten] = nil
	c.forgotten++
}
