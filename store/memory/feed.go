package memory

import (
	"context"

	"example.com/h5im/store"
)

// entry points to what changed; its position is its place in the feed, from 1.
type entry struct {
	kind         store.ChangeKind
	conversation *conversation
	seq          int64  // of a message
	user         string // of a member
}

// Feed implements store.Store.
func (s *Store) Feed(ctx context.Context, after store.Position, limit int) ([]store.Change, error) {
	if err := store.ValidateFeed(after, limit); err != nil {
		return nil, err
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	begin := int(min(int64(after), int64(len(s.feed))))
	var changes []store.Change
	for i, e := range s.feed[begin:] {
		if len(changes) == limit {
			break
		}
		if e.seq > 0 && e.seq <= e.conversation.head.Pruned {
			continue
		}
		head := copyHead(e.conversation.head)
		change := store.Change{
			Position: store.Position(begin + i + 1), Kind: e.kind, Conversation: head.ID, Head: &head,
		}
		switch e.kind {
		case store.MessageAppended, store.MessageAmended:
			change.Message = copyMessage(e.conversation.messages[e.seq-1])
		case store.MemberChanged:
			change.Member = copyMember(e.conversation.members[e.user])
		}
		changes = append(changes, change)
	}
	return changes, nil
}
