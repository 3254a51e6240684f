package im

import (
	"cmp"
	"context"
	"time"

	"example.com/h5im/store"
)

// TailStatus is how far a consumer is.
type TailStatus struct {
	Consumer string
	// Node runs it, or was the last to and has not given it back; "": none.
	Node string
	// Position is stored: everything up to it is done.
	Position Position
	// Behind is how many changes there are after it. A store whose positions are
	// not consecutive answers more than there are.
	Behind int64
	// Oldest is when the first of them was made, as far as a change tells; the
	// zero time if there is none, or it does not.
	Oldest time.Time
}

// Tails lists the consumers of the store. See Server.
func (s *server) Tails(ctx context.Context) ([]TailStatus, error) {
	info, err := s.store.Info(ctx)
	if err != nil {
		return nil, fromStore(err)
	}
	var list []TailStatus
	q := store.RecordsQuery{Namespace: tailRecords, Limit: tailBatch, Now: s.now()}
	for {
		records, err := s.store.ListRecords(ctx, q)
		if err != nil {
			return nil, fromStore(err)
		}
		for i := range records {
			status, err := s.tailStatus(ctx, &records[i], info.Position)
			if err != nil {
				return nil, err
			}
			list = append(list, status)
		}
		if len(records) < q.Limit {
			return list, nil
		}
		q.After = records[len(records)-1].Key
	}
}

func (s *server) tailStatus(ctx context.Context, r *store.Record, end store.Position) (TailStatus, error) {
	state, err := readLeaseRecord(r)
	if err != nil {
		return TailStatus{}, err
	}
	status := TailStatus{Consumer: r.Key, Node: state.Node, Position: state.Position, Behind: max(0, int64(end-state.Position))}
	next, err := s.store.Feed(ctx, state.Position, 1)
	if err != nil {
		return TailStatus{}, fromStore(err)
	}
	if len(next) > 0 {
		status.Oldest = changedAt(&next[0])
	}
	return status, nil
}

// changedAt is when a change was made, as far as its object tells.
func changedAt(c *store.Change) time.Time {
	switch c.Kind {
	case store.MessageAppended:
		return c.Message.Time.Time()
	case store.MessageAmended:
		return c.Message.EditedAt.Time()
	case store.ConversationCreated:
		return c.Head.CreatedAt.Time()
	case store.MemberChanged:
		return cmp.Or(c.Member.LeftAt, c.Member.JoinedAt).Time()
	}
	return time.Time{}
}
