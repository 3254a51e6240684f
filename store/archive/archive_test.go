package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/h5im/store"
	"example.com/h5im/store/archive"
	"example.com/h5im/store/bolt"
	"example.com/h5im/store/memory"
	"example.com/h5im/store/storetest"
)

// Whatever the conformance suite and random calls make of a store comes through
// an archive: at the end of every case the store is exported, imported and compared.
func TestWhateverAStoreHolds(t *testing.T) {
	open := func(testing.TB) store.Store { return memory.New(nil) }
	quick := func(t testing.TB, s store.Store) { roundTrip(t, s, memory.New(nil)) }
	check := func(t testing.TB, s store.Store) {
		into, err := bolt.Open(filepath.Join(t.TempDir(), "im.db"), nil)
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, s, into)
		if err := errors.Join(into.Check(context.Background()), into.Close()); err != nil {
			t.Error(err)
		}
	}
	storetest.Run(t, storetest.Harness{Open: open, Check: quick})
	t.Run("random calls", func(t *testing.T) {
		storetest.Compare(t, storetest.Harness{Open: open, Check: check}, open)
	})
}

func roundTrip(t testing.TB, from, to store.Store) {
	t.Helper()
	ctx := context.Background()
	var lines bytes.Buffer
	written, err := archive.Export(ctx, from, &lines, nil)
	if err != nil {
		t.Fatalf("export: %v", err)
	}
	read, err := archive.Import(ctx, to, bytes.NewReader(lines.Bytes()))
	if err != nil {
		t.Fatalf("import: %v\n%.3000s", err, lines.Bytes())
	}
	if read != written {
		t.Errorf("%+v written, %+v read", written, read)
	}
	want, got := content(t, from), content(t, to)
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if got[id] == nil {
			t.Errorf("%q is missing", id)
			continue
		}
		want[id].compare(t, got[id])
	}
	if len(want) != len(got) {
		t.Errorf("%d conversations, want %d", len(got), len(want))
	}
}

// chat is all of a conversation that an archive keeps.
type chat struct {
	Head     store.Conversation
	Members  map[string]store.Member
	Messages []store.Message
	Unread   map[string]int64
}

func (c *chat) compare(t testing.TB, got *chat) {
	t.Helper()
	differ := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s of %q:\n got %+v\nwant %+v", what, c.Head.ID, got, want)
		}
	}
	differ("head", got.Head, c.Head)
	differ("unread", got.Unread, c.Unread)
	differ("users", slices.Sorted(maps.Keys(got.Members)), slices.Sorted(maps.Keys(c.Members)))
	for user, m := range c.Members {
		differ("member", got.Members[user], m)
	}
	differ("number of messages", len(got.Messages), len(c.Messages))
	for i := range min(len(got.Messages), len(c.Messages)) {
		differ("message", got.Messages[i], c.Messages[i])
	}
}

func content(t testing.TB, s store.Store) map[string]*chat {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	heads, err := s.Conversations(ctx, "", 1_000_000)
	must(err)
	all := map[string]*chat{}
	for _, h := range heads {
		c := &chat{Members: map[string]store.Member{}, Unread: map[string]int64{}}
		all[h.ID] = c
		for _, since := range []int64{0, 1} {
			page, err := s.Members(ctx, store.MembersQuery{Conversation: h.ID, Since: since, Limit: 1_000_000})
			must(err)
			for _, m := range page.Members {
				if m.Active() {
					c.Unread[m.User] = m.Unread(&h)
				} else {
					m.Seen, m.SeenAll = 0, 0 // who joins again has them anew
				}
				m.Rev, m.Version, m.Own = 0, 0, 0
				m.JoinedAt = max(m.JoinedAt, 1)
				c.Members[m.User] = m
			}
		}
		page, err := s.Messages(ctx, store.MessagesQuery{Conversation: h.ID, Anchor: store.After, Limit: 1_000_000})
		must(err)
		for _, m := range page.Messages {
			m.Rev, m.Born = 0, 0
			if len(m.Content) == 0 {
				m.Content = nil
			}
			if len(m.Ext) == 0 {
				m.Ext = nil
			}
			if len(m.Mentions) == 0 {
				m.Mentions = nil
			}
			c.Messages = append(c.Messages, m)
		}
		h.Rev, h.MemberRev, h.SettingsRev, h.Version, h.Class = 0, 0, 0, 0, 0
		if len(h.Ext) == 0 {
			h.Ext = nil
		}
		c.Head = h
	}
	return all
}

