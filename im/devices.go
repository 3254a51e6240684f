package im

import (
	"cmp"
	"context"
	"slices"

	"example.com/h5im/im/wire"
	"example.com/h5im/store"
	"example.com/h5im/transport"
)

// SessionPolicy says how many devices of a user may be on. Without one, each
// may have Limits.SessionsPerUser sessions on each node.
type SessionPolicy interface {
	// Admit is called when a session opens, with it and the user's others on
	// all nodes, oldest first. It returns the ids of those that have to end
	// (close code 4202), or an error that refuses the one that opens, such as
	// ErrSessionLimit. Two that open at once see each other: decide by Since and
	// ID, so that both come to the same end.
	Admit(ctx context.Context, opening SessionInfo, others []SessionInfo) (end []string, err error)
}

// MaxDevices lets a user be on with n devices, the latest ones: a device that
// comes signs out the one that has been there longest.
func MaxDevices(n int) SessionPolicy { return maxDevices(n) }

type maxDevices int

func (n maxDevices) Admit(_ context.Context, opening SessionInfo, others []SessionInfo) (end []string, err error) {
	all := append(slices.Clone(others), opening)
	slices.SortFunc(all, newestFirst)
	devices := map[string]bool{}
	for _, i := range all {
		if !devices[i.Device] && len(devices) == int(n) {
			if i.ID == opening.ID {
				return nil, ErrSessionLimit.over("devices", int(n))
			}
			end = append(end, i.ID)
			continue
		}
		devices[i.Device] = true
	}
	return end, nil
}

func newestFirst(a, b SessionInfo) int {
	return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(b.ID, a.ID))
}

// admit asks the policy about a session that is attached already, so that two
// on different nodes see each other.
func (s *server) admit(ctx context.Context, x *session) error {
	if s.config.SessionPolicy == nil {
		return nil
	}
	opening := x.info()
	all, err := s.sessionsOf(ctx, opening.Identity.User)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(all, func(i SessionInfo) bool { return i.ID == opening.ID })
	slices.SortFunc(others, func(a, b SessionInfo) int { return newestFirst(b, a) })
	end, err := s.config.SessionPolicy.Admit(ctx, opening, others)
	if err != nil {
		return err
	}
	for _, id := range end {
		k := kick{Selector: Selector{User: opening.Identity.User, Session: id}, Reason: "replaced", Code: transport.CloseTooMany}
		if _, err := s.kick(ctx, k); err != nil {
			s.log.Warn("session not ended", "user", opening.Identity.User, "session", id, "err", err)
		}
	}
	return nil
}

// nodeSession is a SessionInfo between nodes.
type nodeSession struct {
	ID        string       `json:"id"`
	Device    string       `json:"device"`
	Client    string       `json:"client,omitempty"`
	Transport string       `json:"transport"`
	Address   string       `json:"address,omitempty"`
	Since     store.Millis `json:"since"`
}

// sessionsOf are a user's sessions on all nodes that answer. One that does not
// is gone, or as good as gone.
func (s *server) sessionsOf(ctx context.Context, user string) ([]SessionInfo, error) {
	answers, err := askNodes[[]nodeSession](ctx, s, nodeRequest{SessionsOf: user})
	if len(answers) == 0 && err != nil {
		return nil, err
	}
	if err != nil {
		s.log.Warn("a node does not tell its sessions", "user", user, "err", err)
	}
	var all []SessionInfo
	for _, i := range slices.Concat(answers...) {
		all = append(all, SessionInfo{
			ID: i.ID, Identity: Identity{User: user}, Device: i.Device, Client: i.Client,
			Transport: i.Transport, Address: i.Address, Since: i.Since.Time(),
		})
	}
	return all, nil
}

func (s *server) sessionsHere(user string) []nodeSession {
	list := []nodeSession{}
	for _, x := range s.sessions.attached(user, func(*SessionInfo) bool { return true }) {
		i := x.info()
		list = append(list, nodeSession{
			ID: i.ID, Device: i.Device, Client: i.Client, Transport: i.Transport, Address: i.Address, Since: store.MillisOf(i.Since),
		})
	}
	return list
}

// listSessions is session.list.
func (s *server) listSessions(ctx context.Context, op *Op, _ *wire.Empty) (*wire.SessionsResult, error) {
	all, err := s.sessionsOf(ctx, op.Identity.User)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, newestFirst)
	result := &wire.SessionsResult{Sessions: make([]wire.Session, 0, len(all))}
	for _, i := range all {
		result.Sessions = append(result.Sessions, wire.Session{
			Session: i.ID, Device: i.Device, Client: i.Client, Transport: i.Transport, Address: i.Address,
			Since: i.Since.UnixMilli(), Current: i.ID == op.Session,
		})
	}
	return result, nil
}

// revokeSessions is session.revoke: a user signs out others of his sessions.
func (s *server) revokeSessions(ctx context.Context, op *Op, p *wire.RevokeParams) (*wire.RevokeResult, error) {
	named := 0
	for _, given := range []bool{p.Session != "", p.Device != "", p.Others} {
		if given {
			named++
		}
	}
	switch {
	case named != 1:
		return nil, ErrInvalidArgument.With("give exactly one of session, device and others").At("session")
	case p.Session != "" && p.Session == op.Session:
		return nil, ErrInvalidArgument.With("session.close ends this session").At("session")
	}
	sel := Selector{User: op.Identity.User, Device: p.Device, Session: p.Session, Except: op.Session}
	n, err := s.kick(ctx, kick{Selector: sel, Reason: "signed out", Code: transport.CloseKicked})
	if err != nil {
		return nil, err
	}
	return &wire.RevokeResult{Closed: n}, nil
}
