package bolt

import (
	"bytes"
	"reflect"
	"testing"

	"example.com/h5im/store"
)

// FuzzMessageRow guards that a message comes back as it was stored.
func FuzzMessageRow(f *testing.F) {
	f.Add(uint32(1), int64(2), int64(3), "01890a5d-ac96-774b-bcce-b302099a8057", "alice", `{"text":"hi"}`, byte(0xff))
	f.Add(uint32(7), int64(1<<40), int64(0), "c", "", "", byte(0))
	f.Fuzz(func(t *testing.T, number uint32, n, at int64, id, user, text string, bits byte) {
		if len(id) > store.MaxClientIDBytes || len(id) == 0 || n < 0 {
			return
		}
		m := store.Message{
			Conversation: "g_1", Seq: n, Rev: n, Born: n / 2, Count: n, AllCount: n / 3, ID: user, ClientID: id,
			From: user, Time: store.Millis(at), Type: text, MentionAll: bits&4 != 0,
		}
		if text != "" {
			m.Content = []byte(text)
		}
		if bits&1 != 0 {
			m.Ext = []byte(text)
		}
		if bits&2 != 0 {
			m.Mentions = []string{user, text}
		}
		if bits&8 != 0 {
			m.ReplyTo, m.EditedAt, m.ExpiresAt = n, store.Millis(at), store.Millis(n)
		}
		if bits&16 != 0 {
			m.Flags = store.Flags(number)
		}
		if bits&32 != 0 {
			m.Recalled = &store.Recall{By: user, At: store.Millis(at), Reason: text}
		}
		fingerprint := store.Fingerprint{bits, 1, 2, 3}
		got, gotPrint, err := decodeMessage("g_1", encodeMessage(number, &m, messageFields(&m, fingerprint)))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(*got, m) || gotPrint != fingerprint {
			t.Fatalf("\n got %+v\nwant %+v", *got, m)
		}
	})
}

// FuzzHeadAndMemberRow guards the rows that a send rewrites.
func FuzzHeadAndMemberRow(f *testing.F) {
	f.Add("g_1", "Team", []byte(`{}`), int64(12), int64(5), true)
	f.Fuzz(func(t *testing.T, id, title string, ext []byte, n, at int64, set bool) {
		if n < 0 {
			return
		}
		ext = append([]byte(nil), ext...)
		h := head{number: 9, owners: int(n % 7), block: ext, last: uint64(n)}
		h.Conversation = store.Conversation{
			ID: id, Kind: store.Group, Settings: store.Settings{Title: title, Ext: ext}, Creator: title,
			CreatedAt: store.Millis(at), Seq: n, Rev: n, MemberRev: n, Count: n, AllCount: n, SettingsRev: n,
			Members: int(n % 1000), Class: store.TopicClass(n % 2), Version: n,
		}
		got, err := decodeHead(9, h.encode())
		if err != nil || !reflect.DeepEqual(*got, h) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, got, h)
		}
		m := store.Member{
			Conversation: id, User: title, Role: store.Role(title), JoinedAt: store.Millis(at), LeftAt: store.Millis(n),
			Rev: n, Version: n, Own: n, Read: n, Delivered: n, Seen: n, SeenAll: n,
			OwnSettings: store.OwnSettings{Starred: set, Archived: !set, MuteUntil: store.Millis(at), Draft: id},
		}
		row, err := decodeMember(id, title, encodeMember(&m))
		if err != nil || *row != m {
			t.Fatalf("%v\n got %+v\nwant %+v", err, row, m)
		}
		r := store.Record{Namespace: "n", Key: "k", Value: ext, Revision: n, ExpiresAt: store.Millis(at)}
		record, err := decodeRecord("n", "k", encodeRecord(&r))
		if err != nil || !reflect.DeepEqual(*record, r) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, record, r)
		}
		st := state{n, uint64(n), uint32(n), n, 7}
		if again, err := decodeState(st.encode()); err != nil || again != st {
			t.Fatalf("%v: got %+v, want %+v", err, again, st)
		}
	})
}

