package bolt

import (
	"context"
	"encoding/binary"
	"math"

	"example.com/h5im/store"
)

// Feed reads the log after a position. See store.Store.
func (s *Store) Feed(ctx context.Context, after store.Position, limit int) ([]store.Change, error) {
	if err := store.ValidateFeed(after, limit); err != nil {
		return nil, err
	}
	if after == math.MaxInt64 {
		return nil, s.ready(ctx)
	}
	var changes []store.Change
	err := s.view(ctx, func(r reader) error {
		heads := map[uint32]*head{}
		c := r.bucket(bucketLog).Cursor()
		for k, row := c.Seek(logKey(uint64(after) + 1)); k != nil && len(changes) < limit; k, row = c.Next() {
			if len(k) != 8 {
				return damaged(bucketLog, k, errRowShape)
			}
			n, err := decodeEntry(row)
			if err != nil {
				return damaged(bucketLog, k, err)
			}
			h := heads[n.number]
			if h == nil {
				if h, err = r.head(n.number); err != nil {
					return err
				}
				heads[n.number] = h
			}
			if n.seq > 0 && n.seq <= h.Pruned {
				continue
			}
			change, err := r.change(h, n, row)
			if err != nil {
				return err
			}
			change.Position = store.Position(binary.BigEndian.Uint64(k))
			changes = append(changes, change)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return changes, nil
}

// change reads the present state of what a log entry points to.
func (r reader) change(h *head, n entry, row []byte) (c store.Change, err error) {
	conversation := h.conversation()
	c = store.Change{Kind: n.kind, Conversation: h.ID, Head: &conversation}
	switch n.kind {
	case store.MessageAppended:
		c.Message, _, err = decodeMessage(h.ID, row)
	case store.MessageAmended:
		c.Message, _, err = r.messages(h).get(n.seq)
	case store.MemberChanged:
		c.Member, err = r.member(h, n.user)
	}
	return c, err
}
