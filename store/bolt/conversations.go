package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"example.com/h5im/store"
)

// Create makes a conversation with its first members. See store.Store.
func (s *Store) Create(ctx context.Context, c store.NewConversation) (store.Created, error) {
	if err := c.Validate(); err != nil {
		return store.Created{}, err
	}
	var created store.Created
	err := s.update(ctx, len(c.Settings.Ext)+100*len(c.Members), func(b *batch) error {
		h, duplicate, err := b.existing(&c)
		if err != nil {
			return err
		}
		if h == nil {
			if h, err = b.create(&c); err != nil {
				return err
			}
		}
		created = store.Created{Conversation: h.conversation(), Duplicate: duplicate}
		return nil
	})
	if err != nil {
		return store.Created{}, err
	}
	return created, nil
}

// existing answers a creation that was done before; nil where it was not.
func (b *batch) existing(c *store.NewConversation) (h *head, duplicate bool, err error) {
	if c.ClientID != "" {
		n, _, found, err := b.request(c.Creator, c.ClientID)
		if err != nil {
			return nil, false, err
		}
		if found {
			if n.kind != store.ConversationCreated || !n.fingerprint.Of(c.Fingerprint) {
				return nil, false, conflict(c.ClientID)
			}
			h, err = b.head(n.number)
			return h, true, err
		}
	}
	h, err = b.headByID(c.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case h.Kind != store.Direct || c.Kind != store.Direct:
		return nil, false, fmt.Errorf("bolt: conversation %q exists: %w", c.ID, store.ErrConflict)
	}
	return h, true, nil
}

// create stores a conversation that does not exist.
func (b *batch) create(c *store.NewConversation) (*head, error) {
	if b.numbers == math.MaxUint32 {
		return nil, fmt.Errorf("bolt: no more conversations: %w", store.ErrFull)
	}
	b.numbers++
	h := &head{number: b.numbers, Conversation: store.Conversation{
		ID: c.ID, Kind: c.Kind, Creator: c.Creator, CreatedAt: c.Time,
		Settings: store.Settings{Title: c.Settings.Title, Ext: append([]byte(nil), c.Settings.Ext...)},
	}}
	b.heads[h.number], b.names[h.ID] = h, h.number
	b.put(bucketNames, []byte(h.ID), numberKey(h.number))
	b.touchHead(h)
	created := entry{
		kind: store.ConversationCreated, number: h.number,
		creator: c.Creator, clientID: c.ClientID, fingerprint: c.Fingerprint,
	}
	position := b.log(created.encode())
	if c.ClientID != "" {
		b.remember(c.Creator, c.ClientID, position)
	}
	if len(c.Members) > 0 {
		h.MemberRev++
	}
	for _, n := range c.Members {
		if m, _ := b.member(h, n.User); m == nil {
			b.join(h, nil, n, c.Time)
		}
	}
	return h, nil
}

// Conversation reads a head and a user's member row. See store.Store.
func (s *Store) Conversation(ctx context.Context, id, user string) (store.Conversation, *store.Member, error) {
	if err := store.ValidateConversationUser(id, user); err != nil {
		return store.Conversation{}, nil, err
	}
	var c store.Conversation
	var m *store.Member
	err := s.view(ctx, func(r reader) error {
		h, err := r.headByID(id)
		if err != nil {
			return err
		}
		c = h.Conversation
		m, err = r.member(h, user)
		return err
	})
	if err != nil {
		return store.Conversation{}, nil, err
	}
	return c, m, nil
}

// Conversations lists heads by id. See store.Store.
func (s *Store) Conversations(ctx context.Context, after string, limit int) ([]store.Conversation, error) {
	if err := store.ValidateConversations(after, limit); err != nil {
		return nil, err
	}
	var list []store.Conversation
	err := s.view(ctx, func(r reader) error {
		c := r.bucket(bucketNames).Cursor()
		for k, _ := c.Seek([]byte(after)); k != nil && len(list) < limit; k, _ = c.Next() {
			if string(k) == after {
				continue
			}
			h, err := r.headByID(string(k))
			if err != nil {
				return err
			}
			list = append(list, h.Conversation)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Configure changes the shared settings. See store.Store.
func (s *Store) Configure(ctx context.Context, conversation string, change func(*store.Settings) error) (store.Conversation, error) {
	if err := store.ValidateConversation(conversation); err != nil {
		return store.Conversation{}, err
	}
	var c store.Conversation
	err := s.update(ctx, 0, func(b *batch) error {
		h, err := b.headByID(conversation)
		if err != nil {
			return err
		}
		next := h.conversation().Settings
		if err := try(func() error { return change(&next) }); err != nil {
			return err
		}
		if err := next.Validate(); err != nil {
			return err
		}
		if next.Title != h.Title || !bytes.Equal(next.Ext, h.Ext) {
			h.Title, h.Ext = next.Title, append([]byte(nil), next.Ext...)
			h.Rev++
			h.SettingsRev = h.Rev
			b.touchHead(h)
			configured := entry{kind: store.ConversationConfigured, number: h.number}
			b.log(configured.encode())
		}
		c = h.conversation()
		return nil
	})
	if err != nil {
		return store.Conversation{}, err
	}
	return c, nil
}
