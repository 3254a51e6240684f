package im

import (
	"context"
	"errors"
	"slices"

	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// createConversation is conversation.create.
func (s *server) createConversation(ctx context.Context, op *Op, p *wire.CreateParams) (*wire.Conversation, error) {
	if err := s.checkSettings(p); err != nil {
		return nil, err
	}
	n := store.NewConversation{
		Kind: store.Kind(p.Kind), Creator: op.Identity.User, Time: s.now(),
		Settings: store.Settings{Title: p.Title, Ext: p.Ext}, ClientID: p.ClientID, Fingerprint: op.fingerprint,
	}
	var err error
	switch n.Kind {
	case store.Direct:
		err = s.newDirect(ctx, op, p, &n)
	case store.Group:
		err = s.newGroup(ctx, op, p, &n)
	case store.Room:
		err = ErrUnsupported.With("rooms are not supported yet").At("kind")
	default:
		err = ErrInvalidArgument.With("kind is direct or group").At("kind")
	}
	if err != nil {
		return nil, err
	}
	created, err := s.store.Create(uncut(ctx), n)
	if errors.Is(err, store.ErrConflict) {
		return nil, ErrConflict.With("this id or clientId is taken")
	}
	if err != nil {
		return nil, fromStore(err)
	}
	c := &created.Conversation
	if !created.Duplicate {
		s.publisher.do(func() { s.publisher.conversation(c, s.publisher.topicUsers(c), roles(n.Members)) })
	}
	return s.viewOf(ctx, c.ID, op.Identity.User)
}

// replayCreate answers a repeated conversation.create.
func (s *server) replayCreate(ctx context.Context, op *Op) (any, bool, error) {
	p := op.Params.(*wire.CreateParams)
	if p.ClientID == "" {
		return nil, false, nil
	}
	if !validClientID(p.ClientID) {
		return nil, false, ErrInvalidArgument.With("clientId is 1 to 64 bytes of printable ASCII").At("clientId")
	}
	r, found, err := s.lookup(ctx, op, p.ClientID)
	if !found || err != nil {
		return nil, false, err
	}
	view, err := s.viewOf(ctx, r.Conversation, op.Identity.User)
	return view, true, err
}

func (s *server) checkSettings(p *wire.CreateParams) error {
	if len(p.Title) > s.limits.TitleBytes {
		return ErrTooLarge.over("title", s.limits.TitleBytes)
	}
	if len(p.Ext) > s.limits.ContentBytes {
		return ErrTooLarge.over("ext", s.limits.ContentBytes)
	}
	return s.checkRewritten(p.Ext)
}

func (s *server) newDirect(ctx context.Context, op *Op, p *wire.CreateParams, n *store.NewConversation) error {
	switch {
	case len(p.Members) != 1:
		return ErrInvalidArgument.With("a direct conversation is with exactly one other user").At("members")
	case p.ID != "":
		return ErrInvalidArgument.With("a direct conversation has no id of its own").At("id")
	case p.Title != "":
		return ErrInvalidArgument.With("a direct conversation has no title").At("title")
	case p.Ext != nil:
		return ErrInvalidArgument.With("a direct conversation has no ext").At("ext")
	}
	peer := p.Members[0]
	if _, err := s.directPeers(ctx, op, peer, "members[0]"); err != nil {
		return err
	}
	n.ID = DirectID(op.Identity.User, peer)
	n.Members = []store.NewMember{{User: op.Identity.User}, {User: peer}}
	return nil
}

func (s *server) newGroup(ctx context.Context, op *Op, p *wire.CreateParams, n *store.NewConversation) error {
	n.ID = groupPrefix + randomID()
	if p.ID != "" {
		if err := s.checkChosenID(ctx, op, p.ID); err != nil {
			return err
		}
		n.ID = p.ID
	}
	members, err := s.userList(p.Members, "members", 0)
	if err != nil {
		return err
	}
	unknown, err := s.unknownUsers(ctx, members)
	if err != nil {
		return err
	}
	if len(unknown) > 0 {
		return ErrNotFound.At(index("members", slices.Index(p.Members, unknown[0])))
	}
	if user := op.Identity.User; user != s.config.HostUser {
		n.Members = append(n.Members, store.NewMember{User: user, Role: store.Owner})
		members = slices.DeleteFunc(members, func(m string) bool { return m == user })
	}
	for _, m := range members {
		n.Members = append(n.Members, store.NewMember{User: m, Role: store.PlainMember})
	}
	if len(n.Members) > s.limits.Members {
		return ErrTooMany.over("members", s.limits.Members)
	}
	return nil
}

// checkChosenID: only the host, or whom its policy lets, may name a conversation.
func (s *server) checkChosenID(ctx context.Context, op *Op, id string) error {
	if !op.Host {
		namer, ok := s.config.Policy.(ConversationNamer)
		if !ok {
			return ErrPermissionDenied.With("only the host may choose an id").At("id")
		}
		if err := namer.AllowName(ctx, op.Identity, id); err != nil {
			return err
		}
	}
	if !validChosenID(id) {
		return ErrInvalidArgument.With("an id is 1 to 64 of [A-Za-z0-9_-] and does not begin with d_, g_ or r_").At("id")
	}
	return nil
}

// getConversation is conversation.get.
func (s *server) getConversation(ctx context.Context, op *Op, _ *wire.ConversationParams) (*wire.Conversation, error) {
	return s.view(ctx, &op.head, op.member, op.Identity.User)
}

// viewOf reads a conversation as a user sees it.
func (s *server) viewOf(ctx context.Context, id, user string) (*wire.Conversation, error) {
	c, m, err := s.store.Conversation(ctx, id, user)
	if err != nil {
		return nil, fromStore(err)
	}
	return s.view(ctx, &c, m, user)
}

// view adds to a conversation what only a read tells: its newest message, and
// of a direct one the peer.
func (s *server) view(ctx context.Context, c *store.Conversation, m *store.Member, user string) (*wire.Conversation, error) {
	row := store.SyncRow{Conversation: *c}
	if m != nil {
		row.Member = *m
	}
	page, err := s.store.Messages(ctx, store.MessagesQuery{Conversation: c.ID, Limit: 1, Now: s.now()})
	if err != nil {
		return nil, fromStore(err)
	}
	if len(page.Messages) == 1 {
		row.Last = &page.Messages[0]
	}
	if c.Kind == store.Direct {
		members, err := s.store.Members(ctx, store.MembersQuery{Conversation: c.ID, Limit: 2})
		if err != nil {
			return nil, fromStore(err)
		}
		for i := range members.Members {
			if members.Members[i].User != user {
				row.Peer = &members.Members[i]
			}
		}
	}
	return toWireRow(&row, user), nil
}

// getOwn is conversation.own.
func (s *server) getOwn(_ context.Context, op *Op, _ *wire.OwnParams) (*wire.OwnResult, error) {
	if !op.member.Active() {
		return nil, ErrNotFound
	}
	return toWireOwn(&op.head, op.member), nil
}

// listMarkers is conversation.markers.
func (s *server) listMarkers(ctx context.Context, op *Op, p *wire.MarkersParams) (*wire.MarkersResult, error) {
	limit, err := s.pageLimit(p.Limit)
	if err != nil {
		return nil, err
	}
	if p.Cursor != "" && !validUser(p.Cursor) {
		return nil, ErrInvalidArgument.With("this cursor is not of this operation").At("cursor")
	}
	page, err := s.store.Members(ctx, store.MembersQuery{Conversation: op.Conversation, After: p.Cursor, Limit: limit})
	if err != nil {
		return nil, fromStore(err)
	}
	result := &wire.MarkersResult{Markers: make([]wire.Marker, 0, len(page.Members)), More: page.More}
	for i := range page.Members {
		result.Markers = append(result.Markers, toWireMarker(&page.Members[i]))
	}
	if page.More {
		result.Cursor = page.Members[len(page.Members)-1].User
	}
	return result, nil
}

// mark is conversation.mark.
func (s *server) mark(ctx context.Context, op *Op, p *wire.MarkParams) (*wire.MarkResult, error) {
	if p.Read < 0 {
		return nil, ErrInvalidArgument.With("this is no seq").At("read")
	}
	if p.Delivered < 0 {
		return nil, ErrInvalidArgument.With("this is no seq").At("delivered")
	}
	marked, err := s.store.Mark(uncut(ctx), store.Mark{
		Conversation: op.Conversation, User: op.Identity.User, Read: p.Read, Delivered: p.Delivered,
	})
	if err != nil {
		return nil, fromStore(err)
	}
	if marked.Moved {
		s.publisher.do(func() { s.publisher.marked(&marked, op.Session) })
	}
	m := &marked.Member
	return &wire.MarkResult{
		Read: m.Read, Delivered: m.Delivered, Own: m.Own, Seen: m.Seen, SeenAll: m.SeenAll, Unread: m.Unread(&marked.Conversation),
	}, nil
}

func roles(members []store.NewMember) map[string]*store.Member {
	rows := make(map[string]*store.Member, len(members))
	for _, m := range members {
		rows[m.User] = &store.Member{User: m.User, Role: m.Role}
	}
	return rows
}
