package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/store"
)

// mutate breaks one promise of a server. The checker must notice each.
func mutate(c *im.Config, promise string) error {
	switch promise {
	case "":
	case "ack":
		c.Store = &hasty{Store: c.Store, given: map[key]given{}}
	case "publish":
		h := &hasty{Store: c.Store, given: map[key]given{}}
		c.Store = h
		c.Middleware = append(c.Middleware, h.patient)
	case "seq":
		c.Store = &counting{Store: c.Store, seq: map[string]int64{}}
	case "window":
		c.Store = &forgetful{Store: c.Store, first: map[key]time.Time{}}
	default:
		return fmt.Errorf("there is no mutant %q", promise)
	}
	return nil
}

type key struct{ from, clientID string }

func keyOf(m *store.Message) key { return key{m.From, m.ClientID} }

// hasty answers an append with the seq that it will get, and commits it a little
// later: one batch at a time, so that it is right as long as nothing happens.
type hasty struct {
	store.Store
	mu    sync.Mutex
	last  chan struct{}
	given map[key]given
}

type given struct {
	answer    store.Appended
	as        store.Fingerprint
	committed chan struct{}
}

func (h *hasty) Append(ctx context.Context, items []store.Append) ([]store.Appended, error) {
	h.mu.Lock()
	before := h.last
	h.mu.Unlock()
	if before != nil {
		<-before
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	items = append([]store.Append(nil), items...) // the caller's, once this returns
	done := make(chan struct{})
	h.last = done
	answers := make([]store.Appended, len(items))
	seq := map[string]int64{}
	var later []store.Append // what was answered, whoever is removed meanwhile
	for i := range items {
		items[i].Message.Content = bytes.Clone(items[i].Message.Content)
		m := items[i].Message
		head, member, err := h.Store.Conversation(ctx, m.Conversation, m.From)
		if err != nil || !member.Active() {
			answers[i].Err = store.ErrNotMember
			continue
		}
		r, err := h.Lookup(ctx, m.From, m.ClientID, items[i].Fingerprint)
		if errors.Is(err, store.ErrConflict) {
			answers[i].Err = err
			continue
		}
		if err == nil {
			m.Seq, m.Rev, m.Born, m.Count, m.ID = r.Seq, r.Rev, r.Rev, r.Count, r.ID
			answers[i] = store.Appended{Receipt: r, Duplicate: true, Message: m, Conversation: head}
			continue
		}
		if g, repeated := h.given[keyOf(&m)]; repeated && g.committed == done {
			if g.as != items[i].Fingerprint {
				answers[i].Err = store.ErrConflict
				continue
			}
			answers[i] = g.answer
			answers[i].Duplicate = true
			continue
		}
		seq[m.Conversation] = max(seq[m.Conversation], head.Seq) + 1
		m.Seq = seq[m.Conversation]
		m.Rev, m.Born, m.Count = m.Seq, m.Seq, m.Seq
		head.Seq, head.Rev, head.Count = m.Seq, m.Seq, m.Seq
		answers[i] = store.Appended{
			Receipt:      store.Receipt{Conversation: m.Conversation, Seq: m.Seq, Rev: m.Seq, Count: m.Seq, ID: m.ID, Time: m.Time},
			Message:      m,
			Conversation: head,
		}
		items[i].As = store.AsHost
		later = append(later, items[i])
		h.given[keyOf(&m)] = given{answers[i], items[i].Fingerprint, done}
	}
	go func() {
		defer close(done)
		time.Sleep(20 * time.Millisecond)
		_, _ = h.Store.Append(context.Background(), later)
	}()
	return answers, nil
}

// patient keeps the receipt until the commit: then only the event is hasty.
func (h *hasty) patient(next im.Handler) im.Handler {
	return func(ctx context.Context, op *im.Op) (any, error) {
		result, err := next(ctx, op)
		if p, send := op.Params.(*im.SendParams); send && err == nil {
			h.mu.Lock()
			g, found := h.given[key{op.Identity.User, p.ClientID}]
			h.mu.Unlock()
			if found {
				<-g.committed
			}
		}
		return result, err
	}
}

// counting numbers messages in memory, beside the transaction that stores them.
type counting struct {
	store.Store
	mu  sync.Mutex
	seq map[string]int64
}

func (c *counting) Append(ctx context.Context, items []store.Append) ([]store.Appended, error) {
	numbers := make([]int64, len(items))
	c.mu.Lock()
	for i := range items {
		id := items[i].Message.Conversation
		if _, known := c.seq[id]; !known {
			head, _, err := c.Conversation(ctx, id, "")
			if err != nil {
				continue
			}
			c.seq[id] = head.Seq
		}
		c.seq[id]++ // also for what is refused or repeated
		numbers[i] = c.seq[id]
	}
	c.mu.Unlock()
	answers, err := c.Store.Append(ctx, items)
	for i := range answers {
		if a := &answers[i]; a.Err == nil && !a.Duplicate && numbers[i] > 0 {
			a.Receipt.Seq, a.Message.Seq = numbers[i], numbers[i]
		}
	}
	return answers, err
}

// forgetful remembers a clientId for one second.
type forgetful struct {
	store.Store
	mu    sync.Mutex
	first map[key]time.Time
}

const (
	memory = time.Second
	again  = "~again-" // behind the clientId of what is stored once more
)

func (f *forgetful) forgotten(k key) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	first, known := f.first[k]
	if known && time.Since(first) < memory {
		return false
	}
	f.first[k] = time.Now()
	return true
}

func (f *forgetful) Lookup(ctx context.Context, from, clientID string, p store.Fingerprint) (store.Receipt, error) {
	f.mu.Lock()
	first, known := f.first[key{from, clientID}]
	f.mu.Unlock()
	if !known || time.Since(first) >= memory {
		return store.Receipt{}, store.ErrNotFound
	}
	return f.Store.Lookup(ctx, from, clientID, p)
}

func (f *forgetful) Append(ctx context.Context, items []store.Append) ([]store.Appended, error) {
	items = append([]store.Append(nil), items...)
	for i := range items {
		m := &items[i].Message
		if _, err := f.Store.Lookup(ctx, m.From, m.ClientID, items[i].Fingerprint); f.forgotten(keyOf(m)) && err == nil {
			m.ClientID += again + m.ID[:8]
		}
	}
	answers, err := f.Store.Append(ctx, items)
	for i := range answers {
		strip(&answers[i].Message)
	}
	return answers, err
}

func (f *forgetful) Messages(ctx context.Context, q store.MessagesQuery) (store.MessagesPage, error) {
	page, err := f.Store.Messages(ctx, q)
	for i := range page.Messages {
		strip(&page.Messages[i])
	}
	return page, err
}

func (f *forgetful) Changes(ctx context.Context, q store.ChangesQuery) (store.ChangesPage, error) {
	page, err := f.Store.Changes(ctx, q)
	for i := range page.Messages {
		strip(&page.Messages[i])
	}
	return page, err
}

func strip(m *store.Message) { m.ClientID, _, _ = strings.Cut(m.ClientID, again) }
