package bolt

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"example.com/h5im/store"
)

// Sync walks a user's memberships. See store.Store.
func (s *Store) Sync(ctx context.Context, q store.SyncQuery) (store.SyncPage, error) {
	if err := q.Validate(); err != nil {
		return store.SyncPage{}, err
	}
	var page store.SyncPage
	err := s.view(ctx, func(r reader) error {
		st, err := r.state()
		if err != nil {
			return err
		}
		if q.To == 0 || q.To > st.version {
			q.To = st.version
		}
		page.To = q.To
		found, err := r.syncCandidates(&q)
		if err != nil {
			return err
		}
		if page.More = len(found) > q.Limit; page.More {
			found = found[:q.Limit]
		}
		for _, f := range found {
			row, err := r.syncRow(&q, f)
			if err != nil {
				return err
			}
			page.Rows = append(page.Rows, row)
		}
		return nil
	})
	if err != nil {
		return store.SyncPage{}, err
	}
	return page, nil
}

// syncCandidate is a membership that has a row in the rest of a walk. Its id is
// part of the file.
type syncCandidate struct {
	version int64
	number  uint32
	id      []byte
}

// syncCandidates finds them, in order. It reads no more of heads and member
// rows than their versions.
func (r reader) syncCandidates(q *store.SyncQuery) ([]syncCandidate, error) {
	var found []syncCandidate
	rows := r.bucket(bucketConversations).Cursor()
	err := r.eachMembership(q.User, func(number uint32, active bool) (bool, error) {
		if q.From == 0 && !active {
			return true, nil
		}
		key := memberKey(number, q.User)
		headRow := seekRow(rows, key[:4])
		headVersion, room, id, err := decodeHeadVersion(headRow)
		if err != nil {
			return false, damaged(bucketConversations, key[:4], err)
		}
		version, err := decodeMemberVersion(seekRow(rows, key))
		if err != nil {
			return false, damaged(bucketConversations, key, err)
		}
		if active {
			version = max(version, headVersion)
		}
		f := syncCandidate{version, number, id}
		if !room && version > q.From && version <= q.To && follows(f, q) {
			found = append(found, f)
		}
		return true, nil
	})
	slices.SortFunc(found, func(a, b syncCandidate) int {
		return cmp.Or(cmp.Compare(b.version, a.version), bytes.Compare(b.id, a.id))
	})
	return found, err
}

// follows tells whether a row comes after the one that the last page ended with.
func follows(f syncCandidate, q *store.SyncQuery) bool {
	return q.AfterVersion == 0 || f.version < q.AfterVersion ||
		f.version == q.AfterVersion && string(f.id) < q.AfterID
}

func (r reader) syncRow(q *store.SyncQuery, f syncCandidate) (store.SyncRow, error) {
	h, err := r.head(f.number)
	if err != nil {
		return store.SyncRow{}, err
	}
	m, err := r.member(h, q.User)
	if err == nil && m == nil {
		err = damaged(bucketMemberships, membershipKey(q.User, f.number), errRowShape)
	}
	if err != nil {
		return store.SyncRow{}, err
	}
	row := store.SyncRow{Version: f.version, Conversation: h.Conversation, Member: *m}
	if !m.Active() {
		row.Conversation = store.Conversation{ID: h.ID, Kind: h.Kind}
		return row, nil
	}
	if h.Seq > h.Pruned {
		last, _, err := r.messages(h).get(h.Seq)
		if err != nil {
			return row, err
		}
		if !last.Expired(q.Now) {
			row.Last = last
		}
	}
	if h.Kind == store.Direct {
		err = r.eachMember(h, "", func(m *store.Member) bool {
			if m.User != q.User {
				row.Peer = m
			}
			return row.Peer == nil
		})
	}
	return row, err
}
