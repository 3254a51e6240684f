package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"example.com/h5im/im/wire"
	"github.com/vmihailenco/msgpack/v5"
)

func TestCompactObject(t *testing.T) {
	for in, want := range map[string]string{
		`{}`:                            `{}`,
		" { \"a b\" : [ 1 , 2 ] }\r\n":  `{"a b":[1,2]}`,
		`{"a":"\" ,\\"}`:                `{"a":"\" ,\\"}`,
		`{"n":[1.0, -0, 1e3, 0.10]}`:    `{"n":[1.0,-0,1e3,0.10]}`,
		"{\"text\":\"\u4f60 \\u4f60\"}": "{\"text\":\"\u4f60 \\u4f60\"}",
	} {
		got, err := wire.CompactObject([]byte(in), wire.ScanLimits{})
		if err != nil || string(got) != want {
			t.Errorf("%s became %s, %v", in, got, err)
		}
	}
	for in, field := range map[string]string{
		``: "", `[]`: "", `"a"`: "", `null`: "", `{`: "", `{}x`: "", `{"a":1,"a":1}`: "a", `{"b":{"a":1,"\u0061":1}}`: "b.a",
		`{"n":[0,9007199254740992]}`: "n[1]", `{"n":-9007199254740993}`: "n", `{"x":"\udc00"}`: "x",
		strings.Repeat(`{"a":`, 17) + "1" + strings.Repeat("}", 17): "depth",
	} {
		got, err := wire.CompactObject([]byte(in), wire.ScanLimits{})
		if err == nil {
			t.Errorf("%s became %s", in, got)
			continue
		}
		if e := asError(t, err); e.Data.Field != field {
			t.Errorf("%s: %q: %v", in, e.Data.Field, e)
		}
	}
}

// The first two are from https://www.rfc-editor.org/rfc/rfc8785#section-3.2.
func TestCanonical(t *testing.T) { // [P103]
	for in, want := range map[string]string{
		`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`:                                        "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"\u20ac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}",
		`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`: "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"\u00f6\":\"Latin Small Letter O With Diaeresis\",\"\u20ac\":\"Euro Sign\",\"\U0001F600\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		`{"n":[-0,0.0,1.0,100e-2,1e21,123456789012345680000.0,5e-324,1e-7,0.000001]}`:                                                                                                                                `{"n":[0,0,1,1,1e+21,123456789012345680000,5e-324,1e-7,0.000001]}`,
	} {
		got := string(must(t)(wire.Canonical(&struct {
			O wire.Object `json:"o"`
		}{wire.Object(in)})))
		if got != `{"o":`+want+`}` {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}

	same := []string{
		`{"to":"bob","clientId":"c","content":"hi","replyTo":5,"ext":{"b":[1,2.50],"a":{"z":1,"y":1e2}}}`,
		`{ "ext":{"a":{"y":100,"z":1.0},"b":[1,2.5]}, "replyTo":5.0, "content":{"text":"h\u0069"}, "clientId":"c", "to":{"user":"bob"}, "mentions":[], "flags":null, "new":1 }`,
	}
	var first []byte
	for _, text := range same {
		for _, c := range codecs {
			params := []byte(text)
			if c == wire.Msgpack {
				params = must(t)(wire.Transcode(nil, params))
			}
			var p wire.SendParams
			if err := c.Decode(params, &p); err != nil {
				t.Fatal(err)
			}
			got := must(t)(wire.Canonical(&p))
			if first == nil {
				first = got
			}
			if !bytes.Equal(got, first) {
				t.Errorf("%s: %s differs from %s", c.Name(), got, first)
			}
		}
	}
}

func TestFloatsMeanTheSameInBothNotations(t *testing.T) { // [P3] [P58] [P103]
	for hex, want := range map[string]string{
		"cb3ff0000000000000": `1`, "cb8000000000000000": `0`, "cb3fb999999999999a": `0.1`, "ca3f000000": `0.5`,
		"cb7fefffffffffffff": `1.7976931348623157e+308`, "cb43b0000000000000": `1.152921504606847e+18`, "cb4340000000000000": `9.007199254740992e+15`,
	} {
		v := invalid{Hex: "81a1" + "63" + "81a16e" + hex}
		var p struct {
			C wire.Object `json:"c"`
		}
		if err := wire.Msgpack.Decode(v.frame(t), &p); err != nil || string(p.C) != `{"n":`+want+`}` {
			t.Errorf("%s became %s, %v", hex, p.C, err)
		}
		if _, err := wire.CompactObject(p.C, wire.ScanLimits{}); err != nil {
			t.Errorf("%s: %v", p.C, err)
		}
	}
}

