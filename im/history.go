package im

import (
	"context"

	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// maxWithin is how many ranges message.changes takes.
const maxWithin = 16

// listMessages is message.list.
func (s *server) listMessages(ctx context.Context, op *Op, p *wire.ListParams) (*wire.ListResult, error) {
	limit, err := s.pageLimit(p.Limit)
	if err != nil {
		return nil, err
	}
	q := store.MessagesQuery{Conversation: op.Conversation, Limit: limit, Now: s.now()}
	for _, a := range []struct {
		field  string
		seq    *int64
		anchor store.Anchor
		least  int64
	}{{"before", p.Before, store.Before, 1}, {"after", p.After, store.After, 0}, {"around", p.Around, store.Around, 1}} {
		switch {
		case a.seq == nil:
		case q.Anchor != store.Newest:
			return nil, ErrInvalidArgument.With("before, after and around exclude each other").At(a.field)
		case *a.seq < a.least || *a.seq > maxCounter:
			return nil, ErrInvalidArgument.With("this is no seq").At(a.field)
		default:
			q.Anchor, q.Seq = a.anchor, *a.seq
		}
	}
	page, err := s.store.Messages(ctx, q)
	if err != nil {
		return nil, fromStore(err)
	}
	return &wire.ListResult{
		Messages: toWireMessages(page.Messages), From: page.From, To: page.To,
		FirstSeq: page.Conversation.Pruned + 1, Rev: page.Conversation.Rev, More: page.More,
	}, nil
}

// maxCounter is the largest counter that every client can represent.
const maxCounter = 1<<53 - 1

// listChanges is message.changes.
func (s *server) listChanges(ctx context.Context, op *Op, p *wire.ChangesParams) (*wire.ChangesResult, error) {
	limit, err := s.pageLimit(p.Limit)
	if err != nil {
		return nil, err
	}
	if p.Rev < 0 {
		return nil, ErrInvalidArgument.With("this is no rev").At("rev")
	}
	if len(p.Within) > maxWithin {
		return nil, ErrTooLarge.over("within", maxWithin)
	}
	var within []store.SeqRange
	for i, r := range p.Within {
		if r[0] < 1 || r[1] < r[0] {
			return nil, ErrInvalidArgument.With("a range is [from, to] with 1 <= from <= to").At(index("within", i))
		}
		within = append(within, store.SeqRange{From: r[0], To: r[1]})
	}
	behind := op.head.Rev - p.Rev
	if behind < 0 || within == nil && behind > int64(s.limits.Changes) {
		return &wire.ChangesResult{Rev: op.head.Rev, Reset: true}, nil
	}
	page, err := s.store.Changes(ctx, store.ChangesQuery{
		Conversation: op.Conversation, Rev: p.Rev, Limit: limit, Within: within, Now: s.now(),
	})
	if err != nil {
		return nil, fromStore(err)
	}
	result := &wire.ChangesResult{Messages: toWireMessages(page.Messages), Rev: page.Rev, More: page.More}
	if page.Settings {
		view, err := s.view(ctx, &page.Conversation, op.member, op.Identity.User)
		if err != nil {
			return nil, err
		}
		result.Conversation = view
	}
	return result, nil
}

// pageLimit is how many rows a page has.
func (s *server) pageLimit(asked int) (int, error) {
	switch {
	case asked < 0:
		return 0, ErrInvalidArgument.With("limit is positive").At("limit")
	case asked > s.limits.MaxPage:
		return 0, ErrTooLarge.over("limit", s.limits.MaxPage)
	case asked == 0:
		return s.limits.Page, nil
	}
	return asked, nil
}
