package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"example.com/h5im/im/wire"
)

var update = flag.Bool("update", false, "write the golden files")

// vector is one message in both notations.
type vector struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"` // "request", "result", "event", "error", "batch"
	Method  string `json:"method,omitempty"`
	JSON    string `json:"json"`
	Msgpack string `json:"msgpack"` // in hexadecimal

	value any // what its params or result decode to
}

// golden compares v with a golden file, or writes it.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s is not what the code makes; after a wanted change run go test -update", path)
	}
}

func must(t testing.TB) func(b []byte, err error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// newVector encodes with make, in both notations.
func newVector(t *testing.T, name, kind, method string, value any, encode func(wire.Codec) ([]byte, error)) vector {
	t.Helper()
	return vector{
		Name: name, Kind: kind, Method: method, value: value,
		JSON:    string(must(t)(encode(wire.JSON))),
		Msgpack: hex.EncodeToString(must(t)(encode(wire.Msgpack))),
	}
}

func requestVectors(t *testing.T) (list []vector) {
	id := wire.NumberID(1)
	add := func(name, method string, id wire.ID, params any) {
		list = append(list, newVector(t, name, "request", method, params, func(c wire.Codec) ([]byte, error) {
			return c.AppendRequest(nil, id, method, params)
		}))
	}
	for _, m := range methods {
		add(m.name+" with every field", m.name, id, full(m.params))
		add(m.name+" with as little as can be", m.name, id, minimal(m.params))
	}
	add("a text id", "ping", wire.TextID("a-1"), &wire.Empty{})
	add("an id of 64 bytes", "ping", wire.TextID("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), &wire.Empty{})
	add("the greatest integer id", "ping", wire.NumberID(1<<53-1), &wire.Empty{})
	add("the least integer id", "ping", wire.NumberID(-(1<<53 - 1)), &wire.Empty{})
	add("a notification", "conversation.typing", wire.ID{}, &wire.ConversationParams{Conversation: "g_1"})
	for name, content := range contents {
		add(name, "message.send", id, &wire.SendParams{To: wire.Target{User: "bob"}, ClientID: "c1", Content: wire.Content(content)})
	}
	add("everyone is mentioned", "message.send", id, &wire.SendParams{
		To: wire.Target{Conversation: "g_1"}, ClientID: "c1", Content: wire.Content(`{"text":"hi"}`), Mentions: wire.Mentions{All: true},
	})
	zero := int64(0)
	add("from the beginning", "message.list", id, &wire.ListParams{Conversation: "g_1", After: &zero})
	slices.SortFunc(list[2*len(methods):], func(a, b vector) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// contents are objects that are easy to get wrong.
var contents = map[string]string{
	"empty content":                 `{}`,
	"Chinese":                       `{"text":"你好，世界"}`,
	"emoji of several code points":  `{"text":"👩‍👩‍👧 🇨🇭 👍🏽"}`,
	"escapes":                       "{\"text\":\"a\\\"b\\\\c/d\\b\\f\\n\\r\\t\\u0000\\u001f\"}",
	"line separators as they are":   "{\"text\":\"\u2028\u2029\"}",
	"markup as it is":               `{"text":"<script>&amp;</script>"}`,
	"an escape that needs none":     `{"text":"\u0041\u00e9\ud83d\ude00\/"}`,
	"the greatest integers":         `{"n":[9007199254740991,-9007199254740991]}`,
	"integers at every width":       `{"n":[0,127,128,255,256,65535,65536,4294967295,4294967296,-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649]}`,
	"fractions":                     `{"n":[0.1,-2.5,1.5e-7,1.7976931348623157e+308,5e-324,1e+21]}`,
	"names in another script":       `{"名前":{"":1," ":2,"a.b":3}}`,
	"a list of 16":                  `{"n":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}`,
	"an object of 16":               `{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0,"j":0,"k":0,"l":0,"m":0,"n":0,"o":0,"p":0}`,
	"a text of 32 bytes":            `{"text":"0123456789abcdef0123456789abcdef"}`,
	"nested as deep as can be":      strings.Repeat(`{"a":`, 13) + "[]" + strings.Repeat("}", 13),
	"true, false, null, and no one": `{"a":[true,false,null,[],{}]}`,
}

func resultVectors(t *testing.T) (list []vector) {
	for _, m := range methods {
		for _, v := range []struct {
			name  string
			value any
		}{{m.name + " with every field", full(m.result)}, {m.name + " with as little as can be", minimal(m.result)}} {
			list = append(list, newVector(t, v.name, "result", m.name, v.value, func(c wire.Codec) ([]byte, error) {
				return c.AppendResult(nil, wire.NumberID(1), v.value)
			}))
		}
	}
	return list
}

func eventVectors(t *testing.T) (list []vector) {
	add := func(name, method string, params any) {
		list = append(list, newVector(t, name, "event", method, params, func(c wire.Codec) ([]byte, error) {
			return c.AppendEvent(nil, method, params)
		}))
	}
	for _, e := range events {
		add(e.name+" with every field", e.name, full(e.params))
		add(e.name+" with as little as can be", e.name, minimal(e.params))
	}
	return list
}

func errorVectors(t *testing.T) (list []vector) {
	add := func(name string, id wire.ID, e *wire.Error) {
		list = append(list, newVector(t, name, "error", "", e, func(c wire.Codec) ([]byte, error) {
			return c.AppendError(nil, id, e), nil
		}))
	}
	add("every field", wire.NumberID(1), full(wire.Error{}).(*wire.Error))
	add("as little as can be", wire.NumberID(1), &wire.Error{})
	add("no id could be read", wire.NullID(), &wire.Error{Code: wire.CodeParse, Message: "malformed"})
	for _, r := range wire.Reasons {
		add(r.Reason, wire.TextID("a"), &wire.Error{Code: r.Code, Message: r.Meaning, Data: &wire.ErrorData{Reason: r.Reason}})
	}
	return list
}

func batchVectors(t *testing.T) []vector {
	return []vector{
		newVector(t, "two requests", "batch", "", nil, func(c wire.Codec) ([]byte, error) {
			first := must(t)(c.AppendRequest(nil, wire.NumberID(1), "ping", nil))
			second := must(t)(c.AppendRequest(nil, wire.TextID("2"), "sync", &wire.SyncParams{Limit: 20}))
			return c.AppendArray(nil, first, second), nil
		}),
		newVector(t, "a reply among events", "batch", "", nil, func(c wire.Codec) ([]byte, error) {
			return c.AppendArray(nil,
				c.AppendMessageEvent(nil, typicalMessage()),
				must(t)(c.AppendResult(nil, wire.NumberID(1), &wire.PingResult{ServerTime: 1789000000000})),
				must(t)(c.AppendEvent(nil, wire.EventGap, &wire.GapEvent{})),
			), nil
		}),
	}
}

func TestGoldenVectors(t *testing.T) {
	for file, make := range map[string]func(*testing.T) []vector{
		"requests": requestVectors, "results": resultVectors, "events": eventVectors, "errors": errorVectors, "batches": batchVectors,
	} {
		t.Run(file, func(t *testing.T) {
			list := make(t)
			golden(t, filepath.Join("vectors", file+".json"), list)
			for _, v := range list {
				t.Run(v.Name, func(t *testing.T) { checkVector(t, &v) })
			}
		})
	}
}

// checkVector reads both notations, which must mean the same.
func checkVector(t *testing.T, v *vector) {
	packed, err := hex.DecodeString(v.Msgpack)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid([]byte(v.JSON)) {
		t.Error("encoding/json finds the JSON not valid")
	}
	if got := must(t)(wire.Transcode(nil, []byte(v.JSON))); !bytes.Equal(got, packed) {
		t.Errorf("the JSON transcodes to %x", got)
	}
	if err := wire.ScanMsgpack(packed, wire.ScanLimits{}); err != nil { // [P3]
		t.Error(err)
	}
	frames := map[wire.Codec][]byte{wire.JSON: []byte(v.JSON), wire.Msgpack: packed}
	for c, frame := range frames {
		if v.Kind == "request" {
			requests, single, err := c.Parse(frame, wire.ScanLimits{})
			if err != nil || !single || len(requests) != 1 || requests[0].Err != nil || requests[0].Method != v.Method {
				t.Fatalf("%s: parsed as %+v, %v", c.Name(), requests, err)
			}
			checkDecodes(t, c, requests[0].Params, v)
			continue
		}
		messages, err := c.ParseServer(frame)
		if err != nil {
			t.Fatalf("%s: %v", c.Name(), err)
		}
		switch v.Kind {
		case "result":
			checkDecodes(t, c, messages[0].Result, v)
		case "event":
			if messages[0].Method != v.Method || !messages[0].ID.IsNone() {
				t.Errorf("%s: read as %+v", c.Name(), messages[0])
			}
			checkDecodes(t, c, messages[0].Params, v)
		case "error":
			if !reflect.DeepEqual(messages[0].Error, v.value) {
				t.Errorf("%s: decoded as %+v", c.Name(), messages[0].Error)
			}
		}
	}
}

// checkDecodes decodes and compares what the value means.
func checkDecodes(t *testing.T, c wire.Codec, b []byte, v *vector) {
	t.Helper()
	got := reflect.New(reflect.TypeOf(v.value).Elem()).Interface()
	if err := c.Decode(b, got); err != nil {
		t.Fatalf("%s: %v", c.Name(), err)
	}
	if g, w := string(must(t)(wire.Canonical(got))), string(must(t)(wire.Canonical(v.value))); g != w {
		t.Errorf("%s: decoded as %s, want %s", c.Name(), g, w)
	}
}

func TestReasons(t *testing.T) {
	golden(t, "reasons.json", wire.Reasons)
	seen := map[string]bool{}
	for _, r := range wire.Reasons {
		if seen[r.Reason] {
			t.Errorf("%s is twice in the catalogue", r.Reason)
		}
		seen[r.Reason] = true
		if r.Code > 0 && (r.Code < 400 || r.Code > 599) {
			t.Errorf("%s has the code %d", r.Reason, r.Code)
		}
	}
}

func readGolden(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}