// A page of an archive is no limit, and neither is how many are written at once.
func TestMany(t *testing.T) {
	from := memory.New(nil)
	ctx := context.Background()
	for c := range 70 {
		id := fmt.Sprintf("g_%02d", 69-c)
		n := store.NewConversation{ID: id, Kind: store.Group, Time: 5, Creator: "ann", Members: []store.NewMember{{User: "ann", Role: store.Owner}}}
		for u := range 12 * c {
			n.Members = append(n.Members, store.NewMember{User: fmt.Sprint("user ", u)})
		}
		if _, err := from.Create(ctx, n); err != nil {
			t.Fatal(err)
		}
		var items []store.Append
		for m := range 20 * c {
			items = append(items, store.Append{As: store.AsHost, Message: store.Message{
				Conversation: id, ID: "m", ClientID: fmt.Sprint(c, " ", m), From: "ann", Time: store.Millis(m + 1), Type: "text",
				Content: []byte(`{"text":"<&>` + strings.Repeat("x", c) + `"}`),
			}})
		}
		if _, err := from.Append(ctx, items); err != nil {
			t.Fatal(err)
		}
		for u := 0; u < 12*c; u += 7 {
			if _, err := from.Mark(ctx, store.Mark{Conversation: id, User: fmt.Sprint("user ", u), Read: int64(u)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	to := memory.New(nil)
	roundTrip(t, from, to)

	// The list of a user begins with what changed last there too.
	page, err := to.Sync(ctx, store.SyncQuery{User: "ann", Limit: 30})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range page.Rows {
		if row.Conversation.ID > "g_64" {
			t.Errorf("%s is among the newest 30 of 70", row.Conversation.ID)
		}
	}
}

func TestARepetitionOfAnImportedMessage(t *testing.T) {
	ctx := context.Background()
	from, to := memory.New(nil), memory.New(nil)
	if _, err := from.Create(ctx, store.NewConversation{ID: "g_1", Kind: store.Group, Time: 1, Members: []store.NewMember{{User: "ann"}}}); err != nil {
		t.Fatal(err)
	}
	item := store.Append{Fingerprint: store.Fingerprint{1}, Message: store.Message{
		Conversation: "g_1", ID: "m", ClientID: "c", From: "ann", Time: 2, Type: "text", Content: []byte(`{}`),
	}}
	first, err := from.Append(ctx, []store.Append{item})
	if err != nil || first[0].Err != nil {
		t.Fatal(err, first[0].Err)
	}
	roundTrip(t, from, to)
	again, err := to.Append(ctx, []store.Append{item})
	if err != nil || again[0].Err != nil || !again[0].Duplicate || again[0].Receipt.Seq != 1 {
		t.Errorf("%v %+v", err, again[0])
	}
}

// What comes from elsewhere says little.
func TestFromElsewhere(t *testing.T) {
	to := memory.New(nil)
	lines := `{"archive":{"version":1}}
{"conversation":{"id":"g_1","kind":"group","title":"Team","createdAt":1700000000000}}
{"member": {"user": "ann", "role": "owner"}}
{"member":{"user":"ben","read":1,"joinedAt":1700000000005}}
{"member":{"user":"eve","leftAt":1700000000009}}
{"message":{"from":"ann","time":1700000000001,"type":"text","content": {"text": "hi"}}}
{"message":{"from":"ann","time":1700000000002,"type":"text","content":{"base64": "e30="}}}
{"message":{"time":1700000000003,"type":"tip","flags":["noUnread"]}}
{"conversation":{"id":"d_1","kind":"direct"}}
{"member":{"user":"ann"}}
{"member":{"user":"ben"}}
{"end":{}}
`
	totals, err := archive.Import(context.Background(), to, strings.NewReader(lines))
	if err != nil || totals != (archive.Totals{Conversations: 2, Members: 5, Messages: 3}) {
		t.Fatal(totals, err)
	}
	got := content(t, to)
	team := got["g_1"]
	if want := (map[string]int64{"ann": 0, "ben": 1}); !maps.Equal(team.Unread, want) {
		t.Errorf("unread: %v, want %v", team.Unread, want)
	}
	if team.Members["eve"].LeftAt != 1700000000009 || team.Members["ben"].JoinedAt != 1700000000005 || team.Members["ann"].JoinedAt != 1700000000000 {
		t.Errorf("members: %+v", team.Members)
	}
	if m := team.Messages; string(m[0].Content) != `{"text": "hi"}` || string(m[1].Content) != "{}" || m[2].Flags != store.NoUnread || m[0].ID == m[1].ID || m[0].ClientID == m[1].ClientID {
		t.Errorf("messages: %+v", m)
	}
	if got["d_1"].Head.Members != 2 {
		t.Errorf("direct: %+v", got["d_1"].Head)
	}
}

// The line that is wrong is named, and nothing else happens than an error.
func TestMalformed(t *testing.T) {
	const (
		begin = `{"archive":{"version":1}}` + "\n"
		group = begin + `{"conversation":{"id":"g_1","kind":"group"}}` + "\n"
		ann   = group + `{"member":{"user":"ann"}}` + "\n"
		hi    = `{"message":{"type":"text","content":{}}}` + "\n"
		end   = `{"end":{}}` + "\n"
	)
	for name, c := range map[string]struct{ lines, says string }{
		"nothing":                  {"", "line 1: the end is missing"},
		"an empty line":            {"\n", "line 1: EOF"},
		"no archive":               {`{"conversation":{"id":"g_1","kind":"group"}}`, "line 1: the first line"},
		"two archives":             {begin + begin, "line 2: the first line"},
		"another version":          {`{"archive":{"version":2}}`, "line 1: version 2"},
		"no JSON":                  {begin + "hello", "line 2: invalid character"},
		"cut in a line":            {ann + hi[:20], "line 4: unexpected EOF"},
		"cut between lines":        {ann + hi, "line 5: the end is missing"},
		"more than the end":        {ann + end + hi, "line 5: something follows"},
		"two values in a line":     {begin + `{"end":{}}{"end":{}}`, "line 2: something follows"},
		"two kinds in a line":      {begin + `{"end":{},"member":{"user":"ann"}}`, "line 2: a line is one of"},
		"no kind":                  {begin + `{}`, "line 2: a line is one of"},
		"null":                     {begin + `null`, "line 2: a line is one of"},
		"an unknown kind":          {begin + `{"reaction":{}}`, `line 2: json: unknown field "reaction"`},
		"an unknown field":         {group + `{"member":{"user":"ann","age":3}}`, `line 3: json: unknown field "age"`},
		"a wrong type":             {ann + `{"message":{"type":"text","seq":"1"}}`, "line 4: json: cannot unmarshal string into Go struct field message.message.seq"},
		"a number for a string":    {group + `{"member":{"user":7}}`, "line 3: 7 is no string"},
		"a text for content":       {ann + `{"message":{"type":"text","content":"hi"}}`, `line 4: "hi" is no object`},
		"base64 that is none":      {ann + `{"message":{"type":"text","content":{"base64":"?"}}}`, "line 4: illegal base64"},
		"base64 and more":          {ann + `{"message":{"type":"text","content":{"base64":"e30=","x":1}}}`, `line 4: json: unknown field "x"`},
		"an unknown flag":          {ann + `{"message":{"type":"text","flags":["loud"]}}`, `line 4: flag "loud"`},
		"nested deeply":            {ann + `{"message":{"type":"text","content":` + strings.Repeat(`{"a":`, 100_000), "line 4: "},
		"a long line":              {begin + strings.Repeat(" ", 1<<27+1), "line 2: longer than"},
		"a member of nothing":      {begin + `{"member":{"user":"ann"}}`, "line 2: a conversation comes first"},
		"a member twice":           {ann + `{"member":{"user":"ann"}}`, `line 4: member.user: "ann" is there`},
		"a member after a message": {ann + hi + `{"member":{"user":"ben"}}`, "line 5: a member after messages"},
		"a member without a name":  {group + `{"member":{}}` + "\n" + end, "line 2: store: invalid: user"},
		"a role that is none":      {group + `{"member":{"user":"ann","role":"king"}}` + "\n" + end, `line 2: store: invalid: role "king"`},
		"a negative time":          {group + `{"member":{"user":"ann","joinedAt":-1}}` + "\n" + end, "line 3: member: a number is negative"},
		"more read than there is":  {group + `{"member":{"user":"ann","read":2}}` + "\n" + hi + end, "line 3: member.read or .delivered: 2, of 1"},
		"more seen than there is":  {group + `{"member":{"user":"ann","seen":2}}` + "\n" + hi + end, "line 3: member.seen: 2, of 1"},
		"the last owner left":      {group + `{"member":{"user":"ann","role":"owner","leftAt":5}}` + "\n" + end, "line 3: "},
		"a conversation twice":     {group + group[len(begin):] + end, "conversation \"g_1\" exists"},
		"a kind that is none":      {begin + `{"conversation":{"id":"x","kind":"crowd"}}` + "\n" + end, `line 2: store: invalid: kind "crowd"`},
		"a direct one of nobody":   {begin + `{"conversation":{"id":"d_1","kind":"direct"}}` + "\n" + end, "line 2: store: invalid: a direct"},
		"a seq left out":           {ann + `{"message":{"type":"text","seq":2}}`, "line 4: message.seq: 2, wanted 1"},
		"a clientId twice":         {ann + strings.Repeat(`{"message":{"type":"text","clientId":"c"}}`+"\n", 2) + end, `line 5: message.clientId: "c"`},
		"a message without a type": {ann + `{"message":{}}` + "\n" + end, "line 4: store: invalid: type"},
		"gone backwards":           {ann + hi + `{"gone":{"to":1,"count":1}}`, "line 5: gone"},
		"gone without end":         {ann + `{"gone":{"to":9000000000000000000}}`, "line 4: gone"},
		"gone and counted twice":   {ann + `{"gone":{"to":1,"count":2}}`, "line 4: gone"},
		"other totals":             {ann + hi + `{"end":{"messages":2}}`, "line 5: end.messages: 2, there were 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := archive.Import(context.Background(), memory.New(nil), strings.NewReader(c.lines))
			if !errors.Is(err, archive.ErrFormat) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %q", err, c.says)
			}
		})
	}
}

func TestContentIsKeptToTheByte(t *testing.T) {
	from, to := memory.New(nil), memory.New(nil)
	ctx := context.Background()
	if _, err := from.Create(ctx, store.NewConversation{ID: "\xff<&>\u2028", Kind: store.Group, Time: 1}); err != nil {
		t.Fatal(err)
	}
	for i, content := range []string{
		`{"text":"<&>\u2028é\ud800"}`, `{ "text": 1 }`, "{}", "{", "5", `"text"`, "null", "[]", "{}\n", "{\"\xff\":1}",
		`{"base64":"e30="}`, `{ "base64":"e30=", "x":1}`, `{"base64":1}`, `{"base64":`, `{"a":1,"a":2,"base64":"e30="}`,
	} {
		r, err := from.Append(ctx, []store.Append{{As: store.AsHost, Message: store.Message{
			Conversation: "\xff<&>\u2028", ID: "m", ClientID: fmt.Sprint(i), Time: 1, Type: "text", Content: []byte(content), Ext: []byte(content),
			Flags: store.NoPush | 1<<31,
		}}})
		if err != nil || r[0].Err != nil {
			t.Fatal(err, r[0].Err)
		}
	}
	roundTrip(t, from, to)
}

// What a message counted as when it came is not always what it is now, and of
// those that are gone nothing is known but how many counted.
func TestAmendedAfterWhatIsGone(t *testing.T) {
	for name, c := range map[string]struct{ gone, was, is store.Message }{
		"counts now":     {store.Message{MentionAll: true}, store.Message{Flags: store.NoUnread}, store.Message{}},
		"counted then":   {store.Message{Flags: store.NoUnread}, store.Message{}, store.Message{Flags: store.NoUnread}},
		"for all now":    {store.Message{}, store.Message{}, store.Message{MentionAll: true}},
		"for all then":   {store.Message{MentionAll: true}, store.Message{MentionAll: true}, store.Message{}},
		"never for all":  {store.Message{MentionAll: true}, store.Message{}, store.Message{Flags: store.NoUnread}},
		"always for all": {store.Message{Flags: store.NoUnread}, store.Message{MentionAll: true}, store.Message{MentionAll: true}},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := memory.New(nil), memory.New(nil)
			ctx := context.Background()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			_, err := from.Create(ctx, store.NewConversation{ID: "g_1", Kind: store.Group, Time: 1, Members: []store.NewMember{{User: "ann"}}})
			must(err)
			for i, m := range []store.Message{c.gone, c.gone, c.was} {
				m.Conversation, m.ID, m.ClientID, m.Type, m.Time = "g_1", "m", fmt.Sprint(i), "text", store.Millis(i+1)
				r, err := from.Append(ctx, []store.Append{{As: store.AsHost, Message: m}})
				must(errors.Join(err, r[0].Err))
			}
			_, err = from.Amend(ctx, "g_1", 3, func(m *store.Message) error {
				m.Flags, m.MentionAll = c.is.Flags, c.is.MentionAll
				return nil
			})
			must(err)
			_, err = from.Prune(ctx, store.PruneQuery{Conversation: "g_1", Before: 3, Limit: 10})
			must(err)
			roundTrip(t, from, to)
		})
	}
}

