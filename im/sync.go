package im

import (
	"context"

	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// sync is sync: what changed for the caller since a cursor. The first page fixes
// an upper bound; what moves above it belongs to the next sync.
func (s *server) sync(ctx context.Context, op *Op, p *wire.SyncParams) (*wire.SyncResult, error) {
	limit, err := s.pageLimit(p.Limit)
	if err != nil {
		return nil, err
	}
	user := op.Identity.User
	var c cursor
	reset := false
	if p.Cursor != "" {
		info, err := s.store.Info(ctx)
		if err != nil {
			return nil, err
		}
		opened, ok := s.cursors.open(p.Cursor, user)
		if ok && opened.from <= info.Version && opened.to <= info.Version {
			c = opened
		} else {
			reset = true // another epoch, user or store, forged, too old: a snapshot
		}
	}
	page, err := s.store.Sync(ctx, store.SyncQuery{
		User: user, From: c.from, To: c.to, AfterVersion: c.afterVersion, AfterID: c.afterID, Limit: limit, Now: s.now(),
	})
	if err != nil {
		return nil, fromStore(err)
	}
	result := &wire.SyncResult{More: page.More, Reset: reset, Conversations: make([]wire.Conversation, 0, len(page.Rows))}
	for i := range page.Rows {
		result.Conversations = append(result.Conversations, *toWireRow(&page.Rows[i], user))
	}
	next := cursor{from: page.To}
	if page.More {
		last := &page.Rows[len(page.Rows)-1]
		next = cursor{from: c.from, to: page.To, afterVersion: last.Version, afterID: last.Conversation.ID}
	}
	result.Cursor = s.cursors.seal(next, user)
	return result, nil
}
