package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"example.com/h5im/store"
)

// Sync implements store.Store.
func (s *Store) Sync(ctx context.Context, q store.SyncQuery) (store.SyncPage, error) {
	if err := q.Validate(); err != nil {
		return store.SyncPage{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.SyncPage{}, err
	}
	defer s.mu.Unlock()
	if q.To == 0 || q.To > s.version {
		q.To = s.version
	}
	page := store.SyncPage{To: q.To}
	for _, c := range s.memberships[q.User] {
		if row := c.syncRow(&q); row != nil {
			page.Rows = append(page.Rows, *row)
		}
	}
	slices.SortFunc(page.Rows, func(a, b store.SyncRow) int {
		return cmp.Or(cmp.Compare(b.Version, a.Version), strings.Compare(b.Conversation.ID, a.Conversation.ID))
	})
	if page.More = len(page.Rows) > q.Limit; page.More {
		page.Rows = page.Rows[:q.Limit]
	}
	return page, nil
}

// syncRow is the conversation as its member q.User gets it, or nil where it is
// none of the rows that q asks for.
func (c *conversation) syncRow(q *store.SyncQuery) *store.SyncRow {
	m := c.members[q.User]
	row := &store.SyncRow{Version: m.Version, Member: *m}
	if m.Active() {
		row.Version = max(m.Version, c.head.Version)
	}
	switch {
	case c.head.Kind == store.Room,
		q.From == 0 && !m.Active(),
		row.Version <= q.From || row.Version > q.To,
		q.AfterVersion > 0 && !follows(row.Version, c.head.ID, q):
		return nil
	}
	if !m.Active() {
		row.Conversation = store.Conversation{ID: c.head.ID, Kind: c.head.Kind}
		return row
	}
	row.Conversation = copyHead(c.head)
	if c.head.Seq > c.head.Pruned {
		if last := c.messages[c.head.Seq-1]; !last.Expired(q.Now) {
			row.Last = copyMessage(last)
		}
	}
	if c.head.Kind == store.Direct {
		for user, other := range c.members {
			if user != q.User {
				row.Peer = copyMember(other)
			}
		}
	}
	return row
}

// follows tells whether a row comes after the one that the last page ended with.
func follows(version int64, id string, q *store.SyncQuery) bool {
	return version < q.AfterVersion || version == q.AfterVersion && id < q.AfterID
}
