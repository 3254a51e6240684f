package im

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// listMembers is member.list.
func (s *server) listMembers(ctx context.Context, op *Op, p *wire.MemberListParams) (*wire.MemberListResult, error) {
	limit, err := s.pageLimit(p.Limit)
	if err != nil {
		return nil, err
	}
	if p.Since < 0 {
		return nil, ErrInvalidArgument.With("this is no memberRev").At("since")
	}
	q := store.MembersQuery{Conversation: op.Conversation, Since: p.Since, Limit: limit}
	if p.Cursor != "" {
		rev, user, ok := strings.Cut(p.Cursor, ":")
		q.AfterRev, err = strconv.ParseInt(rev, 10, 64)
		if !ok || err != nil || q.AfterRev < 0 || !validUser(user) {
			return nil, ErrInvalidArgument.With("this cursor is not of this operation").At("cursor")
		}
		q.After = user
	}
	page, err := s.store.Members(ctx, q)
	if err != nil {
		return nil, fromStore(err)
	}
	ids := make([]string, len(page.Members))
	for i := range page.Members {
		ids[i] = page.Members[i].User
	}
	profiles, err := s.profiles(ctx, ids)
	if err != nil {
		return nil, err
	}
	result := &wire.MemberListResult{MemberRev: page.MemberRev, Members: make([]wire.Member, 0, len(page.Members))}
	for i := range page.Members {
		m := &page.Members[i]
		result.Members = append(result.Members, toWireMember(m, profiles[m.User]))
	}
	if page.More {
		last := &page.Members[len(page.Members)-1]
		result.Cursor = strconv.FormatInt(last.Rev, 10) + ":" + last.User
	}
	return result, nil
}

// addMembers is member.add.
func (s *server) addMembers(ctx context.Context, op *Op, p *wire.MemberParams) (*wire.MemberResults, error) {
	if op.head.Kind != store.Group {
		return nil, ErrPermissionDenied.With("only a group takes members")
	}
	users, err := s.userList(p.Users, "users", 1)
	if err != nil {
		return nil, err
	}
	unknown, err := s.unknownUsers(ctx, users)
	if err != nil {
		return nil, err
	}
	change := store.MembersChange{Conversation: op.Conversation, Time: s.now(), Limit: s.limits.Members}
	for _, u := range users {
		if !slices.Contains(unknown, u) {
			change.Add = append(change.Add, store.NewMember{User: u, Role: store.PlainMember})
		}
	}
	return s.changeMembers(ctx, p.Users, unknown, change)
}

// removeMembers is member.remove.
func (s *server) removeMembers(ctx context.Context, op *Op, p *wire.MemberParams) (*wire.MemberResults, error) {
	if op.head.Kind != store.Group {
		return nil, ErrPermissionDenied.With("only a group loses members")
	}
	users, err := s.userList(p.Users, "users", 1)
	if err != nil {
		return nil, err
	}
	himself := len(users) == 1 && users[0] == op.Identity.User
	if !op.Host && !himself && op.member.Role != store.Owner {
		return nil, ErrPermissionDenied
	}
	return s.changeMembers(ctx, p.Users, nil, store.MembersChange{Conversation: op.Conversation, Remove: users, Time: s.now()})
}

// changeMembers commits a change and tells everyone whom it concerns.
func (s *server) changeMembers(ctx context.Context, asked, unknown []string, change store.MembersChange) (*wire.MemberResults, error) {
	changed, err := s.store.ChangeMembers(uncut(ctx), change)
	if errors.Is(err, store.ErrTooMany) {
		return nil, ErrTooMany.over("users", change.Limit)
	}
	if err != nil {
		return nil, fromStore(err)
	}
	c := &changed.Conversation
	rows := map[string]*store.Member{}
	var joined, left []string
	for i := range changed.Members {
		m := &changed.Members[i]
		rows[m.User] = m
		if m.Active() {
			joined = append(joined, m.User)
		} else {
			left = append(left, m.User)
		}
	}
	if len(rows) > 0 {
		s.publisher.do(func() {
			s.publisher.conversation(c, joined, rows)
			s.publisher.left(c, left)
			s.publisher.memberList(c, changed.Members)
		})
	}
	result := &wire.MemberResults{MemberRev: c.MemberRev, Results: make([]wire.MemberResult, len(asked))}
	for i, u := range asked {
		result.Results[i] = wire.MemberResult{User: u, Changed: rows[u] != nil}
		if slices.Contains(unknown, u) {
			result.Results[i].Reason = ErrNotFound.Reason
		}
	}
	return result, nil
}

// userList checks a list of user ids and returns it without repetitions.
func (s *server) userList(list []string, field string, least int) ([]string, error) {
	if len(list) > s.limits.MembersPerCall {
		return nil, ErrTooLarge.over(field, s.limits.MembersPerCall)
	}
	if len(list) < least {
		return nil, ErrInvalidArgument.With("name at least one user").At(field)
	}
	seen := make(map[string]bool, len(list))
	users := make([]string, 0, len(list))
	for i, u := range list {
		if !validUser(u) || u == s.config.HostUser {
			return nil, ErrInvalidArgument.With("this is no user id").At(index(field, i))
		}
		if !seen[u] {
			seen[u] = true
			users = append(users, u)
		}
	}
	return users, nil
}

func index(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }
