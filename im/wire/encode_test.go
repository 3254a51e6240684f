package wire_test

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"example.com/h5im/im/wire"
	"github.com/vmihailenco/msgpack/v5"
)

// library encodes with the libraries that the codecs must agree with.
func library(t *testing.T, c wire.Codec, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	if c == wire.JSON {
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	e := msgpack.NewEncoder(&b)
	e.SetCustomStructTag("json")
	e.UseCompactInts(true)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// messages have every optional field present and absent, and what is hard to write.
func messages() []*wire.Message {
	list := []*wire.Message{
		typicalMessage(),
		full(wire.Message{}).(*wire.Message),
		{},
		{Content: wire.Object(`{}`), Mentions: wire.Mentions{All: true}, Flags: []string{}},
		{Conversation: strings.Repeat("x", 300), From: "\u4f60\u597d \U0001F468\u200d\U0001F469", ClientID: "\"\\/\b\f\n\r\t\x00\x1f\x7f<>&"},
		{From: "a\xffb\xed\xa0\x80c\xe4\xbd"},
		{Recalled: &wire.Recall{By: "bob"}, Seq: math.MaxInt64, Rev: math.MinInt64},
		{Recalled: &wire.Recall{By: "bob", At: 5, Reason: "spam"}, ReplyTo: -1, Ext: wire.Object(`{"a":[1.5,"\u0041"]}`)},
	}
	for shift := range 63 {
		list = append(list, &wire.Message{Seq: 1<<shift - 1, Rev: 1 << shift, Count: -(1 << shift), Time: -(1 << shift) - 1})
	}
	for _, content := range contents {
		list = append(list, &wire.Message{Content: wire.Object(content)})
	}
	return list
}

func TestMessageEvent(t *testing.T) {
	t.Run("its bytes are those of the reflective encoding", func(t *testing.T) {
		for _, c := range codecs {
			for i, m := range messages() {
				got := c.AppendMessageEvent([]byte("before"), m)
				if want := must(t)(c.AppendEvent([]byte("before"), wire.EventMessage, m)); !bytes.Equal(got, want) {
					t.Errorf("%s, message %d:\n got %q\nwant %q", c.Name(), i, got, want)
				}
			}
		}
	})

	t.Run("its bytes are those of the libraries", func(t *testing.T) {
		for _, c := range codecs {
			for i, m := range messages() {
				if c == wire.Msgpack && m.Mentions.IsZero() {
					continue // the library does not know omitzero
				}
				if got, want := c.AppendMessageEvent(nil, m), library(t, c, event{"2.0", wire.EventMessage, m}); !bytes.Equal(got, want) &&
					!strings.Contains(string(got), "\u2028") && !strings.Contains(m.From, "\xff") { // encoding/json escapes the first, and both differ in the second
					t.Errorf("%s, message %d:\n got %q\nwant %q", c.Name(), i, got, want)
				}
			}
		}
	})

	t.Run("it allocates nothing where dst has room", func(t *testing.T) {
		for _, c := range codecs {
			m, dst := full(wire.Message{}).(*wire.Message), make([]byte, 0, 4096)
			if n := testing.AllocsPerRun(100, func() { c.AppendMessageEvent(dst, m) }); n != 0 {
				t.Errorf("%s: %v allocations", c.Name(), n)
			}
		}
	})

	t.Run("what is not UTF-8 is replaced", func(t *testing.T) {
		for _, c := range codecs {
			in, err := c.ParseServer(c.AppendMessageEvent(nil, &wire.Message{From: "a\xffb\xed\xa0\x80c\xe4\xbd"}))
			if err != nil {
				t.Fatal(err)
			}
			var m wire.Message
			if err := c.Decode(in[0].Params, &m); err != nil || m.From != "a\ufffdb\ufffd\ufffd\ufffdc\ufffd\ufffd" {
				t.Errorf("%s: %q %v", c.Name(), m.From, err)
			}
		}
	})
}

func TestEncode(t *testing.T) {
	t.Run("lists are never null", func(t *testing.T) { // [P15]
		for _, m := range methods {
			b := must(t)(wire.JSON.AppendResult(nil, wire.NumberID(1), minimal(m.result)))
			if bytes.Contains(b, []byte("null")) {
				t.Errorf("%s: %s", m.name, b)
			}
			if b := must(t)(wire.Msgpack.AppendResult(nil, wire.NumberID(1), minimal(m.result))); bytes.Contains(b, []byte{0xc0}) {
				t.Errorf("%s: %x", m.name, b)
			}
		}
		for _, e := range events {
			if b := must(t)(wire.JSON.AppendEvent(nil, e.name, e.params)); bytes.Contains(b, []byte("null")) {
				t.Errorf("%s: %s", e.name, b)
			}
		}
	})

	t.Run("a value and a pointer to it are the same", func(t *testing.T) {
		for _, c := range codecs {
			for _, m := range methods {
				a, b := must(t)(c.AppendResult(nil, wire.NumberID(1), m.result)), must(t)(c.AppendResult(nil, wire.NumberID(1), minimal(m.result)))
				if !bytes.Equal(a, b) {
					t.Errorf("%s: %q and %q", m.name, a, b)
				}
			}
		}
	})

	t.Run("nothing is escaped that need not be", func(t *testing.T) { // [P16]
		b := wire.JSON.AppendMessageEvent(nil, &wire.Message{From: "<&>\u2028\u2029é/", Content: wire.Object("{\"text\":\"\u2028</script>\"}")})
		if !strings.Contains(string(b), "\"<&>\u2028\u2029é/\"") || !strings.Contains(string(b), "\u2028</script>") {
			t.Errorf("got %s", b)
		}
	})

	t.Run("an extension's types work in both notations", func(t *testing.T) {
		type inner struct {
			On    bool               `json:"on"`
			Rates map[string]float64 `json:"rates,omitempty"`
			Big   *uint32            `json:"big,omitempty"`
			Small int8               `json:"small"`
		}
		type outer struct {
			inner
			List   [][]inner `json:"list"`
			Skip   chan int  `json:"-"`
			Ratio  float32   `json:"ratio"`
			hidden int
			Plain  string
			Tree   []outer `json:"tree,omitempty"`
		}
		big := uint32(math.MaxUint32)
		v := outer{
			inner: inner{On: true, Rates: map[string]float64{"b\"": 2, "a": 0.5}}, Ratio: -2.5, Plain: "x",
			List: [][]inner{nil, {{Big: &big, Small: -128}}}, Tree: []outer{{Plain: "leaf"}},
		}
		for _, c := range codecs {
			b := must(t)(c.AppendResult(nil, wire.NumberID(1), v))
			if c == wire.JSON {
				want := `{"jsonrpc":"2.0","id":1,"result":{"on":true,"rates":{"a":0.5,"b\"":2},"small":0,"list":[[],[{"on":false,"big":4294967295,"small":-128}]],"ratio":-2.5,"Plain":"x",` +
					`"tree":[{"on":false,"small":0,"list":[],"ratio":0,"Plain":"leaf"}]}}`
				if string(b) != want {
					t.Errorf("got %s", b)
				}
			}
			in, err := c.ParseServer(b)
			if err != nil {
				t.Fatal(err)
			}
			var got outer
			if err := c.Decode(in[0].Result, &got); err != nil {
				t.Fatal(err)
			}
			if again := must(t)(c.AppendResult(nil, wire.NumberID(1), got)); !bytes.Equal(again, b) {
				t.Errorf("%s: came back as %q", c.Name(), again)
			}
			for text, field := range map[string]string{
				`{"small":128}`: "small", `{"list":[[],[{"big":-1}]]}`: "list[1][0].big", `{"rates":{"x":"y"}}`: "rates.x", `{"ratio":"1"}`: "ratio", `{"on":1}`: "on",
			} {
				params := []byte(text)
				if c == wire.Msgpack {
					params = must(t)(wire.Transcode(nil, params))
				}
				if err := c.Decode(params, &got); err == nil || asError(t, err).Data.Field != field {
					t.Errorf("%s %s: %v", c.Name(), text, err)
				}
			}
		}
		if v.hidden != 0 {
			t.Error("a hidden field was set")
		}
	})

	t.Run("a type that cannot be on the wire is an error", func(t *testing.T) {
		type inner struct {
			A int `json:"a"`
		}
		type twice struct {
			inner
			B int `json:"a"`
		}
		for _, v := range []any{struct{ C chan int }{}, struct{ A any }{}, struct{ B []byte }{}, struct{ M map[int]int }{}, struct{ C complex64 }{}, struct{ F func() }{}, twice{}} {
			if err := wire.CheckType(reflect.TypeOf(v)); err == nil {
				t.Errorf("%T passes", v)
			}
			if _, err := wire.JSON.AppendEvent(nil, "x", v); err == nil {
				t.Errorf("%T was encoded", v)
			}
		}
		for _, v := range []any{wire.SendParams{}, wire.Conversation{}, &wire.Message{}} {
			if err := wire.CheckType(reflect.TypeOf(v)); err != nil {
				t.Error(err)
			}
		}
		for _, f := range []float64{math.NaN(), math.Inf(-1)} {
			if b, err := wire.JSON.AppendEvent(nil, "x", struct{ F float64 }{f}); err == nil {
				t.Errorf("it became %s", b)
			}
		}
	})
}
