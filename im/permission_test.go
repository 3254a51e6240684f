package im_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"example.com/h5im/im"
	"example.com/h5im/store"
	"example.com/h5im/store/memory"
	"example.com/h5im/transport"
)

// matrix has a row for every operation: its params for a conversation, and what
// an outsider is answered. An operation without a row fails the test.
var matrix = map[string]struct {
	params   func(conversation string) string
	outsider string // reason; "" where it names no conversation and works for any user
}{
	"session.open":         {func(string) string { return `{"appId":"test","token":"x","device":"d"}` }, "unsupported"},
	"session.close":        {func(string) string { return `{}` }, "unsupported"},
	"session.list":         {func(string) string { return `{}` }, ""},
	"session.revoke":       {func(string) string { return `{"others":true}` }, ""},
	"ping":                 {func(string) string { return `{}` }, ""},
	"user.get":             {func(string) string { return `{"users":["owner"]}` }, ""},
	"sync":                 {func(string) string { return `{}` }, ""},
	"conversation.create":  {func(string) string { return `{"kind":"group","title":"mine"}` }, ""},
	"message.send":         {func(c string) string { return `{"to":{"conversation":"` + c + `"},"clientId":"CLIENT","content":"x"}` }, "not_found"},
	"message.list":         {func(c string) string { return `{"conversation":"` + c + `"}` }, "not_found"},
	"message.changes":      {func(c string) string { return `{"conversation":"` + c + `","rev":0}` }, "not_found"},
	"conversation.get":     {func(c string) string { return `{"conversation":"` + c + `"}` }, "not_found"},
	"conversation.own":     {func(c string) string { return `{"conversation":"` + c + `"}` }, "not_found"},
	"conversation.markers": {func(c string) string { return `{"conversation":"` + c + `"}` }, "not_found"},
	"conversation.mark":    {func(c string) string { return `{"conversation":"` + c + `","read":1}` }, "not_found"},
	"member.list":          {func(c string) string { return `{"conversation":"` + c + `"}` }, "not_found"},
	"member.add":           {func(c string) string { return `{"conversation":"` + c + `","users":["stranger"]}` }, "not_found"},
	"member.remove":        {func(c string) string { return `{"conversation":"` + c + `","users":["owner"]}` }, "not_found"},
}