// FuzzDecode guards that no bytes make a decoder panic, and that what it
// accepts it can write again. A true checksum lets the bytes in.
func FuzzDecode(f *testing.F) {
	m := store.Message{Seq: 1, ID: "x", ClientID: "c", From: "a", Content: []byte("{}"), Mentions: []string{"b"}, Ext: []byte("{}")}
	h := head{number: 1, block: []byte{1, 2}}
	e := entry{kind: store.ConversationCreated, creator: "a", clientID: "01890a5d-ac96-774b-bcce-b302099a8057"}
	for _, row := range [][]byte{
		encodeMessage(1, &m, messageFields(&m, store.Fingerprint{})), h.encode(), e.encode(),
		encodeMember(&store.Member{}), encodeRecord(&store.Record{Value: []byte("v")}), new(state).encode(), encodeBlock([]byte{1, 2, 3}),
	} {
		f.Add(row[1 : len(row)-rowSumBytes])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		row := newRow(len(body))
		row.raw(body)
		sealed := row.seal()
		if m, fingerprint, err := decodeMessage("", sealed); err == nil {
			again, _, err := decodeMessage("", encodeMessage(0, m, messageFields(m, fingerprint)))
			if err != nil || !reflect.DeepEqual(again, m) {
				t.Fatalf("%v\n got %+v\nwant %+v", err, again, m)
			}
		}
		if h, err := decodeHead(1, sealed); err == nil {
			again, err := decodeHead(1, h.encode())
			if err != nil || !reflect.DeepEqual(again, h) {
				t.Fatalf("%v\n got %+v\nwant %+v", err, again, h)
			}
		}
		if m, err := decodeMember("", "", sealed); err == nil {
			again, err := decodeMember("", "", encodeMember(m))
			if err != nil || *again != *m {
				t.Fatalf("%v\n got %+v\nwant %+v", err, again, m)
			}
		}
		if n, err := decodeEntry(sealed); err == nil && n.kind != store.MessageAppended {
			if again, err := decodeEntry(n.encode()); err != nil || again != n {
				t.Fatalf("%v\n got %+v\nwant %+v", err, again, n)
			}
		}
		decodeRecord("", "", sealed)
		decodeState(sealed)
		decodeBlock(sealed)
		decodeHeadVersion(sealed)
		decodeMemberVersion(sealed)
		unpackID(nil, body)
		decodeMessage("", body) // as a damaged disk would have it
	})
}

// FuzzPackID guards that an id comes back as it was, whatever follows it.
func FuzzPackID(f *testing.F) {
	f.Add("01890a5d-ac96-774b-bcce-b302099a8057", "alice")
	f.Add("01890a5d-ac96-774b-bcce-b302099a80-7", "")
	f.Fuzz(func(t *testing.T, id, rest string) {
		if len(id) > 254 {
			return
		}
		packed := packID(nil, id)
		got, n := unpackID(nil, append(packed, rest...))
		if string(got) != id || n != len(packed) {
			t.Errorf("%q came back as %q of %d bytes", id, got, n)
		}
	})
}

func TestPackID(t *testing.T) {
	for _, id := range []string{
		"01890a5d-ac96-774b-bcce-b302099a8057", "01890A5D-AC96-774B-BCCE-B302099A8057",
		"01890a5d-ac96-774b-bcce-b302099a805", "01890a5d-ac96-774b-bcce-b302099a805g",
		"01890a5d-ac96-774b-bcce-b302099a80-7", "01890a5d-ac96-774b-bcce-b302099a805-",
		"01890a5d-ac96-774b-bcce--302099a8057", "-1890a5d-ac96-774b-bcce-b302099a8057",
		"01890a5d-ac96-774b-bcce-b3-2-9-a8057", "------------------------------------",
		"", "a", "\xff2345678901234567890123456789012345",
	} {
		packed := append(packID(nil, id), "rest"...)
		if got, n := unpackID(nil, packed); string(got) != id || n != len(packed)-4 {
			t.Errorf("%q came back as %q of %d bytes", id, got, n)
		}
	}
	t.Run("UUIDs of version 7 keep their order", func(t *testing.T) {
		a := requestKey("zoe", "01890a5d-ac96-774b-bcce-b302099a8057")
		b := requestKey("adam", "01890a5d-ac97-774b-bcce-b302099a8057")
		if bytes.Compare(a, b) >= 0 {
			t.Error("the later one sorts first")
		}
	})
}
