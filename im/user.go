package im

import (
	"context"
	"fmt"

	"example.com/h5im/im/wire"
)

// maxUsers is how many profiles user.get takes.
const maxUsers = 100

// getUsers is user.get.
func (s *server) getUsers(ctx context.Context, op *Op, p *wire.UsersParams) (*wire.UsersResult, error) {
	if len(p.Users) == 0 {
		return nil, ErrInvalidArgument.With("name at least one user").At("users")
	}
	if len(p.Users) > maxUsers {
		return nil, ErrTooLarge.over("users", maxUsers)
	}
	users, err := s.userList(p.Users, "users", 1)
	if err != nil {
		return nil, err
	}
	if !op.Host {
		if users, err = s.store.Acquainted(ctx, op.Identity.User, users); err != nil {
			return nil, err
		}
	}
	profiles, err := s.profiles(ctx, users)
	if err != nil {
		return nil, err
	}
	result := &wire.UsersResult{Profiles: make([]wire.Profile, 0, len(users))}
	for _, u := range users {
		if profile := profiles[u]; profile != nil {
			result.Profiles = append(result.Profiles, *profile)
		}
	}
	return result, nil
}

// profiles asks the Directory. Without one a profile is the id.
func (s *server) profiles(ctx context.Context, users []string) (map[string]*wire.Profile, error) {
	profiles := make(map[string]*wire.Profile, len(users))
	if s.config.Directory == nil {
		for _, u := range users {
			profiles[u] = &wire.Profile{ID: u}
		}
		return profiles, nil
	}
	if len(users) == 0 {
		return profiles, nil
	}
	found, err := s.config.Directory.Profiles(ctx, users)
	if err != nil {
		return nil, fmt.Errorf("im: directory: %w", err)
	}
	for _, u := range users {
		p, ok := found[u]
		if !ok {
			continue
		}
		profiles[u] = &wire.Profile{ID: u, Name: p.Name, Avatar: p.Avatar}
		if p.Ext == nil {
			continue
		}
		if profiles[u].Ext, err = wire.CompactObject(p.Ext, s.limits.scan()); err != nil {
			s.log.Error("profile without its ext, which is no JSON object", "user", u, "err", err)
		}
	}
	return profiles, nil
}

// unknownUsers are those whom the Directory does not know.
func (s *server) unknownUsers(ctx context.Context, users []string) ([]string, error) {
	if s.config.Directory == nil {
		return nil, nil
	}
	profiles, err := s.profiles(ctx, users)
	if err != nil {
		return nil, err
	}
	var unknown []string
	for _, u := range users {
		if profiles[u] == nil && u != s.config.HostUser {
			unknown = append(unknown, u)
		}
	}
	return unknown, nil
}
