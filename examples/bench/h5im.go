package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"example.com/h5im/im"
)

// newChat is this project's server as a host would have it, with what it
// promises: every message is on the disk before it is acknowledged.
func newChat(kind string, clients int, dir string) (system, error) {
	srv, err := im.New(im.Config{
		AppID: "bench",
		Auth: im.AuthenticatorFunc(func(_ context.Context, h *im.Handshake) (im.Identity, error) {
			return im.Identity{User: h.Token}, nil
		}),
		DataDir: dir,
		Limits:  im.Limits{Members: clients + 1, SessionRates: im.Unlimited(), UserRates: im.Unlimited()},
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, err
	}
	if kind == kindFan {
		err = makeGroup(srv, clients)
	}
	return chat{srv}, err
}

type chat struct{ im.Server }

func (c chat) close(ctx context.Context) error { return c.Shutdown(ctx) }

// makeGroup makes the group of the publisher and everybody.
func makeGroup(srv im.Server, clients int) error {
	ctx, system := context.Background(), srv.System()
	_, err := im.Call[im.CreateParams, im.ConversationView](ctx, system, "conversation.create", im.CreateParams{
		Kind: "group", ID: conversation, Members: []string{publisherName},
	})
	const perCall = 500
	for i := 0; i < clients && err == nil; i += perCall {
		var users []string
		for j := i; j < min(i+perCall, clients); j++ {
			users = append(users, userName(j))
		}
		_, err = im.Call[im.MemberParams, im.MemberResults](ctx, system, "member.add", im.MemberParams{Conversation: conversation, Users: users})
	}
	if err != nil {
		return fmt.Errorf("group: %w", err)
	}
	return nil
}
