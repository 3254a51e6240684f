package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sort"

	"go.etcd.io/bbolt"

	"example.com/h5im/store"
)

// Amend changes a stored message. See store.Store.
func (s *Store) Amend(ctx context.Context, conversation string, seq int64, change func(*store.Message) error) (store.Amended, error) {
	if err := store.ValidateAmend(conversation, seq); err != nil {
		return store.Amended{}, err
	}
	var a store.Amended
	err := s.update(ctx, 0, func(b *batch) error {
		h, err := b.headByID(conversation)
		if err != nil {
			return err
		}
		if seq > h.Seq || seq <= h.Pruned {
			return fmt.Errorf("bolt: message %d of %q: %w", seq, conversation, store.ErrNotFound)
		}
		rows := b.messages(h)
		old, fingerprint, err := rows.get(seq)
		if err != nil {
			return err
		}
		next := cloneMessage(old)
		if err := try(func() error { return change(&next) }); err != nil {
			return err
		}
		next.Conversation, next.Seq, next.Born = old.Conversation, old.Seq, old.Born
		next.Count, next.AllCount = old.Count, old.AllCount
		next.ID, next.ClientID, next.From, next.Time = old.ID, old.ClientID, old.From, old.Time
		if err := next.Validate(); err != nil {
			return err
		}
		position, err := rows.at(seq)
		if err != nil {
			return err
		}
		h.Rev++
		next.Rev = h.Rev
		b.touchHead(h)
		if old.Rev != old.Born {
			b.delete(bucketEdits, editKey(h.number, old.Rev))
		}
		b.put(bucketEdits, editKey(h.number, next.Rev), binary.AppendUvarint(nil, uint64(seq)))
		b.put(bucketLog, logKey(position), encodeMessage(h.number, &next, messageFields(&next, fingerprint)))
		amended := entry{kind: store.MessageAmended, number: h.number, seq: seq}
		b.log(amended.encode())
		a = store.Amended{Message: cloneMessage(&next), Conversation: h.conversation()}
		return nil
	})
	if err != nil {
		return store.Amended{}, err
	}
	return a, nil
}

// Messages reads a range of a conversation's messages. See store.Store.
func (s *Store) Messages(ctx context.Context, q store.MessagesQuery) (store.MessagesPage, error) {
	if err := q.Validate(); err != nil {
		return store.MessagesPage{}, err
	}
	var page store.MessagesPage
	err := s.view(ctx, func(r reader) error {
		h, err := r.headByID(q.Conversation)
		if err != nil {
			return err
		}
		page = store.MessagesPage{Conversation: h.Conversation}
		q.Seq = max(0, q.Seq-h.Pruned) // what is left is numbered as if it were all
		from, to, more := pageRange(&q, h.Seq-h.Pruned)
		page.From, page.To, page.More = from+h.Pruned, to+h.Pruned, more
		page.Messages, err = r.messages(h).visible(page.From, page.To, q.Now)
		return err
	})
	if err != nil {
		return store.MessagesPage{}, err
	}
	return page, nil
}

// pageRange tells which of the seqs 1..newest a page covers; an empty range has
// from = to+1.
func pageRange(q *store.MessagesQuery, newest int64) (from, to int64, more bool) {
	limit := min(int64(q.Limit), newest) // so that no sum overflows
	seq := min(q.Seq, newest+1)
	switch q.Anchor {
	case store.Before:
		to = max(seq-1, 0)
		from = max(to-limit, 0) + 1
		return from, to, from > 1
	case store.After:
		from = min(seq, newest) + 1
		to = min(from-1+limit, newest)
		return from, to, to < newest
	case store.Around:
		from = max(1, min(seq-limit/2, newest-limit+1))
		to = from + limit - 1
		return from, to, from > 1 || to < newest
	default:
		from = newest - limit + 1
		return from, newest, from > 1
	}
}

// Changes reads what changed since a rev. See store.Store.
func (s *Store) Changes(ctx context.Context, q store.ChangesQuery) (store.ChangesPage, error) {
	if err := q.Validate(); err != nil {
		return store.ChangesPage{}, err
	}
	var page store.ChangesPage
	err := s.view(ctx, func(r reader) error {
		h, err := r.headByID(q.Conversation)
		if err != nil {
			return err
		}
		page = store.ChangesPage{
			Conversation: h.Conversation, Settings: h.SettingsRev > q.Rev, Rev: h.Rev,
		}
		return r.changes(h, &q, &page)
	})
	if err != nil {
		return store.ChangesPage{}, err
	}
	return page, nil
}

