package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"

	"example.com/h5im/store"
)

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, n store.NewConversation) (store.Created, error) {
	if err := n.Validate(); err != nil {
		return store.Created{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.Created{}, err
	}
	defer s.mu.Unlock()

	asked := request{n.Creator, n.ClientID}
	if earlier, ok := s.receipts[asked]; ok && n.ClientID != "" {
		if !earlier.fingerprint.Of(n.Fingerprint) || earlier.receipt.Seq != 0 {
			return store.Created{}, asked.conflict()
		}
		c := s.conversations[earlier.receipt.Conversation]
		return store.Created{Conversation: copyHead(c.head), Duplicate: true}, nil
	}
	if c := s.conversations[n.ID]; c != nil {
		if n.Kind != store.Direct || c.head.Kind != store.Direct {
			return store.Created{}, fmt.Errorf("memory: conversation %q exists: %w", n.ID, store.ErrConflict)
		}
		return store.Created{Conversation: copyHead(c.head), Duplicate: true}, nil
	}

	c := s.createLocked(&n, s.commitLocked())
	if n.ClientID != "" {
		s.receipts[asked] = answer{n.Fingerprint, store.Receipt{Conversation: n.ID}}
	}
	return store.Created{Conversation: copyHead(c.head)}, nil
}

// createLocked makes a conversation as a part of the commit with this version.
func (s *Store) createLocked(n *store.NewConversation, version int64) *conversation {
	c := &conversation{
		head: copyHead(store.Conversation{
			ID: n.ID, Kind: n.Kind, Settings: n.Settings, Creator: n.Creator, CreatedAt: n.Time, Version: version,
		}),
		members: map[string]*store.Member{},
	}
	s.conversations[n.ID] = c
	if len(n.Members) > 0 {
		c.head.MemberRev = 1
	}
	for _, m := range n.Members {
		if c.members[m.User] == nil {
			s.joinLocked(c, m, n.Time, version)
		}
	}
	s.feed = append(s.feed, entry{kind: store.ConversationCreated, conversation: c})
	return c
}

// Conversation implements store.Store.
func (s *Store) Conversation(ctx context.Context, id, user string) (store.Conversation, *store.Member, error) {
	if err := store.ValidateConversationUser(id, user); err != nil {
		return store.Conversation{}, nil, err
	}
	if err := s.lock(ctx); err != nil {
		return store.Conversation{}, nil, err
	}
	defer s.mu.Unlock()
	c, err := s.findLocked(id)
	if err != nil {
		return store.Conversation{}, nil, err
	}
	return copyHead(c.head), copyMember(c.members[user]), nil
}

// Conversations implements store.Store.
func (s *Store) Conversations(ctx context.Context, after string, limit int) ([]store.Conversation, error) {
	if err := store.ValidateConversations(after, limit); err != nil {
		return nil, err
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	ids := slices.Sorted(maps.Keys(s.conversations))
	var list []store.Conversation
	for _, id := range ids {
		if id > after && len(list) < limit {
			list = append(list, copyHead(s.conversations[id].head))
		}
	}
	return list, nil
}

// Configure implements store.Store.
func (s *Store) Configure(ctx context.Context, id string, change func(*store.Settings) error) (store.Conversation, error) {
	if err := store.ValidateConversation(id); err != nil {
		return store.Conversation{}, err
	}
	if err := s.lock(ctx); err != nil {
		return store.Conversation{}, err
	}
	defer s.mu.Unlock()
	c, err := s.findLocked(id)
	if err != nil {
		return store.Conversation{}, err
	}
	settings := copyHead(c.head).Settings
	if err := change(&settings); err != nil {
		return store.Conversation{}, err
	}
	if err := settings.Validate(); err != nil {
		return store.Conversation{}, err
	}
	if settings.Title != c.head.Title || !bytes.Equal(settings.Ext, c.head.Ext) {
		c.head.Settings = store.Settings{Title: settings.Title, Ext: bytes.Clone(settings.Ext)}
		c.head.Rev++
		c.head.SettingsRev = c.head.Rev
		c.head.Version = s.commitLocked()
		s.feed = append(s.feed, entry{kind: store.ConversationConfigured, conversation: c})
	}
	return copyHead(c.head), nil
}
