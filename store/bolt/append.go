package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"example.com/h5im/store"
)

// Append stores messages. See store.Store.
func (s *Store) Append(ctx context.Context, items []store.Append) ([]store.Appended, error) {
	results := make([]store.Appended, len(items))
	// What does not depend on the transaction is done before the writer has it.
	fields := make([][]byte, len(items))
	valid, size := 0, 0
	for i := range items {
		if results[i].Err = items[i].Validate(); results[i].Err != nil {
			continue
		}
		valid++
		fields[i] = messageFields(&items[i].Message, items[i].Fingerprint)
		size += len(fields[i])
	}
	if valid == 0 {
		return results, s.ready(ctx)
	}
	err := s.update(ctx, size, func(b *batch) error {
		for i := range items {
			if fields[i] != nil {
				results[i] = b.append(&items[i], fields[i])
			}
		}
		return nil
	})
	if err == nil {
		return results, nil
	}
	if errors.Is(err, store.ErrFull) {
		for i := range results {
			if fields[i] != nil {
				results[i] = store.Appended{Err: err}
			}
		}
		return results, nil
	}
	return nil, err
}

// append is one item.
func (b *batch) append(item *store.Append, fields []byte) store.Appended {
	a, err := b.appendItem(item, fields)
	if err != nil {
		return store.Appended{Err: err}
	}
	return a
}

func (b *batch) appendItem(item *store.Append, fields []byte) (a store.Appended, err error) {
	m := item.Message
	if a, found, err := b.repeated(m.From, m.ClientID, item.Fingerprint); found || err != nil {
		return a, err
	}
	h, sender, err := b.admit(item)
	if err != nil {
		return a, err
	}
	records, err := b.stage(item.Records)
	if err != nil {
		return a, err
	}

	if h == nil {
		ends := []store.NewMember{{User: item.Open[0]}, {User: item.Open[1]}}
		h, err = b.create(&store.NewConversation{
			ID: m.Conversation, Kind: store.Direct, Creator: m.From, Time: m.Time, Members: ends,
		})
		if err != nil {
			return a, err
		}
		if sender, err = b.member(h, m.From); err != nil {
			return a, err
		}
		a.Opened = true
	}
	h.Seq++
	h.Rev++
	if m.Flags&store.NoUnread == 0 {
		h.Count++
		if m.MentionAll {
			h.AllCount++
		}
	}
	m.Seq, m.Rev, m.Born, m.Count, m.AllCount = h.Seq, h.Rev, h.Rev, h.Count, h.AllCount
	position := b.log(encodeMessage(h.number, &m, fields))
	b.index(h, position)
	b.remember(m.From, m.ClientID, position)
	b.touchHead(h)
	if sender.Active() {
		if sender.Read == h.Seq-1 {
			sender.Read, sender.Delivered = h.Seq, h.Seq
		}
		sender.Seen, sender.SeenAll = h.Count, h.AllCount
		b.touchMember(h, sender)
	}
	b.putRecords(records)

	a.Receipt = receiptOf(&m)
	a.Conversation = h.conversation()
	a.Message = cloneMessage(&m)
	return a, nil
}

// repeated answers an item whose (from, clientID) is known.
func (b *batch) repeated(from, clientID string, f store.Fingerprint) (a store.Appended, found bool, err error) {
	n, row, found, err := b.request(from, clientID)
	if err != nil || !found {
		return a, found, err
	}
	h, err := b.head(n.number)
	if err != nil {
		return a, true, err
	}
	if n.kind != store.MessageAppended {
		return a, true, conflict(clientID)
	}
	m, stored, err := decodeMessage(h.ID, row)
	if err != nil {
		return a, true, damaged(bucketRequests, requestKey(from, clientID), err)
	}
	if !stored.Of(f) {
		return a, true, conflict(clientID)
	}
	return store.Appended{
		Receipt: receiptOf(m), Duplicate: true, Conversation: h.conversation(), Message: *m,
	}, true, nil
}

// admit finds the conversation of an item, nil where the item opens it, and
// the sender's member row, nil where he has none.
func (b *batch) admit(item *store.Append) (*head, *store.Member, error) {
	m := &item.Message
	h, err := b.headByID(m.Conversation)
	if errors.Is(err, store.ErrNotFound) && item.Open != nil {
		if item.As == store.AsMember && m.From != item.Open[0] && m.From != item.Open[1] {
			return nil, nil, notMember(m.From, m.Conversation)
		}
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	sender, err := b.member(h, m.From)
	if err != nil {
		return nil, nil, err
	}
	if item.As == store.AsMember && !sender.Active() {
		return nil, nil, notMember(m.From, m.Conversation)
	}
	return h, sender, nil
}

// Lookup finds what (from, clientID) stored. See store.Store.
func (s *Store) Lookup(ctx context.Context, from, clientID string, f store.Fingerprint) (store.Receipt, error) {
	if err := store.ValidateLookup(from, clientID); err != nil {
		return store.Receipt{}, err
	}
	var receipt store.Receipt
	err := s.view(ctx, func(r reader) error {
		n, row, found, err := r.request(from, clientID)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("bolt: clientId %q: %w", clientID, store.ErrNotFound)
		}
		h, err := r.head(n.number)
		if err != nil {
			return err
		}
		if n.kind == store.ConversationCreated {
			receipt = store.Receipt{Conversation: h.ID}
			if !n.fingerprint.Of(f) {
				return conflict(clientID)
			}
			return nil
		}
		m, stored, err := decodeMessage(h.ID, row)
		if err != nil {
			return damaged(bucketRequests, requestKey(from, clientID), err)
		}
		receipt = receiptOf(m)
		if !stored.Of(f) {
			return conflict(clientID)
		}
		return nil
	})
	if err != nil {
		return store.Receipt{}, err
	}
	return receipt, nil
}

func receiptOf(m *store.Message) store.Receipt {
	return store.Receipt{
		Conversation: m.Conversation, Seq: m.Seq, Rev: m.Born, Count: m.Count, AllCount: m.AllCount, ID: m.ID, Time: m.Time,
	}
}

func cloneMessage(m *store.Message) store.Message {
	c := *m
	c.Content = bytes.Clone(m.Content)
	c.Ext = bytes.Clone(m.Ext)
	c.Mentions = slices.Clone(m.Mentions)
	if m.Recalled != nil {
		r := *m.Recalled
		c.Recalled = &r
	}
	return c
}