// changes merges, by rev, the messages that were born since and never amended
// with those that the edits tell of.
func (r reader) changes(h *head, q *store.ChangesQuery, page *store.ChangesPage) error {
	rows := r.messages(h)
	first, err := rows.bornAfter(q.Rev)
	if err != nil {
		return err
	}
	born := bornCursor{rows: rows, ranges: ascending(q.Within, first, h.Seq)}
	edits := editCursor{c: r.bucket(bucketEdits).Cursor(), prefix: numberKey(h.number), within: q.Within}
	if err := born.next(); err != nil {
		return err
	}
	if err := edits.seek(editKey(h.number, q.Rev+1)); err != nil {
		return err
	}
	for born.seq > 0 || edits.seq > 0 {
		seq := born.seq
		fromEdits := edits.seq > 0 && (seq == 0 || edits.rev < born.rev)
		if fromEdits {
			seq = edits.seq
		}
		m, _, err := rows.get(seq)
		if err != nil {
			return err
		}
		if !m.Expired(q.Now) {
			if len(page.Messages) == q.Limit {
				page.More = true
				page.Rev = page.Messages[q.Limit-1].Rev
				return nil
			}
			page.Messages = append(page.Messages, *m)
		}
		if fromEdits {
			err = edits.next()
		} else {
			err = born.next()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bornAfter finds the first seq whose Born is above rev, by halving.
func (m *messagesOf) bornAfter(rev int64) (int64, error) {
	var err error
	first := m.h.Pruned + 1
	n := sort.Search(int(m.h.Seq-m.h.Pruned), func(i int) bool {
		if err != nil {
			return true
		}
		var c messageCounters
		c, err = m.counters(first + int64(i))
		return c.born > rev
	})
	return first + int64(n), err
}

// bornCursor yields messages in ranges of seqs that were never amended; a seq
// of 0 is its end.
type bornCursor struct {
	rows     *messagesOf
	ranges   []store.SeqRange
	at       int64
	seq, rev int64
}

func (b *bornCursor) next() error {
	for {
		b.at++
		for len(b.ranges) > 0 && b.at > b.ranges[0].To {
			b.ranges = b.ranges[1:]
		}
		if len(b.ranges) == 0 {
			b.seq = 0
			return nil
		}
		b.at = max(b.at, b.ranges[0].From)
		c, err := b.rows.counters(b.at)
		if err != nil {
			return err
		}
		if c.rev == c.born {
			b.seq, b.rev = b.at, c.rev
			return nil
		}
	}
}

// ascending cuts ranges to first..last, sorts and joins them; nil means all.
func ascending(within []store.SeqRange, first, last int64) []store.SeqRange {
	if within == nil {
		within = []store.SeqRange{{From: first, To: last}}
	}
	var cut []store.SeqRange
	for _, w := range within {
		if w = (store.SeqRange{From: max(w.From, first), To: min(w.To, last)}); w.From <= w.To {
			cut = append(cut, w)
		}
	}
	sort.Slice(cut, func(i, j int) bool { return cut[i].From < cut[j].From })
	var joined []store.SeqRange
	for _, w := range cut {
		if n := len(joined); n > 0 && w.From <= joined[n-1].To {
			joined[n-1].To = max(joined[n-1].To, w.To)
			continue
		}
		joined = append(joined, w)
	}
	return joined
}

// editCursor yields the entries of the edits of a conversation by rev.
type editCursor struct {
	c        *bbolt.Cursor
	prefix   []byte
	within   []store.SeqRange
	seq, rev int64
}

func (e *editCursor) seek(key []byte) error { return e.take(e.c.Seek(key)) }
func (e *editCursor) next() error           { return e.take(e.c.Next()) }

func (e *editCursor) take(k, v []byte) error {
	for ; bytes.HasPrefix(k, e.prefix); k, v = e.c.Next() {
		seq, n := binary.Uvarint(v)
		if len(k) != len(e.prefix)+8 || n != len(v) || seq == 0 {
			return damaged(bucketEdits, k, errRowShape)
		}
		e.seq, e.rev = int64(seq), int64(binary.BigEndian.Uint64(k[len(e.prefix):]))
		if e.within == nil || inRanges(e.within, e.seq) {
			return nil
		}
	}
	e.seq = 0
	return nil
}

func inRanges(ranges []store.SeqRange, seq int64) bool {
	for _, w := range ranges {
		if w.From <= seq && seq <= w.To {
			return true
		}
	}
	return false
}
