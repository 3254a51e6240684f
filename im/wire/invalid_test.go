package wire_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/h5im/im/wire"
)

// invalid is a frame that must be refused, and how.
type invalid struct {
	Name string `json:"name"`
	// The frame: Text (JSON) or Hex, after Prefix times Repeat.
	Text   string `json:"text,omitempty"`
	Hex    string `json:"hex,omitempty"`
	Repeat string `json:"repeat,omitempty"` // in hexadecimal
	Times  int    `json:"times,omitempty"`

	Code   int    `json:"code"`
	Reason string `json:"reason"`
	Field  string `json:"field,omitempty"`
	Max    int64  `json:"max,omitempty"`
	// ID is the id of the answer, as JSON.
	ID string `json:"id"`
}

func (v *invalid) frame(t testing.TB) []byte {
	t.Helper()
	body, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	unit, err := hex.DecodeString(v.Repeat)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return append([]byte(strings.Repeat(string(unit), v.Times)+v.Text), body...)
}

// params makes a request with these params.
func params(name, text, reason, field string) invalid {
	return invalid{
		Name: name, Text: `{"jsonrpc":"2.0","id":1,"method":"message.send","params":` + text + `}`,
		Reason: reason, Field: field, ID: "1",
	}
}

// call makes a request to any method.
func call(name, method, text, field string) invalid {
	return invalid{
		Name: name, Text: `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + text + `}`,
		Reason: "invalid_argument", Field: field, ID: "1",
	}
}

func malformed(name, text string) invalid {
	return invalid{Name: name, Text: text, Reason: "parse_error", ID: "null"}
}

func noRequest(name, text, id string) invalid {
	return invalid{Name: name, Text: text, Reason: "invalid_request", ID: id}
}

const argument = "invalid_argument"

// inBoth are refused for the same reason in both notations: their JSON is
// well-formed.
var inBoth = []invalid{
	noRequest("an empty array", `[]`, "null"),
	noRequest("a number", `1`, "null"),
	noRequest("a text", `"ping"`, "null"),
	noRequest("null", `null`, "null"),
	noRequest("an array in an array", `[[]]`, "null"),
	noRequest("an empty object", `{}`, "null"),
	noRequest("no version", `{"id":1,"method":"ping"}`, "1"),
	noRequest("another version", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, "1"),
	noRequest("a version that is a number", `{"jsonrpc":2.0,"id":"a","method":"ping"}`, `"a"`),
	noRequest("no method", `{"jsonrpc":"2.0","id":1}`, "1"),
	noRequest("a method that is a number", `{"jsonrpc":"2.0","id":1,"method":5}`, "1"),
	noRequest("an empty method", `{"jsonrpc":"2.0","id":1,"method":""}`, "1"),
	noRequest("the id null", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, "null"),
	noRequest("an id with a fraction", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, "null"),
	noRequest("an id beyond 2^53", `{"jsonrpc":"2.0","id":9007199254740992,"method":"ping"}`, "null"),
	noRequest("an id that is an object", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, "null"),
	noRequest("an id of 65 bytes", `{"jsonrpc":"2.0","id":"`+strings.Repeat("a", 65)+`","method":"ping"}`, "null"),
	noRequest("an id that is true", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, "null"),
	noRequest("params that are a list", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}`, "1"),
	noRequest("params that are a text", `{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}`, "1"),
	noRequest("names in capitals", `{"JSONRPC":"2.0","ID":1,"METHOD":"ping"}`, "null"),

	params("a user that is a number", `{"to":5}`, argument, "to"),
	params("a target that names nobody", `{"to":{}}`, argument, "to"),
	params("a target that is empty", `{"to":""}`, argument, "to"),
	params("a target that names both", `{"to":{"user":"a","conversation":"b"}}`, argument, "to"),
	params("a target with a number", `{"to":{"user":5}}`, argument, "to"),
	params("a clientId that is a number", `{"clientId":5}`, argument, "clientId"),
	params("a clientId that is an object", `{"clientId":{}}`, argument, "clientId"),
	params("content that is a list", `{"content":[]}`, argument, "content"),
	params("content that is a number", `{"content":1}`, argument, "content"),
	params("content that is true", `{"content":true}`, argument, "content"),
	params("content with an integer of 2^53", `{"content":{"a":[0,{"b":9007199254740992}]}}`, argument, "content.a[1].b"),
	params("content with an integer of -2^53", `{"content":{"n":-9007199254740992}}`, argument, "content.n"),
	params("content with an integer of 2^63-1", `{"content":{"n":9223372036854775807}}`, argument, "content.n"),
	params("ext that is a text", `{"ext":"x"}`, argument, "ext"),
	params("mentions of another word", `{"mentions":"everyone"}`, argument, "mentions"),
	params("mentions with a number", `{"mentions":["a",1]}`, argument, "mentions[1]"),
	params("mentions that are an object", `{"mentions":{}}`, argument, "mentions"),
	params("replyTo that is a text", `{"replyTo":"5"}`, argument, "replyTo"),
	params("replyTo with a fraction", `{"replyTo":5.5}`, argument, "replyTo"),
	params("replyTo of 2^53", `{"replyTo":9007199254740992}`, argument, "replyTo"),
	params("replyTo of 1e300", `{"replyTo":1e300}`, argument, "replyTo"),
	params("flags that are no list", `{"flags":"noPush"}`, argument, "flags"),
	params("a flag that is null", `{"flags":["noPush",null]}`, argument, "flags[1]"),
	call("users that are a text", "user.get", `{"users":"bob"}`, "users"),
	call("a user that is a list", "user.get", `{"users":["a","b","c",[]]}`, "users[3]"),
	call("a range of one", "message.changes", `{"within":[[1]]}`, "within[0]"),
	call("a range of three", "message.changes", `{"within":[[1,2],[1,2,3]]}`, "within[1]"),
	call("a range with a text", "message.changes", `{"within":[[1,"2"]]}`, "within[0][1]"),
	call("a cursor that is a number", "sync", `{"cursor":5}`, "cursor"),
	call("a limit beyond 2^53", "sync", `{"limit":1e16}`, "limit"),

	{
		Name: "17 levels", Text: `{"jsonrpc":"2.0","id":1,"method":"ping","params":` + strings.Repeat(`{"a":`, 15) + `[]` + strings.Repeat("}", 15) + "}",
		Reason: "too_large", Field: "depth", Max: 16, ID: "null",
	},
	{
		Name: "4097 items", Text: `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[` + strings.Repeat("1,", 4086) + `1]}}`,
		Reason: "too_large", Field: "items", Max: 4096, ID: "null",
	},
	{
		Name: "65 messages", Text: "[" + strings.Repeat("{},", 64) + "{}]",
		Reason: "too_large", Field: "batch", Max: 64, ID: "null",
	},
}

