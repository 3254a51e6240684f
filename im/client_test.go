package im_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/transport"
)

func TestInProcess(t *testing.T) {
	srv := setup(t, im.Config{})
	t.Run("a user in process is a user", func(t *testing.T) {
		bob := srv.Connect("bob")
		r, err := im.Call[im.SendParams, im.SendResult](ctx, srv.As(im.Identity{User: "alice"}), "message.send",
			im.SendParams{To: im.ToUser("bob"), ClientID: "c1", Content: im.Text("hello")})
		must(t, err)
		var m im.MessageView
		bob.Decode(bob.Event("message"), &m)
		if m.Seq != r.Seq || m.From != "alice" {
			t.Errorf("%+v", m)
		}
	})
	t.Run("the host sends to anyone, and as anyone", func(t *testing.T) {
		carol := srv.Connect("carol")
		_, err := im.Call[im.SendParams, im.SendResult](ctx, srv.System(), "message.send",
			im.SendParams{To: im.ToUser("carol"), ClientID: "s1", Type: im.TypeSystem, Content: im.Text("welcome")})
		must(t, err)
		var m im.MessageView
		carol.Decode(carol.Event("message"), &m)
		if m.From != "system" {
			t.Errorf("from %s", m.From)
		}
		must(t, srv.System().On("dave").Call(ctx, "message.send", im.SendParams{To: im.ToUser("carol"), ClientID: "d1", Content: im.Text("x")}, nil))
		carol.Decode(carol.Event("message"), &m)
		if m.From != "dave" {
			t.Errorf("from %s", m.From)
		}
	})
	t.Run("the host reads and changes any conversation", func(t *testing.T) {
		g := group(t, srv.Connect("owner"), "x")
		host := srv.System()
		must(t, host.Call(ctx, "member.add", im.MemberParams{Conversation: g.ID, Users: []string{"y"}}, nil))
		must(t, host.Call(ctx, "message.send", im.SendParams{To: im.ToConversation(g.ID), ClientID: "h1", Content: im.Text("x")}, nil))
		members, err := im.Call[im.MemberListParams, im.MemberListResult](ctx, host, "member.list", im.MemberListParams{Conversation: g.ID})
		must(t, err)
		if len(members.Members) != 3 {
			t.Errorf("%+v", members)
		}
		refused(t, host.Call(ctx, "conversation.get", im.ConversationParams{Conversation: "missing"}, nil), im.ErrNotFound)
	})
	t.Run("what a host passes is checked like anything else", func(t *testing.T) {
		alice := srv.As(im.Identity{User: "alice"})
		for _, content := range []string{`{"text":"a","text":"b"}`, `[1]`, `{"n":9007199254740993}`} {
			err := alice.Call(ctx, "message.send", map[string]any{"to": "bob", "clientId": "z", "type": "custom", "content": raw(content)}, nil)
			refused(t, err, im.ErrInvalidArgument)
		}
		refused(t, srv.As(im.Identity{}).Call(ctx, "ping", nil, nil), im.ErrInvalidArgument)
		_, err := srv.As(im.Identity{}).Listen(ctx, "d")
		refused(t, err, im.ErrInvalidArgument)
		_, err = alice.Listen(ctx, "no device")
		refused(t, err, im.ErrInvalidArgument)
		refused(t, alice.Call(ctx, "no.such", nil, nil), im.ErrMethodNotFound)
	})
	t.Run("a result goes into any type of its shape", func(t *testing.T) {
		var answer map[string]any
		must(t, srv.As(im.Identity{User: "alice"}).Call(ctx, "ping", struct{}{}, &answer))
		if _, ok := answer["serverTime"].(float64); !ok {
			t.Errorf("%v", answer)
		}
		if err := srv.As(im.Identity{User: "alice"}).Call(ctx, "ping", nil, &[]int{}); err == nil {
			t.Error("a list took it")
		}
	})
	t.Run("who does not take his events in time gets a gap, and Close ends a wait", func(t *testing.T) {
		srv := setup(t, im.Config{Limits: im.Limits{SendQueueFrames: 10}})
		events, err := srv.As(im.Identity{User: "bob"}).Listen(ctx, "bot")
		must(t, err)
		alice := srv.Connect("alice")
		for i := range 200 {
			send(t, alice, im.ToUser("bob"), "c"+strconv.Itoa(i), "x")
		}
		for name := ""; name != "gap"; {
			e, err := events.Next(ctx)
			must(t, err)
			name = e.Name
		}
		go events.Close()
		for err == nil {
			_, err = events.Next(ctx)
		}
		if !errors.Is(err, im.ErrSessionClosed) {
			t.Error(err)
		}
		must(t, events.Close())
	})
	t.Run("Listen asks the policy as session.open does", func(t *testing.T) {
		srv := setup(t, im.Config{Policy: im.PolicyFunc(func(_ context.Context, who im.Identity, op *im.Op) error {
			if op.Name == "session.open" && who.User == "banned" {
				return im.ErrPermissionDenied
			}
			return nil
		})})
		_, err := srv.As(im.Identity{User: "banned"}).Listen(ctx, "d")
		refused(t, err, im.ErrPermissionDenied)
		refused(t, srv.Dial(transport.JSON).Open("banned", "d"), im.ErrPermissionDenied)
		e, err := srv.As(im.Identity{User: "alice"}).Listen(ctx, "d")
		must(t, err)
		must(t, e.Close())
	})
	t.Run("Listen gives the events until it is closed", func(t *testing.T) {
		events, err := srv.As(im.Identity{User: "erin"}).Listen(ctx, "bot")
		must(t, err)
		send(t, srv.Connect("alice"), im.ToUser("erin"), "e1", "hello")
		patient, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		var names []string
		for len(names) < 2 {
			e, err := events.Next(patient)
			must(t, err)
			names = append(names, e.Name)
			var at struct {
				Rev  int64
				Role string
			}
			must(t, e.Decode(&at))
			if e.Name == "conversation" && at.Role != "member" {
				t.Errorf("the conversation does not tell the receiver's own part: %s", e.Params)
			}
			if at.Rev != int64(len(names))-1 {
				t.Errorf("%s has rev %d: the message would be taken for known", e.Name, at.Rev)
			}
		}
		if !slices.Equal(names, []string{"conversation", "message"}) {
			t.Errorf("%v: a conversation is told of before its first message", names)
		}
		short, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if _, err := events.Next(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		must(t, events.Close())
		if _, err := events.Next(ctx); !errors.Is(err, im.ErrSessionClosed) {
			t.Error(err)
		}
	})
}

type raw string

func (r raw) MarshalJSON() ([]byte, error) { return []byte(r), nil }