// [promise 8] Who is no member learns the same, byte for byte, of a conversation
// that exists and of one that does not.
func TestOutsidersLearnNothing(t *testing.T) { // [P38]
	srv := setup(t, im.Config{})
	owner := srv.Connect("owner")
	g := group(t, owner, "former", "member")
	send(t, owner, im.ToConversation(g.ID), "c1", "secret")
	must(t, owner.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"former"}}, nil))
	direct := send(t, owner, im.ToUser("member"), "c2", "secret").Conversation
	missing := "g_0123456789012345678901"
	n := 0
	post := func(user, method, conversation string) (int, string) {
		n++
		params := strings.ReplaceAll(matrix[method].params(conversation), "CLIENT", fmt.Sprintf("m%d", n))
		return postAs(srv, user, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
	}
	var document struct {
		Methods []struct{ Name string }
	}
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openrpc.json", nil))
	must(t, json.Unmarshal(w.Body.Bytes(), &document))
	if len(document.Methods) < len(matrix) {
		t.Errorf("the matrix has %d rows for %d operations", len(matrix), len(document.Methods))
	}
	for _, m := range document.Methods {
		row, ok := matrix[m.Name]
		if !ok {
			t.Errorf("operation %s has no row in the permission matrix", m.Name)
			continue
		}
		t.Run("no session: "+m.Name, func(t *testing.T) {
			code, existing := post("", m.Name, g.ID)
			_, other := post("", m.Name, missing)
			if code != http.StatusUnauthorized || withoutTime(existing) != withoutTime(other) {
				t.Errorf("%d %s\n%s", code, existing, other)
			}
		})
		for _, user := range []string{"stranger", "former"} {
			t.Run(user+": "+m.Name, func(t *testing.T) {
				_, none := post(user, m.Name, missing)
				for _, id := range []string{g.ID, direct} {
					_, existing := post(user, m.Name, id)
					if row.outsider == "not_found" && existing != none {
						t.Errorf("existing: %s\n missing: %s", existing, none)
					}
					if row.outsider != "" && !strings.Contains(existing, `"reason":"`+row.outsider+`"`) {
						t.Errorf("want %s, got %s", row.outsider, existing)
					}
					if row.outsider == "" && strings.Contains(existing, `"error"`) {
						t.Errorf("any user may, got %s", existing)
					}
					if strings.Contains(existing, "secret") {
						t.Errorf("leaked: %s", existing)
					}
				}
			})
		}
	}
	t.Run("what a send names besides its target tells an outsider nothing either", func(t *testing.T) {
		for _, more := range []string{`"replyTo":1`, `"replyTo":999`, `"mentions":["owner"]`, `"mentions":"all"`} {
			answers := map[string]string{}
			for _, c := range []string{g.ID, direct, missing} {
				for _, user := range []string{"stranger", "former"} {
					n++
					body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"to":{"conversation":%q},"clientId":"m%d","content":"x",%s}}`, c, n, more)
					_, answer := postAs(srv, user, body)
					answers[answer] = c
				}
			}
			if len(answers) != 1 {
				t.Errorf("%s: %v", more, answers)
			}
		}
	})
	t.Run("nothing that an outsider tried has changed anything", func(t *testing.T) {
		var list im.ListResult
		must(t, owner.Call("message.list", im.ListParams{Conversation: g.ID}, &list))
		var members im.MemberListResult
		must(t, owner.Call("member.list", im.MemberListParams{Conversation: g.ID}, &members))
		if len(list.Messages) != 1 || len(members.Members) != 2 {
			t.Errorf("%d messages, %d members", len(list.Messages), len(members.Members))
		}
	})
}

func withoutTime(body string) string {
	i := strings.Index(body, `"serverTime"`)
	if i < 0 {
		return body
	}
	return body[:i]
}

// postAs is POST /rpc with a user's token; "" sends none.
func postAs(h http.Handler, user, body string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, "/rpc", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+user)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestGroupPermissions(t *testing.T) {
	srv := setup(t, im.Config{})
	owner, member := srv.Connect("owner"), srv.Connect("member")
	g := group(t, owner, "member", "third")

	t.Run("a member neither adds nor removes others", func(t *testing.T) {
		refused(t, member.Call("member.add", im.MemberParams{Conversation: g.ID, Users: []string{"x"}}, nil), im.ErrPermissionDenied)
		refused(t, member.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"third"}}, nil), im.ErrPermissionDenied)
		refused(t, member.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"member", "third"}}, nil), im.ErrPermissionDenied)
	})
	t.Run("the last owner stays", func(t *testing.T) { // [P86]
		refused(t, owner.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"owner"}}, nil), im.ErrLastOwner)
	})
	t.Run("a direct conversation keeps its two members", func(t *testing.T) {
		d := send(t, owner, im.ToUser("member"), "c1", "x").Conversation
		refused(t, owner.Call("member.add", im.MemberParams{Conversation: d, Users: []string{"x"}}, nil), im.ErrPermissionDenied)
		refused(t, owner.Call("member.remove", im.MemberParams{Conversation: d, Users: []string{"owner"}}, nil), im.ErrPermissionDenied)
		refused(t, srv.System().Call(ctx, "member.add", im.MemberParams{Conversation: d, Users: []string{"x"}}, nil), im.ErrPermissionDenied)
		refused(t, srv.System().Call(ctx, "member.remove", im.MemberParams{Conversation: d, Users: []string{"owner"}}, nil), im.ErrPermissionDenied)
	})
	t.Run("a direct conversation has neither title nor ext, and not oneself as the other", func(t *testing.T) {
		for _, p := range []im.CreateParams{
			{Members: []string{"member"}, Title: "x"}, {Members: []string{"member"}, Ext: im.Object(`{"a":1}`)},
			{Members: []string{"member"}, ID: "x"}, {Members: []string{"owner"}}, {Members: []string{"member", "x"}}, {},
		} {
			p.Kind = "direct"
			refused(t, owner.Call("conversation.create", p, nil), im.ErrInvalidArgument)
		}
	})
	t.Run("a group has so many members, the first ones included", func(t *testing.T) { // [P42] [P85]
		srv := setup(t, im.Config{Limits: im.Limits{Members: 3}})
		owner := srv.Connect("owner")
		e := refused(t, owner.Call("conversation.create", im.CreateParams{Kind: "group", Members: []string{"a", "b", "c"}}, nil), im.ErrTooMany)
		if e.Field != "members" || e.Max != 3 {
			t.Errorf("%+v", e)
		}
		g := group(t, owner, "a", "b", "owner", "a")
		e = refused(t, owner.Call("member.add", im.MemberParams{Conversation: g.ID, Users: []string{"c"}}, nil), im.ErrTooMany)
		if e.Field != "users" || e.Max != 3 {
			t.Errorf("%+v", e)
		}
	})
	t.Run("anyone removes himself, and then reads nothing, older history included", func(t *testing.T) { // [P86]
		send(t, owner, im.ToConversation(g.ID), "c2", "before")
		must(t, member.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"member"}}, nil))
		refused(t, member.Call("message.list", im.ListParams{Conversation: g.ID}, nil), im.ErrNotFound)
		refused(t, member.Call("message.changes", im.ChangesParams{Conversation: g.ID}, nil), im.ErrNotFound)
		refused(t, member.Call("message.send", im.SendParams{To: im.ToConversation(g.ID), ClientID: "c3", Content: im.Text("x")}, nil), im.ErrNotFound)
	})
	t.Run("only the host names a conversation", func(t *testing.T) { // [P44] [P79]
		p := im.CreateParams{Kind: "group", ID: "course-42", Members: []string{"owner"}}
		refused(t, owner.Call("conversation.create", p, nil), im.ErrPermissionDenied)
		must(t, srv.System().Call(ctx, "conversation.create", p, nil))
		refused(t, owner.Call("conversation.create", p, nil), im.ErrPermissionDenied)
		refused(t, srv.System().Call(ctx, "conversation.create", p, nil), im.ErrConflict)
		for _, id := range []string{"d_x", "g_x", "r_x", "a b", "ä", "a.b", strings.Repeat("x", 65)} {
			refused(t, srv.System().Call(ctx, "conversation.create", im.CreateParams{Kind: "group", ID: id}, nil), im.ErrInvalidArgument)
		}
	})
	t.Run("or whom the policy lets", func(t *testing.T) {
		srv := setup(t, im.Config{Policy: namer{}})
		must(t, srv.As(im.Identity{User: "teacher"}).Call(ctx, "conversation.create", im.CreateParams{Kind: "group", ID: "course-1"}, nil))
		refused(t, srv.As(im.Identity{User: "pupil"}).Call(ctx, "conversation.create", im.CreateParams{Kind: "group", ID: "course-2"}, nil), im.ErrPermissionDenied)
	})
}

type namer struct{ im.PolicyFunc }

func (namer) Allow(context.Context, im.Identity, *im.Op) error { return nil }
func (namer) AllowName(_ context.Context, who im.Identity, _ string) error {
	if who.User == "teacher" {
		return nil
	}
	return im.ErrPermissionDenied
}

// What was committed after a removal never reaches the removed member.
func TestRemovedMemberGetsNothingMore(t *testing.T) { // [P97]
	srv := setup(t, im.Config{})
	owner, gone := srv.Connect("owner"), srv.Connect("gone")
	g := group(t, owner, "gone")
	send(t, owner, im.ToConversation(g.ID), "c1", "before")
	gone.Event("message")
	must(t, owner.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"gone"}}, nil))
	send(t, owner, im.ToConversation(g.ID), "c2", "after")
	// An event that is published later than the message shows that it has passed.
	send(t, owner, im.ToUser("gone"), "c3", "elsewhere")
	var m im.MessageView
	gone.Decode(gone.Event("message"), &m)
	if m.Conversation == g.ID {
		t.Fatalf("the removed member got %s", m.Content)
	}
	var left bool
	for _, e := range gone.Events() {
		var c im.ConversationView
		if e.Name == "conversation" {
			gone.Decode(e, &c)
			left = left || c.ID == g.ID && c.Left && c.Title == ""
		}
		if bytes.Contains(e.Params, []byte("after")) {
			t.Errorf("leaked in %s: %s", e.Name, e.Params)
		}
	}
	if !left {
		t.Error("the removed member was not told that he has left")
	}
}

// A member list that changes between two of its pages is read again: half of
// the old one would go on to name who was removed.
func TestRemovedBetweenPagesOfTheList(t *testing.T) {
	s := memory.New(nil)
	defer s.Close()
	paged := &changingList{Store: s}
	srv := setup(t, im.Config{Store: paged, Limits: im.Limits{MembersPerCall: 2000}})
	owner, gone := srv.Connect("owner"), srv.Connect("a gone one")
	members := []string{"a gone one"}
	for i := range 1500 {
		members = append(members, fmt.Sprintf("m%04d", i))
	}
	g := group(t, owner, members...)
	must(t, owner.Call("member.add", im.MemberParams{Conversation: g.ID, Users: []string{"late"}}, nil)) // what is cached is old
	paged.between.Store(&store.MembersChange{Conversation: g.ID, Remove: []string{"a gone one"}, Time: 1})
	send(t, owner, im.ToConversation(g.ID), "c1", "while it is read")
	if paged.between.Load() != nil {
		t.Fatal("the list was not read in pages")
	}
	send(t, owner, im.ToConversation(g.ID), "c2", "after the removal")
	send(t, owner, im.ToUser("a gone one"), "c3", "elsewhere")
	for {
		var m im.MessageView
		if gone.Decode(gone.Event("message"), &m); m.ClientID == "c3" {
			return
		}
		if m.ClientID == "c2" {
			t.Fatal("the removed member got what came after")
		}
	}
}

// changingList is a store in which a change is committed before the second
// page of a member list.
type changingList struct {
	store.Store
	between atomic.Pointer[store.MembersChange]
}

func (s *changingList) Members(ctx context.Context, q store.MembersQuery) (store.MembersPage, error) {
	if q.After != "" {
		if change := s.between.Swap(nil); change != nil {
			if _, err := s.ChangeMembers(ctx, *change); err != nil {
				return store.MembersPage{}, err
			}
		}
	}
	return s.Store.Members(ctx, q)
}

func TestPolicyAndMiddleware(t *testing.T) { // [P50]
	var order []string
	trace := func(name string) im.Middleware {
		return func(next im.Handler) im.Handler {
			return func(ctx context.Context, op *im.Op) (any, error) {
				if op.Name == "message.send" {
					order = append(order, name)
				}
				return next(ctx, op)
			}
		}
	}
	srv := setup(t, im.Config{
		Policy: im.PolicyFunc(func(_ context.Context, who im.Identity, op *im.Op) error {
			if who.User == "muted" && op.Name == "message.send" {
				return im.ErrPermissionDenied.With("you are muted")
			}
			if who.User == "broken" {
				return errors.New("the policy's database is down")
			}
			return nil
		}),
		Middleware: []im.Middleware{trace("first"), trace("second"), func(next im.Handler) im.Handler {
			return func(ctx context.Context, op *im.Op) (any, error) {
				if p, ok := op.Params.(*im.SendParams); ok {
					p.Content = im.Content(strings.ReplaceAll(string(p.Content), "darn", "****"))
				}
				return next(ctx, op)
			}
		}},
	})
	t.Run("a policy that denies, denies", func(t *testing.T) {
		e := refused(t, srv.Connect("muted").Call("message.send", im.SendParams{To: im.ToUser("bob"), ClientID: "c1", Content: im.Text("x")}, nil), im.ErrPermissionDenied)
		if e.Message != "you are muted" {
			t.Errorf("message %q", e.Message)
		}
	})
	t.Run("host code that panics answers one call, and the server goes on", func(t *testing.T) {
		srv := setup(t, im.Config{
			Policy: im.PolicyFunc(func(_ context.Context, who im.Identity, op *im.Op) error {
				if who.User == "policy" {
					panic("in the policy")
				}
				return nil
			}),
			Middleware: []im.Middleware{func(next im.Handler) im.Handler {
				return func(ctx context.Context, op *im.Op) (any, error) {
					if op.Identity.User == "middleware" && op.Name == "ping" {
						panic("in a middleware")
					}
					return next(ctx, op)
				}
			}},
		})
		refused(t, srv.Dial(transport.JSON).Open("policy", "d"), im.ErrInternal)
		c := srv.Connect("middleware")
		refused(t, c.Call("ping", nil, nil), im.ErrInternal)
		must(t, c.Call("sync", nil, nil))
	})
	t.Run("a policy that errs, denies, and its text stays here", func(t *testing.T) {
		e := refused(t, srv.As(im.Identity{User: "broken"}).Call(ctx, "ping", nil, nil), im.ErrInternal)
		if strings.Contains(e.Message, "database") || e.Incident == "" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("middleware runs in order and its change is stored and told to the sender", func(t *testing.T) { // [P61]
		order = nil
		alice, bob := srv.Connect("alice"), srv.Connect("bob")
		r := send(t, alice, im.ToUser("bob"), "c1", "darn it")
		var m im.MessageView
		bob.Decode(bob.Event("message"), &m)
		if string(m.Content) != `{"text":"**** it"}` || r.Message == nil || string(r.Message.Content) != string(m.Content) {
			t.Errorf("event %s, receipt %+v", m.Content, r.Message)
		}
		if fmt.Sprint(order) != "[first second]" {
			t.Errorf("order %v", order)
		}
	})
	t.Run("middleware that breaks a message breaks that alone", func(t *testing.T) {
		srv := setup(t, im.Config{Middleware: []im.Middleware{func(next im.Handler) im.Handler {
			return func(ctx context.Context, op *im.Op) (any, error) {
				if p, ok := op.Params.(*im.SendParams); ok && p.ClientID == "content" {
					p.Content = im.Content(`{"a":`)
				} else if ok && p.ClientID == "ext" {
					p.Ext = im.Object(`[1]`)
				}
				return next(ctx, op)
			}
		}}})
		alice := srv.Connect("alice")
		for _, id := range []string{"content", "ext"} {
			p := im.SendParams{To: im.ToUser("bob"), ClientID: id, Type: "custom", Content: im.Content(`{"a":1}`)}
			refused(t, alice.Call("message.send", p, nil), im.ErrInternal)
		}
		if r := send(t, alice, im.ToUser("bob"), "c1", "x"); r.Seq != 1 {
			t.Errorf("something was stored: %+v", r)
		}
	})
	t.Run("a repetition is answered before middleware and policy", func(t *testing.T) { // [P101]
		order = nil
		alice := srv.Connect("alice")
		if r := send(t, alice, im.ToUser("bob"), "c1", "darn it"); !r.Duplicate || len(order) != 0 {
			t.Errorf("%+v %v", r, order)
		}
	})
}