// Whatever the lines are, there is an error or a store that comes through an archive itself.
func FuzzImport(f *testing.F) {
	const begin = `{"archive":{"version":1}}` + "\n"
	for _, lines := range []string{
		begin + `{"end":{}}`,
		begin + `{"conversation":{"id":"g_1","kind":"group","ext":{"a":1}}}` + "\n" + `{"member":{"user":"ann","role":"owner","seen":3,"seenAll":1,"read":3,"leftAt":9}}` + "\n" +
			`{"gone":{"to":4,"count":2,"allCount":1}}` + "\n" + `{"message":{"type":"text","content":{"base64":"e30="},"flags":["noPush"],"counted":{"unread":true}}}` + "\n" +
			`{"gone":{"to":7,"count":3,"allCount":1}}` + "\n" + `{"end":{"messages":1}}`,
		begin + `{"conversation":{"id":"d_1","kind":"direct"}}` + "\n" + `{"member":{"user":{"base64":"/w=="},"draft":"x","muteUntil":5}}` + "\n" + `{"end":{}}`,
		begin + `{"conversation":{"id":"g_1","kind":"room"}}` + "\n" + `{"message":{"from":"ann","type":"text","mentions":["ben"],"mentionAll":true,"recalled":{"by":"ann","at":1}}}` + "\n" + `{"end":{}}`,
	} {
		f.Add([]byte(lines))
	}
	f.Fuzz(func(t *testing.T, lines []byte) {
		s := memory.New(&memory.Options{MaxMessages: 1000})
		_, err := archive.Import(t.Context(), s, bytes.NewReader(lines))
		switch {
		case err == nil:
			roundTrip(t, s, memory.New(nil))
		case !errors.Is(err, archive.ErrFormat) && !errors.Is(err, store.ErrFull):
			t.Error(err)
		}
	})
}

