package bolt

import (
	"context"

	"example.com/h5im/store"
)

// Prune forgets messages. See store.Store. What it frees the file keeps for
// reuse; see Compact.
func (s *Store) Prune(ctx context.Context, q store.PruneQuery) (store.Pruned, error) {
	if err := q.Validate(); err != nil {
		return store.Pruned{}, err
	}
	var pruned store.Pruned
	due := false
	// Most conversations have nothing to forget, which needs no turn of the writer.
	err := s.view(ctx, func(r reader) error {
		h, err := r.headByID(q.Conversation)
		if err != nil {
			return err
		}
		pruned.Conversation = h.Conversation
		due, err = r.prunable(h, &q)
		return err
	})
	if err == nil && due {
		err = s.update(ctx, 0, func(b *batch) error {
			h, err := b.headByID(q.Conversation)
			if err == nil {
				pruned, b.err = b.prune(h, &q) // half of it is nothing to be committed
			}
			return err
		})
	}
	if err != nil {
		return store.Pruned{}, err
	}
	return pruned, nil
}

func (r reader) prunable(h *head, q *store.PruneQuery) (bool, error) {
	rows := r.messages(h)
	if h.forgotten < h.Pruned {
		if m, _, err := rows.get(h.forgotten + 1); err != nil || m.Time < q.Forget {
			return true, err
		}
	}
	if h.Pruned == h.Seq {
		return false, nil
	}
	m, _, err := rows.get(h.Pruned + 1)
	return err == nil && m.Time < q.Before, err
}

func (b *batch) prune(h *head, q *store.PruneQuery) (store.Pruned, error) {
	rows := b.messages(h)
	worked := 0
	for ; h.forgotten < h.Pruned && worked < q.Limit; worked++ {
		m, _, err := rows.get(h.forgotten + 1)
		if err != nil {
			return store.Pruned{}, err
		}
		if m.Time >= q.Forget {
			break
		}
		if err := b.forget(rows, m); err != nil {
			return store.Pruned{}, err
		}
	}
	before := h.Pruned
	for ; h.Pruned < h.Seq && worked < q.Limit; worked++ {
		m, fingerprint, err := rows.get(h.Pruned + 1)
		if err != nil {
			return store.Pruned{}, err
		}
		if m.Time >= q.Before {
			break
		}
		position, err := rows.at(m.Seq)
		if err != nil {
			return store.Pruned{}, err
		}
		if m.Rev != m.Born {
			b.delete(bucketEdits, editKey(h.number, m.Rev))
		}
		h.Pruned++
		h.buried.count, h.buried.allCount = m.Count, m.AllCount
		if h.forgotten == m.Seq-1 && m.Time < q.Forget {
			if err := b.forget(rows, m); err != nil {
				return store.Pruned{}, err
			}
			continue
		}
		m.Bury()
		b.put(bucketLog, logKey(position), encodeMessage(h.number, m, messageFields(m, fingerprint)))
	}
	if worked > 0 {
		b.put(bucketConversations, numberKey(h.number), h.encode()) // and its version stays
	}
	return store.Pruned{
		Conversation: h.conversation(), Messages: int(h.Pruned - before), More: worked == q.Limit,
	}, b.err
}

// forget removes the first message that is left of a conversation.
func (b *batch) forget(rows *messagesOf, m *store.Message) error {
	position, err := rows.at(m.Seq)
	if err != nil {
		return err
	}
	h := rows.h
	b.delete(bucketLog, logKey(position))
	b.delete(bucketRequests, requestKey(m.From, m.ClientID))
	if m.Seq%blockSeqs == 0 {
		b.delete(bucketBlocks, blockKey(h.number, uint32(m.Seq/blockSeqs-1)))
	}
	b.removed++
	h.forgotten = m.Seq
	return nil
}
