package im_test

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/h5im/im"
	"example.com/h5im/im/imtest"
	"example.com/h5im/store/memory"
)

const day = 24 * time.Hour

func TestRetention(t *testing.T) { // [P64]
	bob := im.Identity{User: "bob"}
	alice := im.Identity{User: "alice"}
	history := func(t *testing.T, srv *imtest.Server, id string) im.ListResult {
		t.Helper()
		var r im.ListResult
		must(t, srv.As(bob).Call(ctx, "message.list", im.ListParams{Conversation: id}, &r))
		return r
	}
	newGroup := func(t *testing.T, srv *imtest.Server, title string) string {
		t.Helper()
		var c im.ConversationView
		must(t, srv.As(alice).Call(ctx, "conversation.create", im.CreateParams{Kind: "group", Title: title, Members: []string{"bob"}}, &c))
		return c.ID
	}
	say := func(t *testing.T, srv *imtest.Server, id, clientID string) im.SendResult {
		t.Helper()
		var r im.SendResult
		must(t, srv.As(alice).Call(ctx, "message.send", im.SendParams{To: im.ToConversation(id), ClientID: clientID, Content: im.Text("x")}, &r))
		return r
	}

	t.Run("each conversation keeps what the host says", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Retention: func(c *im.Conversation) time.Duration {
				return map[string]time.Duration{"a week": 7 * day, "a month": 31 * day}[c.Title]
			}})
			ids := map[string]string{}
			for _, title := range []string{"a week", "a month", "for ever"} {
				ids[title] = newGroup(t, srv, title)
			}
			for i := range 50 { // a message a day
				for _, id := range ids {
					say(t, srv, id, fmt.Sprint(id, i))
				}
				time.Sleep(day)
			}
			time.Sleep(2 * time.Hour)
			for title, left := range map[string]int{"a week": 6, "a month": 30, "for ever": 50} {
				r := history(t, srv, ids[title])
				if len(r.Messages) != left || r.FirstSeq != int64(50-left+1) || r.From != r.FirstSeq || r.To != 50 || r.More {
					t.Errorf("%s: %d left, %d to %d, first %d, more %v", title, len(r.Messages), r.From, r.To, r.FirstSeq, r.More)
				}
			}
			var s im.SyncResult
			must(t, srv.As(bob).Call(ctx, "sync", im.SyncParams{}, &s))
			for _, c := range s.Conversations {
				r := history(t, srv, c.ID)
				first := max(1, c.FirstSeq)
				if c.Unread != int64(len(r.Messages)) || c.Count != 50 || first != r.FirstSeq {
					t.Errorf("%s: unread %d, count %d, firstSeq %d; there are %d from %d", c.Title, c.Unread, c.Count, c.FirstSeq, len(r.Messages), r.FirstSeq)
				}
			}
		})
	})
	t.Run("a repetition is recognised for 30 days, and is no event", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Retention: func(*im.Conversation) time.Duration { return day }})
			id := newGroup(t, srv, "g")
			first := say(t, srv, id, "once")
			time.Sleep(29 * day)
			if n := len(history(t, srv, id).Messages); n > 0 {
				t.Fatalf("%d messages are left", n)
			}
			reader := srv.Connect("bob")
			again := say(t, srv, id, "once")
			if !again.Duplicate || again.Seq != first.Seq || again.ID != first.ID || again.Rev != first.Rev {
				t.Errorf("the repetition got %+v after %+v", again, first)
			}
			refused(t, srv.As(alice).Call(ctx, "message.send", im.SendParams{
				To: im.ToConversation(id), ClientID: "other", Content: im.Text("x"), ReplyTo: first.Seq,
			}, nil), im.ErrInvalidArgument)
			synctest.Wait()
			for _, e := range reader.Events() {
				if e.Name == "message" {
					t.Errorf("the repetition is an event: %s", e.Params)
				}
			}
			reader.Close()
			time.Sleep(2 * day)
			if r := say(t, srv, id, "once"); r.Duplicate || r.Seq != 2 {
				t.Errorf("after 31 days: %+v", r)
			}
		})
	})
	t.Run("a wrong clock decides nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var ahead atomic.Int64
			kept := memory.New(nil)
			defer kept.Close()
			config := im.Config{
				Store:     kept,
				Now:       func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
				Retention: func(*im.Conversation) time.Duration { return 365 * day },
			}
			srv := setup(t, config)
			id := newGroup(t, srv, "g")
			say(t, srv, id, "1")
			left := func(what string, want int) {
				t.Helper()
				if n := len(history(t, srv, id).Messages); n != want {
					t.Errorf("%s: %d messages", what, n)
				}
			}
			time.Sleep(3 * day)
			for range 50 { // between any two looks
				ahead.Store(int64(3650 * day))
				time.Sleep(50 * time.Minute)
				ahead.Store(0)
				time.Sleep(50 * time.Minute)
			}
			left("it was set again and again", 1)
			ahead.Store(int64(3650 * day))
			time.Sleep(20 * time.Hour)
			left("it was set", 1)
			must(t, srv.Shutdown(ctx))
			srv = setup(t, config)
			time.Sleep(20 * time.Hour)
			left("it was wrong from the beginning", 1)
			time.Sleep(6 * time.Hour)
			left("after a day of it", 0)
		})
	})
	t.Run("a Retention that fails keeps its conversation and no other", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Logger: slog.New(slog.DiscardHandler), Retention: func(c *im.Conversation) time.Duration {
				switch c.Title {
				case "panics":
					panic("of the host")
				case "negative":
					return -1
				}
				return time.Hour
			}})
			left := map[string]int{"panics": 1, "negative": 1, "old": 0}
			ids := map[string]string{}
			for title := range left {
				ids[title] = newGroup(t, srv, title)
				say(t, srv, ids[title], title)
			}
			time.Sleep(27 * time.Hour)
			for title, want := range left {
				if n := len(history(t, srv, ids[title]).Messages); n != want {
					t.Errorf("%s: %d messages", title, n)
				}
			}
		})
	})
	t.Run("more conversations and messages than one step takes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := setup(t, im.Config{Retention: func(*im.Conversation) time.Duration { return time.Hour }})
			var ids []string
			for i := range 600 {
				ids = append(ids, newGroup(t, srv, fmt.Sprint(i)))
				say(t, srv, ids[i], ids[i])
			}
			for i := range 700 {
				say(t, srv, ids[300], fmt.Sprint(i))
			}
			time.Sleep(27 * time.Hour)
			for _, id := range ids {
				if n := len(history(t, srv, id).Messages); n > 0 {
					t.Fatalf("%d messages are left of %s", n, id)
				}
			}
		})
	})
}