// inJSON are refused in JSON, and have no like in msgpack or another one.
var inJSON = []invalid{
	malformed("nothing", ``),
	malformed("white space", " \n"),
	malformed("a byte order mark", "\ufeff{}"),
	malformed("two values", `{}{}`),
	malformed("a comma behind", `{},`),
	malformed("an array cut short", `[`),
	malformed("a comma before the end of an array", `[1,]`),
	malformed("two commas", `[1,,2]`),
	malformed("no comma", `[1 2]`),
	malformed("a comma before the end of an object", `{"a":1,}`),
	malformed("no colon", `{"a" 1}`),
	malformed("a colon too many", `{"a"::1}`),
	malformed("a name without quotes", `{a:1}`),
	malformed("a name that is a number", `{1:1}`),
	malformed("single quotes", `{'a':1}`),
	malformed("the wrong bracket", `{"a":1]`),
	malformed("a comment", `{/**/}`),
	malformed("half a word", `tru`),
	malformed("a word in capitals", `TRUE`),
	malformed("a word that goes on", `nullx`),
	malformed("NaN", `NaN`),
	malformed("Infinity", `-Infinity`),
	malformed("a number with a zero before", `01`),
	malformed("a number with a plus", `+1`),
	malformed("a number without digits", `-`),
	malformed("a number that begins with a point", `.5`),
	malformed("a number that ends with a point", `5.`),
	malformed("a number without exponent", `1e`),
	malformed("a hexadecimal number", `0x10`),
	malformed("a text cut short", `"abc`),
	malformed("a text cut short behind a backslash", `"abc\`),
	malformed("a control character in a text", "\"a\x01b\""),
	malformed("a line break in a text", "\"a\nb\""),
	malformed("an unknown escape", `"\x"`),
	malformed("an escape cut short", `"\u12`),
	malformed("an escape with a letter", `"\u12g4"`),
	{Name: "a zero byte", Hex: "00", Reason: "parse_error", ID: "null"},
	{Name: "text that is not UTF-8", Hex: "22ff22", Reason: "parse_error", ID: "null"},
	{Name: "UTF-8 longer than need be", Hex: "22c08022", Reason: "parse_error", ID: "null"},
	{Name: "a surrogate in UTF-8", Hex: "22eda08022", Reason: "parse_error", ID: "null"},
	{Name: "UTF-8 cut short", Hex: "22e4bd22", Reason: "parse_error", ID: "null"},
	{Name: "a megabyte of [", Repeat: "5b", Times: 1 << 20, Reason: "too_large", Field: "depth", Max: 16, ID: "null"},
	{Name: `a megabyte of {"":`, Repeat: "7b22223a", Times: 1 << 18, Reason: "too_large", Field: "depth", Max: 16, ID: "null"},

	params("half of a surrogate pair", `{"content":{"text":"\ud83d"}}`, argument, "content.text"),
	params("the other half alone", `{"content":{"text":"\ude00"}}`, argument, "content.text"),
	params("two first halves", `{"content":"\ud83d\ud83d"}`, argument, "content"),
	params("two second halves", `{"content":"\ude00\ude00"}`, argument, "content"),
	params("-2^63-1 in a field that is not known", `{"more":-9223372036854775809}`, argument, "more"),
	params("1e400", `{"content":{"n":1e400}}`, argument, "content.n"),
	params("2^64", `{"content":{"n":18446744073709551616}}`, argument, "content.n"),
	params("-2^63-1", `{"content":{"n":-9223372036854775809}}`, argument, "content.n"),
	params("2^63", `{"content":{"n":9223372036854775808}}`, argument, "content.n"),
	params("400 digits", `{"content":{"n":`+strings.Repeat("9", 400)+`.5}}`, argument, "content.n"),
	params("a name twice", `{"to":"a","to":"b"}`, argument, "to"),
	params("a name twice in content", `{"content":{"a":[{"b":1,"c":2,"b":3}]}}`, argument, "content.a[0].b"),
	params("a name twice, once in escapes", `{"content":{"ab":1,"a\u0062":2}}`, argument, "content.ab"),
	params("a name twice among many", `{"content":{`+manyNames()+`,"n7":0}}`, argument, "content.n7"),
	params("a name twice in a field that is not known", `{"more":{"a":1,"a":2}}`, argument, "more.a"),
	noRequest("the method twice", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}`, "1"),
	noRequest("the id twice", `{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}`, "null"),
	noRequest("an id with half of a surrogate pair", `{"jsonrpc":"2.0","id":"\ud800","method":"ping"}`, "null"),
	noRequest("half of a surrogate pair around the params", `{"jsonrpc":"2.0","id":1,"method":"ping","paramsX":"\ud800"}`, "1"),
	noRequest("params that are a list with a name twice", `{"jsonrpc":"2.0","id":1,"method":"ping","params":[{"a":1,"a":2}]}`, "1"),
	noRequest("half of a surrogate pair, no id", `{"jsonrpc":"2.0","method":"ping","x":"\ud800"}`, "null"),
}

func manyNames() string {
	var names []string
	for i := range 40 {
		names = append(names, `"n`+strings.Repeat("0", i%3)+string(rune('0'+i%10))+string(rune('a'+i/10))+`":0`)
	}
	return strings.Join(names, ",") + `,"n7":0`
}

func packed(name, hex, reason string) invalid {
	v := invalid{Name: name, Hex: hex, Reason: reason, ID: "null"}
	switch reason {
	case "too_large":
		v.Field, v.Max = "items", 4096
	case "too_large:batch":
		v.Reason, v.Field, v.Max = "too_large", "batch", 64
	}
	return v
}

// send is {"jsonrpc":"2.0","id":1,"method":"message.send","params":{...}} up to
// the params.
const send = "84a76a736f6e727063a3322e30a2696401a66d6574686f64ac6d6573736167652e73656e64a6706172616d73"

func packedParams(name, hex, field string) invalid {
	return invalid{Name: name, Hex: send + hex, Reason: argument, Field: field, ID: "1"}
}

const keyContent = "a7636f6e74656e74" // "content"

// inMsgpack are refused in msgpack.
var inMsgpack = []invalid{
	packed("nothing", "", "parse_error"),
	packed("two values", "c0c0", "parse_error"),
	packed("the code that is never used", "c1", "parse_error"),
	packed("an array of 2^32-1", "ddffffffff", "parse_error"),
	packed("an array of 2^31-1", "dd7fffffff", "too_large:batch"),
	packed("an array of 2^31-1 in a map", "81a161dd7fffffff", "too_large"),
	packed("an array of 2^26", "dd04000000", "too_large:batch"),
	packed("an array of 2^26 in a map", "81a161dd04000000", "too_large"),
	packed("an array of 65535", "dcffff", "too_large:batch"),
	packed("an array of 65535 in a map", "81a161dcffff", "too_large"),
	packed("an array of 15 that are not there", "9f", "parse_error"),
	packed("a map of 2^32-1", "dfffffffff", "parse_error"),
	packed("a map of 2^24", "df01000000", "too_large"),
	packed("a map of 65535", "deffff", "too_large"),
	packed("a map of 15 that are not there", "8f", "parse_error"),
	packed("a text of 2^32-1", "dbffffffff", "parse_error"),
	packed("a text of 65535", "daffff", "parse_error"),
	packed("a text of 255", "d9ff", "parse_error"),
	packed("a text of 31 that are not there", "bf41", "parse_error"),
	packed("binary of 2^32-1", "c6ffffffff", "parse_error"),
	packed("binary of 65535", "c5ffff", "parse_error"),
	packed("binary of 255", "c4ff", "parse_error"),
	packed("an extension of 2^32-1", "c9ffffffff01", "parse_error"),
	packed("an extension of 2^31-1", "c97fffffff01", "parse_error"),
	packed("a map of 2^31-1", "df7fffffff", "too_large"),
	packed("a text of 2^31-1", "db7fffffff", "parse_error"),
	packed("an extension of 65535", "c8ffff01", "parse_error"),
	packed("an extension of 255", "c7ff01", "parse_error"),
	packed("an extension without its type", "d4", "parse_error"),
	packed("a length cut short", "dd0000", "parse_error"),
	packed("an integer cut short", "cf0000", "parse_error"),
	packed("a float cut short", "cb0000", "parse_error"),
	packed("text that is not UTF-8", "a1ff", "parse_error"),
	packed("a surrogate in UTF-8", "a3eda080", "parse_error"),
	packed("a name that is not UTF-8", "81a1ff01", "parse_error"),
	packed("a map without its last value", "81a161", "parse_error"),
	{Name: "8 MB of 0x91", Repeat: "91", Times: 8 << 20, Reason: "too_large", Field: "depth", Max: 16, ID: "null"},
	{Name: "8 MB of 0x81", Repeat: "81a0", Times: 4 << 20, Reason: "too_large", Field: "depth", Max: 16, ID: "null"},

	packedParams("NaN", "81"+keyContent+"81a16ecb7ff8000000000001", "content.n"),
	packedParams("infinity", "81"+keyContent+"81a16ecb7ff0000000000000", "content.n"),
	packedParams("minus infinity in 32 bits", "81"+keyContent+"81a16ecaff800000", "content.n"),
	packedParams("binary", "81"+keyContent+"81a162c401ff", "content.b"),
	packedParams("a time", "81"+keyContent+"81a174d6ff00000000", "content.t"),
	packedParams("an extension in a list", "81"+keyContent+"81a1749201d40100", "content.t[1]"),
	packedParams("a name that is a number", "81"+keyContent+"810101", "content"),
	packedParams("a name that is nil", "81"+keyContent+"82a16101c001", "content"),
	packedParams("a name that is a list", "81"+keyContent+"819001", "content"),
	packedParams("a name that is binary", "81"+keyContent+"81c4016101", "content"),
	packedParams("a name twice", "82a2746fa161a2746fa162", "to"),
	packedParams("a name twice in content", "81"+keyContent+"81a1619182a16201a16202", "content.a[0].b"),
	packedParams("a name twice, in two lengths", "81"+keyContent+"82a16101d9016102", "content.a"),
	packedParams("2^64-1", "81"+keyContent+"81a16ecfffffffffffffffff", "content.n"),
	packedParams("-2^63", "81"+keyContent+"81a16ed38000000000000000", "content.n"),
	packedParams("replyTo in a float with a fraction", "81a77265706c79546fcb3ff8000000000000", "replyTo"),
	{Name: "a number for a name around the params", Hex: "850101" + send[2:] + "80", Reason: "invalid_request", ID: "1"},
}

// answerTo is the error that a server would answer, nil if none.
func answerTo(t testing.TB, c wire.Codec, frame []byte) (wire.ID, *wire.Error) {
	t.Helper()
	requests, _, err := c.Parse(frame, wire.ScanLimits{})
	if err != nil {
		return wire.NullID(), asError(t, err)
	}
	for _, q := range requests {
		if q.Err != nil {
			return q.ID, q.Err
		}
		for _, m := range methods {
			if m.name == q.Method {
				if err := c.Decode(q.Params, reflect.New(reflect.TypeOf(m.params)).Interface()); err != nil {
					return q.ID, asError(t, err)
				}
			}
		}
	}
	return wire.ID{}, nil
}

func asError(t testing.TB, err error) *wire.Error {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Data == nil {
		t.Fatalf("%v (%T) is no *wire.Error with data", err, err)
	}
	return e
}

func codeOf(reason string) int {
	for _, r := range wire.Reasons {
		if r.Reason == reason {
			return r.Code
		}
	}
	return 0
}

func TestInvalidFramesAreRefused(t *testing.T) { // [P6] [P7] [P8] [P9]
	for _, group := range []struct {
		file  string
		c     wire.Codec
		cases []invalid
	}{{"both", wire.JSON, inBoth}, {"json", wire.JSON, inJSON}, {"msgpack", wire.Msgpack, inMsgpack}} {
		for i := range group.cases {
			v := &group.cases[i]
			v.Code = codeOf(v.Reason)
			t.Run(group.file+"/"+v.Name, func(t *testing.T) {
				frame := v.frame(t)
				checkRefused(t, group.c, frame, v)
				if group.file == "both" {
					checkRefused(t, wire.Msgpack, must(t)(wire.Transcode(nil, frame)), v)
				}
			})
		}
		golden(t, filepath.Join("vectors", "invalid_"+group.file+".json"), group.cases)
	}
}

func checkRefused(t *testing.T, c wire.Codec, frame []byte, want *invalid) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	id, e := answerTo(t, c, frame)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%s: %d bytes were allocated", c.Name(), used)
	}
	if e == nil {
		t.Fatalf("%s: it was accepted", c.Name())
	}
	if id.IsNone() {
		t.Errorf("%s: it would not be answered", c.Name())
	}
	got := invalid{Code: e.Code, Reason: e.Data.Reason, Field: e.Data.Field, Max: e.Data.Max, ID: id.String()}
	if got != (invalid{Code: want.Code, Reason: want.Reason, Field: want.Field, Max: want.Max, ID: want.ID}) {
		t.Errorf("%s: answered %+v (%s)", c.Name(), got, e.Message)
	}
	for _, word := range []string{"int64", "struct", "[]", "uint", "wire.", "reflect"} {
		if strings.Contains(e.Message, word) {
			t.Errorf("%s: the message %q speaks Go", c.Name(), e.Message)
		}
	}
	if e.Data.Field != "" && e.Data.Reason == argument && !strings.HasPrefix(e.Message, e.Data.Field+" ") {
		t.Errorf("%s: the message %q does not begin with the field", c.Name(), e.Message)
	}
}

func TestMessagesOfErrorsNameWhatIsWrong(t *testing.T) {
	for frame, want := range map[string]string{
		`{"jsonrpc":"2.0","id":1,"method":"ping","paramsX":"\ud800"}`:      "paramsX has half of a surrogate pair",
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\ud800"}}`: "a has half of a surrogate pair",
		`{"jsonrpc":"2.0","id":1,"method":"ping","params":{"":1,"":2}}`:    "params occurs twice",
		`["\ud800"]`: "a message must be an object",
	} {
		if _, e := answerTo(t, wire.JSON, []byte(frame)); e == nil || e.Message != want {
			t.Errorf("%s: %v", frame, e)
		}
	}
	for hex, want := range map[string]string{
		"850101" + send[2:] + "80": "the message has a key that is no string",
		send + "810101":            "params has a key that is no string",
	} {
		v := invalid{Hex: hex}
		if _, e := answerTo(t, wire.Msgpack, v.frame(t)); e == nil || e.Message != want {
			t.Errorf("%s: %v", hex, e)
		}
	}
}