func TestValuesUnderTheLibraries(t *testing.T) {
	t.Run("they are what they are under the codecs", func(t *testing.T) {
		for _, v := range []any{
			wire.Object(`{"a":[1,"x"]}`), wire.Content(`{"text":"x"}`), wire.Target{User: "bob"}, wire.Target{Conversation: "c"},
			wire.Mentions{All: true}, wire.Mentions{Users: []string{"a"}}, wire.Mentions{}, wire.TextID("a"), wire.NumberID(-5), wire.NullID(),
		} {
			text := library(t, wire.JSON, v)
			if got, want := library(t, wire.Msgpack, v), must(t)(wire.Transcode(nil, text)); !bytes.Equal(got, want) {
				t.Errorf("%s in JSON, %x in msgpack, want %x", text, got, want)
			}
		}
	})

	t.Run("encoding/json reads them back", func(t *testing.T) {
		var p wire.SendParams
		text := `{"to":"bob","clientId":"c","content":"hi","mentions":"all","ext":{ "a":1 }}`
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		if got := library(t, wire.JSON, p); string(got) != `{"to":{"user":"bob"},"clientId":"c","content":{"text":"hi"},"mentions":"all","ext":{"a":1}}` {
			t.Errorf("got %s", got)
		}
		var id wire.ID
		for text, want := range map[string]wire.ID{`"a"`: wire.TextID("a"), `5`: wire.NumberID(5), `null`: wire.NullID()} {
			if err := json.Unmarshal([]byte(text), &id); err != nil || id != want || id.String() != text {
				t.Errorf("%s became %v, %v", text, id, err)
			}
		}
		for _, bad := range []string{`{"to":5}`, `{"content":{"a":1,"a":2}}`, `{"ext":[]}`, `{"mentions":"x"}`} {
			if err := json.Unmarshal([]byte(bad), &p); err == nil {
				t.Errorf("%s was taken", bad)
			}
		}
	})
}

func TestObjectsThatAreNoneAreNotEncoded(t *testing.T) {
	type result struct {
		O wire.Object  `json:"o"`
		C wire.Content `json:"c"`
	}
	for _, bad := range []string{`{"a":`, `[]`, `"text"`, `null`, ` `, `{"a":1}}`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}", strings.Repeat("[", 1<<20)} {
		for _, v := range []result{{O: wire.Object(bad)}, {C: wire.Content(bad)}} {
			for _, c := range codecs {
				b, err := c.AppendResult(nil, wire.NumberID(1), v)
				if e := (*wire.Error)(nil); err == nil || errors.As(err, &e) {
					t.Errorf("%s became %s, %v", bad, b, err)
				}
			}
			if b, err := wire.Canonical(v); err == nil {
				t.Errorf("%s became %s", bad, b)
			}
		}
	}
}

func TestGreatIntegersDoNotSpoilAFrame(t *testing.T) {
	object := wire.Object(`{"a":18446744073709551615,"b":9223372036854775808,"c":-9223372036854775808,"d":1}`)
	for _, frame := range [][]byte{
		wire.Msgpack.AppendMessageEvent(nil, &wire.Message{Ext: object}),
		must(t)(wire.Msgpack.AppendEvent(nil, wire.EventMessage, &wire.Message{Ext: object})),
		must(t)(wire.Transcode(nil, wire.JSON.AppendMessageEvent(nil, &wire.Message{Ext: object}))),
	} {
		if err := wire.ScanMsgpack(frame, wire.ScanLimits{}); err != nil {
			t.Fatalf("%q: %v", frame, err)
		}
		var got map[string]any
		if err := msgpack.Unmarshal(frame, &got); err != nil {
			t.Fatal(err)
		}
		ext := got["params"].(map[string]any)["ext"]
		if want := map[string]any{"a": uint64(math.MaxUint64), "b": uint64(1 << 63), "c": int64(math.MinInt64), "d": int8(1)}; !reflect.DeepEqual(ext, want) {
			t.Errorf("%+v", ext)
		}
	}
}

func TestTranscode(t *testing.T) {
	t.Run("it is the same as encoding in msgpack", func(t *testing.T) {
		for i, m := range messages() {
			if m.Rev > 1<<62 || m.Seq < 0 {
				continue
			}
			got := must(t)(wire.Transcode([]byte("before"), wire.JSON.AppendMessageEvent(nil, m)))
			if want := wire.Msgpack.AppendMessageEvent([]byte("before"), m); !bytes.Equal(got, want) {
				t.Errorf("message %d:\n got %q\nwant %q", i, got, want)
			}
		}
	})
	t.Run("what is no JSON is an error", func(t *testing.T) {
		for _, bad := range []string{``, `{`, `{} {}`, `{"a":1,"a":1}`, `1e999`} {
			if got, err := wire.Transcode(nil, []byte(bad)); err == nil {
				t.Errorf("%s became %x", bad, got)
			}
		}
	})
}

func TestCodecOf(t *testing.T) {
	for _, c := range codecs {
		if wire.CodecOf(c.Name()) != c {
			t.Errorf("%s is another codec", c.Name())
		}
	}
	if wire.CodecOf("xml") != nil {
		t.Error("there is a codec for XML")
	}
}
