package memory

import (
	"cmp"
	"context"
	"slices"

	"example.com/h5im/store"
)

// Messages implements store.Store.
func (s *Store) Messages(ctx context.Context, q store.MessagesQuery) (store.MessagesPage, error) {
	if err := q.Validate(); err != nil {
		return store.MessagesPage{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.MessagesPage{}, err
	}
	defer s.mu.Unlock()
	c, err := s.findLocked(q.Conversation)
	if err != nil {
		return store.MessagesPage{}, err
	}
	page := store.MessagesPage{Conversation: copyHead(c.head)}
	// What is left is numbered as if it were all.
	gone, newest := c.head.Pruned, c.head.Seq
	q.Seq = max(0, q.Seq-gone)
	page.From, page.To = span(q, newest-gone)
	page.From, page.To = page.From+gone, page.To+gone
	older, newer := page.From > gone+1, page.To < newest
	switch q.Anchor {
	case store.Newest, store.Before:
		page.More = older
	case store.After:
		page.More = newer
	case store.Around:
		page.More = older || newer
	}
	for seq := page.From; seq <= page.To; seq++ {
		if m := c.messages[seq-1]; !m.Expired(q.Now) {
			page.Messages = append(page.Messages, *copyMessage(m))
		}
	}
	return page, nil
}

// span is the range of seqs that a query asks for, where newest is the last
// one there is. It has at most q.Limit seqs; an empty one has from = to+1.
func span(q store.MessagesQuery, newest int64) (from, to int64) {
	limit := min(int64(q.Limit), newest) // so that no sum overflows
	seq := min(q.Seq, newest+1)
	switch q.Anchor {
	case store.Before:
		to = max(seq-1, 0)
		return max(to-limit, 0) + 1, to
	case store.After:
		seq = min(seq, newest)
		return seq + 1, min(seq+limit, newest)
	case store.Around:
		from = max(1, min(seq-limit/2, newest-limit+1))
		return from, from + limit - 1
	default:
		return newest - limit + 1, newest
	}
}

// Changes implements store.Store.
func (s *Store) Changes(ctx context.Context, q store.ChangesQuery) (store.ChangesPage, error) {
	if err := q.Validate(); err != nil {
		return store.ChangesPage{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.ChangesPage{}, err
	}
	defer s.mu.Unlock()
	c, err := s.findLocked(q.Conversation)
	if err != nil {
		return store.ChangesPage{}, err
	}
	var changed []*store.Message
	for _, m := range c.messages {
		if m != nil && m.Seq > c.head.Pruned && m.Rev > q.Rev && !m.Expired(q.Now) && (q.Within == nil || within(m.Seq, q.Within)) {
			changed = append(changed, m)
		}
	}
	slices.SortFunc(changed, func(a, b *store.Message) int { return cmp.Compare(a.Rev, b.Rev) })
	page := store.ChangesPage{
		Settings: c.head.SettingsRev > q.Rev, Conversation: copyHead(c.head), Rev: c.head.Rev,
	}
	if len(changed) > q.Limit {
		changed = changed[:q.Limit]
		page.More = true
		page.Rev = changed[q.Limit-1].Rev
	}
	for _, m := range changed {
		page.Messages = append(page.Messages, *copyMessage(m))
	}
	return page, nil
}

func within(seq int64, ranges []store.SeqRange) bool {
	return slices.ContainsFunc(ranges, func(r store.SeqRange) bool { return r.From <= seq && seq <= r.To })
}
