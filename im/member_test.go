package im_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"example.com/h5im/im"
	"example.com/h5im/store"
	"example.com/h5im/store/memory"
)

func TestMemberList(t *testing.T) { // [P87] [P90]
	srv := setup(t, im.Config{})
	owner := srv.Connect("owner")
	g := group(t, owner, "ann", "ben", "cat", "dan", "eve")
	list := func(t *testing.T, p im.MemberListParams) (members []im.MemberView, memberRev int64) {
		t.Helper()
		p.Conversation = g.ID
		for {
			var r im.MemberListResult
			must(t, owner.Call("member.list", p, &r))
			if p.Limit > 0 && len(r.Members) > p.Limit {
				t.Fatalf("a page of %d", len(r.Members))
			}
			members = append(members, r.Members...)
			if r.Cursor == "" {
				return members, r.MemberRev
			}
			p.Cursor = r.Cursor
		}
	}
	names := func(members []im.MemberView) (names []string) {
		for _, m := range members {
			name := m.User
			if m.Left {
				name = "-" + name
			}
			names = append(names, name)
		}
		return names
	}
	t.Run("page by page, with roles and profiles", func(t *testing.T) {
		for _, limit := range []int{0, 1, 2, 3, 6, 100} {
			members, rev := list(t, im.MemberListParams{Limit: limit})
			if got := names(members); !slices.Equal(got, []string{"ann", "ben", "cat", "dan", "eve", "owner"}) || rev != 1 {
				t.Errorf("limit %d: %v at %d", limit, got, rev)
			}
			if members[5].Role != "owner" || members[0].Role != "member" || members[0].Profile == nil || members[0].Profile.ID != "ann" {
				t.Errorf("%+v", members)
			}
		}
	})
	t.Run("what changed since", func(t *testing.T) {
		must(t, owner.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"dan", "ben"}}, nil))
		must(t, owner.Call("member.add", im.MemberParams{Conversation: g.ID, Users: []string{"fay", "dan"}}, nil))
		for _, limit := range []int{0, 1, 2, 100} {
			for since, want := range map[int64][]string{1: {"-ben", "dan", "fay"}, 2: {"dan", "fay"}, 3: nil} {
				members, rev := list(t, im.MemberListParams{Since: since, Limit: limit})
				if got := names(members); !slices.Equal(got, want) || rev != 3 {
					t.Errorf("since %d, limit %d: %v at %d", since, limit, got, rev)
				}
			}
		}
	})
	t.Run("what is no cursor, no memberRev, no limit", func(t *testing.T) {
		for _, cursor := range []string{"x", ":", "1:", ":ann", "-1:ann", "99999999999999999999:ann", "1:a\x00", "1"} {
			e := refused(t, owner.Call("member.list", im.MemberListParams{Conversation: g.ID, Cursor: cursor}, nil), im.ErrInvalidArgument)
			if e.Field != "cursor" {
				t.Errorf("%q: field %q", cursor, e.Field)
			}
		}
		e := refused(t, owner.Call("member.list", im.MemberListParams{Conversation: g.ID, Since: -1}, nil), im.ErrInvalidArgument)
		if e.Field != "since" {
			t.Errorf("%+v", e)
		}
		e = refused(t, owner.Call("member.list", im.MemberListParams{Conversation: g.ID, Limit: -1}, nil), im.ErrInvalidArgument)
		if e.Field != "limit" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("results are per user, in the order asked for", func(t *testing.T) { // [P84]
		var r im.MemberResults
		must(t, owner.Call("member.remove", im.MemberParams{Conversation: g.ID, Users: []string{"nobody", "eve", "eve"}}, &r))
		want := []im.MemberResult{{User: "nobody"}, {User: "eve", Changed: true}, {User: "eve", Changed: true}}
		if !slices.Equal(r.Results, want) || r.MemberRev != 4 {
			t.Errorf("%+v", r)
		}
		refused(t, owner.Call("member.remove", im.MemberParams{Conversation: g.ID}, nil), im.ErrInvalidArgument)
		refused(t, owner.Call("member.add", im.MemberParams{Conversation: g.ID, Users: []string{"system"}}, nil), im.ErrInvalidArgument)
	})
}

// Shared settings that changed come with the changes, as the reader sees them.
func TestChangedSettings(t *testing.T) { // [P70] [P90]
	s := memory.New(nil)
	defer s.Close()
	srv := setup(t, im.Config{Store: s})
	alice := srv.Connect("alice")
	g := group(t, alice, "bob")
	send(t, alice, im.ToConversation(g.ID), "c1", "x")
	changes := func(rev int64) (r im.ChangesResult) {
		must(t, alice.Call("message.changes", im.ChangesParams{Conversation: g.ID, Rev: rev}, &r))
		return r
	}
	if r := changes(0); r.Conversation != nil || r.Rev != 1 {
		t.Errorf("nothing changed: %+v", r)
	}
	_, err := s.Configure(ctx, g.ID, func(c *store.Settings) error { c.Title = "another name"; return nil })
	must(t, err)
	if r := changes(1); r.Conversation == nil || r.Conversation.Title != "another name" || r.Conversation.Role != "owner" || r.Rev != 2 || len(r.Messages) != 0 {
		t.Errorf("%+v", r)
	}
	e := refused(t, alice.Call("message.changes", im.ChangesParams{Conversation: g.ID, Rev: -1}, nil), im.ErrInvalidArgument)
	if e.Field != "rev" {
		t.Errorf("%+v", e)
	}
}

// What is answered without the protocol is text that nothing takes for more.
func TestPlainAnswers(t *testing.T) {
	srv := setup(t, im.Config{})
	for target, want := range map[string]int{"/": 404, "/sdk/": 404, "/sdk/../rpc": 405, "/nothing/here": 404, "/rpc": 405, "/sdk/nothing.js": 404} {
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		h := w.Header()
		if w.Code != want || h.Get("Content-Type") != "text/plain; charset=utf-8" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", target, w.Code, h)
		}
		if h.Get("Location") != "" {
			t.Errorf("%s: a redirect leaves the mount: %s", target, h.Get("Location"))
		}
	}
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/sdk/h5-im-sdk.js", nil))
	if fmt.Sprint(w.Code, w.Header().Get("Cache-Control")) != "200no-cache" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
