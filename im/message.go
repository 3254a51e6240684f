package im

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// sendMessage is message.send.
func (s *server) sendMessage(ctx context.Context, op *Op, p *wire.SendParams) (*wire.SendResult, error) {
	item, err := s.newAppend(ctx, op, p)
	if err != nil {
		return nil, err
	}
	a, err := s.appender.append(item, op.Session, op.staged)
	if err != nil {
		return nil, fromStore(err)
	}
	result := receipt(&a.Receipt)
	result.Duplicate = a.Duplicate
	if s.rewrites {
		if f, err := fingerprint(op); err != nil || f != op.fingerprint {
			m := toWireMessage(&a.Message)
			result.Message = &m
		}
	}
	return result, nil
}

// replaySend answers a repeated message.send with the first receipt, whatever
// has become of the message, the sender or the rules since.
func (s *server) replaySend(ctx context.Context, op *Op) (any, bool, error) {
	p := op.Params.(*wire.SendParams)
	if !validClientID(p.ClientID) {
		return nil, false, ErrInvalidArgument.With("clientId is 1 to 64 bytes of printable ASCII").At("clientId")
	}
	r, found, err := s.lookup(ctx, op, p.ClientID)
	if !found || err != nil {
		return nil, false, err
	}
	s.publisher.do(func() { s.publishAgain(&r, op.Session) })
	result := receipt(&r)
	result.Duplicate = true
	return result, true, nil
}

func (s *server) lookup(ctx context.Context, op *Op, clientID string) (store.Receipt, bool, error) {
	r, err := s.store.Lookup(ctx, op.Identity.User, clientID, op.fingerprint)
	if errors.Is(err, store.ErrNotFound) {
		return r, false, nil
	}
	if errors.Is(err, store.ErrConflict) {
		return r, false, ErrConflict.With("this clientId was used for another request").At("clientId")
	}
	return r, err == nil, err
}

// publishAgain publishes a message whose first event may have been lost.
func (s *server) publishAgain(r *store.Receipt, origin string) {
	page, err := s.store.Messages(context.Background(), store.MessagesQuery{
		Conversation: r.Conversation, Anchor: store.After, Seq: r.Seq - 1, Limit: 1, Now: s.now(),
	})
	if err == nil && len(page.Messages) == 1 && page.Messages[0].Seq == r.Seq {
		s.publisher.appended(&store.Appended{Conversation: page.Conversation, Message: page.Messages[0]}, origin)
	}
}

func receipt(r *store.Receipt) *wire.SendResult {
	return &wire.SendResult{
		Conversation: r.Conversation, Seq: r.Seq, Rev: r.Rev, Count: r.Count, AllCount: r.AllCount, ID: r.ID, Time: int64(r.Time),
	}
}

// newAppend checks a message and makes its row.
func (s *server) newAppend(ctx context.Context, op *Op, p *wire.SendParams) (item store.Append, err error) {
	kind := cmp.Or(p.Type, TypeText)
	validate, known := s.types[kind]
	if !known || kind == TypeSystem && !op.Host {
		return item, ErrInvalidArgument.With("this message type is not known here").At("type")
	}
	if err := s.checkRewritten(p.Content, p.Ext); err != nil {
		return item, err
	}
	if len(p.Content)+len(p.Ext) > s.limits.ContentBytes {
		return item, ErrTooLarge.over("content", s.limits.ContentBytes)
	}
	if validate != nil {
		if err := validate(p.Content); err != nil {
			return item, err
		}
	}
	if len(p.Mentions.Users) > s.limits.Mentions {
		return item, ErrTooLarge.over("mentions", s.limits.Mentions)
	}
	if i := slices.IndexFunc(p.Mentions.Users, func(u string) bool { return !validUser(u) }); i >= 0 {
		return item, ErrInvalidArgument.With("this is no user id").At(index("mentions", i))
	}
	flags, err := toFlags(p.Flags)
	if err != nil {
		return item, err
	}
	conversation := targetConversation(op.Identity.User, p.To)
	item = store.Append{
		Fingerprint: op.fingerprint,
		Message: store.Message{
			Conversation: conversation, ID: randomMessageID(), ClientID: p.ClientID, From: op.Identity.User,
			Time: s.now(), Type: kind, Content: p.Content, Ext: p.Ext,
			Mentions: p.Mentions.Users, MentionAll: p.Mentions.All, ReplyTo: p.ReplyTo, Flags: flags,
		},
	}
	if op.Host {
		item.As = store.AsHost
	}
	if p.To.User != "" {
		if item.Open, err = s.directPeers(ctx, op, p.To.User, "to"); err != nil {
			return item, err
		}
	}
	if p.ReplyTo != 0 {
		if err := s.checkReply(ctx, op, conversation, p.ReplyTo); err != nil {
			return item, err
		}
	}
	return item, nil
}

// checkRewritten checks objects that a middleware may have changed; those that
// came from a client were checked when they were decoded.
func (s *server) checkRewritten(objects ...[]byte) error {
	if !s.rewrites {
		return nil
	}
	for _, object := range objects {
		if _, err := wire.CompactObject(object, s.limits.scan()); err != nil && object != nil {
			return errors.New("im: a middleware left content or ext that is no JSON object: " + err.Error()) // not the client's fault
		}
	}
	return nil
}

// directPeers are the two ends to open a direct conversation with, or nil where
// it exists.
func (s *server) directPeers(ctx context.Context, op *Op, peer, field string) (*[2]string, error) {
	user := op.Identity.User
	if !validUser(peer) {
		return nil, ErrInvalidArgument.With("this is no user id").At(field)
	}
	if peer == user {
		return nil, ErrInvalidArgument.With("a direct conversation has another user").At(field)
	}
	id := DirectID(user, peer)
	if s.directs.known(id) {
		return nil, nil
	}
	_, _, err := s.store.Conversation(ctx, id, "")
	if err == nil {
		s.directs.add(id)
		return nil, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if unknown, err := s.unknownUsers(ctx, []string{peer}); err != nil || len(unknown) > 0 {
		if err != nil {
			return nil, err
		}
		return nil, ErrNotFound.At(field)
	}
	if !op.Host {
		if wait := s.newPeers.take(user, peer); wait > 0 {
			return nil, ErrRateLimited.over(field, s.limits.NewDirectPeersPerHour).after(wait)
		}
	}
	return &[2]string{user, peer}, nil
}

// checkReply: the message that is answered exists, for those who may know.
func (s *server) checkReply(ctx context.Context, op *Op, conversation string, seq int64) error {
	head, member, err := s.store.Conversation(ctx, conversation, op.Identity.User)
	switch {
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return err
	case err != nil || !op.Host && !member.Active():
		return ErrNotFound
	case seq <= head.Pruned || seq > head.Seq:
		return ErrInvalidArgument.With("replyTo is a seq of the same conversation").At("replyTo")
	}
	return nil
}