func TestNamesInEscapesCostNoMoreThanOthers(t *testing.T) {
	for _, names := range []int{20, 1900} {
		var b strings.Builder
		for i := range names {
			fmt.Fprintf(&b, `,"%s\u0061%d":0`, strings.Repeat("a", 200000/names), i)
		}
		object := []byte("{" + b.String()[1:] + "}")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := wire.ScanJSON(object, wire.ScanLimits{})
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err != nil || used > 4*uint64(len(object)) {
			t.Errorf("%d names of %d bytes made %d, %v", names, len(object), used, err)
		}
	}
}

func TestEveryByteAtEveryPlaceInAText(t *testing.T) { // [P6]
	for place := range 20 {
		for c := range 256 {
			text := []byte(`"` + strings.Repeat("a", 20) + `"`)
			text[1+place] = byte(c)
			accepted, valid := wire.ScanJSON(text, wire.ScanLimits{}) == nil, json.Valid(text) && utf8.Valid(text)
			if accepted != valid {
				t.Errorf("%q: accepted is %v", text, accepted)
			}
		}
	}
}

func TestTruncatedFramesAreMalformed(t *testing.T) { // [P6]
	for _, c := range codecs {
		frame := must(t)(c.AppendRequest(nil, wire.NumberID(1), "message.send", full(wire.SendParams{})))
		for n := range frame {
			if _, e := answerTo(t, c, frame[:n:n]); e == nil || e.Data.Reason != "parse_error" {
				t.Errorf("%s: the first %d bytes answered %v", c.Name(), n, e)
			}
		}
		for _, more := range []byte{0x00, 0xc0, '1', ' ' + 1} {
			if _, e := answerTo(t, c, append(frame[:len(frame):len(frame)], more)); e == nil || e.Data.Reason != "parse_error" {
				t.Errorf("%s: %#x behind the frame answered %v", c.Name(), more, e)
			}
		}
	}
}