// Messages that expired from a store, and those that were pruned, leave their place.
func TestGone(t *testing.T) {
	to := memory.New(nil)
	lines := `{"archive":{"version":1}}
{"conversation":{"id":"g_1","kind":"group"}}
{"member":{"user":"ann","seen":3,"seenAll":1}}
{"gone":{"to":4,"count":2,"allCount":1}}
{"message":{"type":"text"}}
{"gone":{"to":7,"count":3,"allCount":1}}
{"message":{"type":"text","seq":8}}
{"conversation":{"id":"g_2","kind":"group"}}
{"gone":{"to":9,"count":9}}
{"end":{}}
`
	ctx := context.Background()
	if _, err := archive.Import(ctx, to, strings.NewReader(lines)); err != nil {
		t.Fatal(err)
	}
	page, err := to.Messages(ctx, store.MessagesQuery{Conversation: "g_1", Anchor: store.After, Limit: 10, Now: 1700000000000})
	if err != nil {
		t.Fatal(err)
	}
	var seqs []int64
	for _, m := range page.Messages {
		seqs = append(seqs, m.Seq)
	}
	if c := page.Conversation; !slices.Equal(seqs, []int64{5, 8}) || c.Pruned != 4 || c.Seq != 8 || c.Count != 4 || c.AllCount != 1 {
		t.Errorf("%v of %+v", seqs, page.Conversation)
	}
	if unread := content(t, to)["g_1"].Unread["ann"]; unread != 1 {
		t.Errorf("unread %d, want 1", unread)
	}
}

func TestAContextThatEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	lines := `{"archive":{"version":1}}` + "\n" + `{"conversation":{"id":"g_1","kind":"group"}}` + "\n" +
		strings.Repeat(`{"message":{"type":"text"}}`+"\n", 10_000)
	r := &cancelling{Reader: strings.NewReader(lines), cancel: cancel}
	if _, err := archive.Import(ctx, memory.New(nil), r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := archive.Export(ctx, memory.New(nil), &bytes.Buffer{}, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type cancelling struct {
	*strings.Reader
	cancel func()
}

func (r *cancelling) Read(b []byte) (int, error) {
	if r.Len() < 100_000 {
		r.cancel()
	}
	return r.Reader.Read(b)
}

// A store that fails is told as it is, and is no fault of the archive.
func TestAFullStore(t *testing.T) {
	lines := `{"archive":{"version":1}}` + "\n" + `{"conversation":{"id":"g_1","kind":"group"}}` + "\n" +
		strings.Repeat(`{"message":{"type":"text"}}`+"\n", 1000) + `{"end":{}}`
	to := memory.New(&memory.Options{MaxMessages: 500})
	if _, err := archive.Import(context.Background(), to, strings.NewReader(lines)); !errors.Is(err, store.ErrFull) || errors.Is(err, archive.ErrFormat) {
		t.Error(err)
	}
}
