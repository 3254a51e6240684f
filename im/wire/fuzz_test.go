package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/h5im/im/wire"
	"github.com/vmihailenco/msgpack/v5"
)

// The committed corpora are in testdata/fuzz; the golden vectors are seeds too.

func seed(f *testing.F, of func(v vector) []byte, bad ...[]invalid) {
	for _, file := range []string{"requests", "results", "events", "errors", "batches"} {
		var list []vector
		readGolden(f, "vectors/"+file+".json", &list)
		for _, v := range list {
			f.Add(of(v))
		}
	}
	for _, list := range bad {
		for i := range list {
			if frame := list[i].frame(f); len(frame) < 1<<16 {
				f.Add(frame)
			}
		}
	}
}

// inProportion checks that run allocates no more than a multiple of the input.
func inProportion(t *testing.T, size int, run func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(64*size+1<<18); used > most {
		t.Errorf("%d bytes of input made %d", size, used)
	}
}

func FuzzParseJSON(f *testing.F) {
	seed(f, func(v vector) []byte { return []byte(v.JSON) }, inBoth, inJSON)
	f.Fuzz(func(t *testing.T, frame []byte) {
		inProportion(t, len(frame), func() {
			_, _ = wire.JSON.ParseServer(frame)
			_, e := answerTo(t, wire.JSON, frame)
			valid := json.Valid(frame) && utf8.Valid(frame)
			if e == nil && !valid {
				t.Errorf("%q was accepted", frame)
			}
			if e != nil && e.Data.Reason == wire.ReasonParse && valid {
				t.Errorf("%q is well-formed: %v", frame, e)
			}
		})
	})
}

func FuzzParseMsgpack(f *testing.F) {
	seed(f, func(v vector) []byte {
		b, _ := hex.DecodeString(v.Msgpack)
		return b
	}, inMsgpack)
	f.Fuzz(func(t *testing.T, frame []byte) {
		inProportion(t, len(frame), func() {
			_, _ = wire.Msgpack.ParseServer(frame)
			answerTo(t, wire.Msgpack, frame)
			if wire.ScanMsgpack(frame, wire.ScanLimits{}) != nil {
				return
			}
			// What was scanned is safe for the library too.
			var v any
			if err := msgpack.Unmarshal(frame, &v); err != nil {
				t.Errorf("%x was accepted: %v", frame, err)
			}
		})
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add("g_1", "bob", "text", int64(1), int64(1789000000000), []byte(`{"text":"hi"}`), []byte(nil), true)
	f.Add("\u4f60\U0001F600", "a\"\\\n\x00", "", int64(-1), int64(1<<53-1), []byte(`{"n":[1.5,1e300,-0,"\ud83d\ude00"]}`), []byte(`{}`), false)
	f.Fuzz(func(t *testing.T, conversation, from, kind string, seq, at int64, content, ext []byte, all bool) {
		m := wire.Message{
			Conversation: strings.ToValidUTF8(conversation, "?"), From: strings.ToValidUTF8(from, "?"), Type: strings.ToValidUTF8(kind, "?"),
			Seq: seq % (1 << 53), Time: at % (1 << 53), Mentions: wire.Mentions{All: all},
		}
		if all {
			m.Recalled = &wire.Recall{By: m.From, At: m.Time}
		} else if m.From != "" {
			m.Mentions.Users, m.Flags = []string{m.From, m.Type}, []string{m.Type}
		}
		m.Content, _ = wire.CompactObject(content, wire.ScanLimits{})
		m.Ext, _ = wire.CompactObject(ext, wire.ScanLimits{})
		if m.Content == nil {
			m.Content = wire.Object("{}")
		}
		text, packed := wire.JSON.AppendMessageEvent(nil, &m), wire.Msgpack.AppendMessageEvent(nil, &m)
		if got := must(t)(wire.Transcode(nil, text)); !bytes.Equal(got, packed) {
			t.Errorf("JSON %q became %x, msgpack is %x", text, got, packed)
		}
		for c, frame := range map[wire.Codec][]byte{wire.JSON: text, wire.Msgpack: packed} {
			in, err := c.ParseServer(frame)
			if err != nil {
				t.Fatalf("%s %q: %v", c.Name(), frame, err)
			}
			var got wire.Message
			if err := c.Decode(in[0].Params, &got); err != nil {
				t.Fatalf("%s %q: %v", c.Name(), frame, err)
			}
			if a, b := must(t)(wire.Canonical(&got)), must(t)(wire.Canonical(&m)); !bytes.Equal(a, b) {
				t.Errorf("%s: %s came back as %s", c.Name(), b, a)
			}
			if c == wire.JSON && !reflect.DeepEqual(got, m) && len(m.Ext) != 0 {
				t.Errorf("%+v came back as %+v", m, got)
			}
		}
	})
}

type holder struct {
	O wire.Object `json:"o"`
}

func FuzzObject(f *testing.F) {
	for _, content := range contents {
		f.Add([]byte(content))
	}
	f.Add([]byte(" { \"a\" : [ 9007199254740991 , 9007199254740992.0 , 1E+2 ] } "))
	f.Fuzz(func(t *testing.T, b []byte) {
		inProportion(t, len(b), func() {
			o, err := wire.CompactObject(b, wire.ScanLimits{})
			if err != nil {
				return
			}
			if !json.Valid(o) {
				t.Fatalf("%q became %q", b, o)
			}
			if again, err := wire.CompactObject(o, wire.ScanLimits{}); err != nil || !bytes.Equal(again, o) {
				t.Errorf("%q became %q, %v", o, again, err)
			}
			packed := must(t)(wire.Transcode(nil, o))
			if err := wire.ScanMsgpack(packed, wire.ScanLimits{}); err != nil {
				t.Fatalf("%q became %x: %v", o, packed, err)
			}
			var got holder
			if err := wire.Msgpack.Decode(append([]byte("\x81\xa1o"), packed...), &got); err != nil {
				t.Fatalf("%q became %x: %v", o, packed, err)
			}
			canonical := must(t)(wire.Canonical(holder{o}))
			if a := must(t)(wire.Canonical(got)); !bytes.Equal(a, canonical) {
				t.Errorf("%s came back as %s", canonical, a)
			}
			asLibraries(t, b, o, canonical[len(`{"o":`):len(canonical)-1], packed)
		})
	})
}

// Nothing that was not scanned should be decoded or encoded, but where it is, it
// must do no harm.
func FuzzUnscanned(f *testing.F) {
	eachVector(f, func(v *vector, shape uint8) {
		f.Add([]byte(v.JSON), shape)
		packed, _ := hex.DecodeString(v.Msgpack)
		f.Add(packed, shape)
	})
	f.Add([]byte("\x81\xa5float\xcb"), uint8(0))
	f.Add([]byte(`{"object":{"a":[{"":`), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, shape uint8) {
		inProportion(t, 8*len(b), func() {
			for _, c := range codecs {
				_ = c.Decode(b, reflect.New(shapes[int(shape)%len(shapes)]).Interface())
				c.AppendMessageEvent(nil, &wire.Message{From: string(b), Content: b, Ext: b})
			}
			_, _ = wire.Canonical(holder{b})
		})
	})
}
