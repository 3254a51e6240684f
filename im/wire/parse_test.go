package wire_test

import (
	"reflect"
	"strings"
	"testing"

	"example.com/h5im/im/wire"
)

// inCodecs runs f for a JSON frame and for the same in msgpack.
func inCodecs(t *testing.T, text string, f func(t *testing.T, c wire.Codec, frame []byte)) {
	t.Helper()
	for _, c := range codecs {
		frame := []byte(text)
		if c == wire.Msgpack {
			frame = must(t)(wire.Transcode(nil, frame))
		}
		t.Run(c.Name(), func(t *testing.T) { f(t, c, frame) })
	}
}

func TestParse(t *testing.T) {
	t.Run("an array is split into its requests, in order", func(t *testing.T) { // [P1] [P12]
		text := ` [ {"jsonrpc":"2.0","id":1,"method":"ping"} , {"method":"sync","params":{"limit": 5},"id":"b","jsonrpc":"2.0","extra":[1]} ] `
		inCodecs(t, text, func(t *testing.T, c wire.Codec, frame []byte) {
			requests, single, err := c.Parse(frame, wire.ScanLimits{})
			if err != nil || single || len(requests) != 2 {
				t.Fatalf("%v %v %v", requests, single, err)
			}
			if r := requests[0]; r.ID != wire.NumberID(1) || r.Method != "ping" || r.Params != nil || r.Err != nil {
				t.Errorf("the first is %+v", r)
			}
			var p wire.SyncParams
			if r := requests[1]; r.ID != wire.TextID("b") || r.Method != "sync" || r.Err != nil || c.Decode(r.Params, &p) != nil || p.Limit != 5 {
				t.Errorf("the second is %+v with %+v", r, p)
			}
		})
	})

	t.Run("a message alone is single", func(t *testing.T) {
		inCodecs(t, `{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`, func(t *testing.T, c wire.Codec, frame []byte) {
			requests, single, err := c.Parse(frame, wire.ScanLimits{})
			if err != nil || !single || len(requests) != 1 || requests[0].Err != nil || requests[0].Params != nil {
				t.Fatalf("%+v %v %v", requests, single, err)
			}
			if err := c.Decode(requests[0].Params, &wire.Empty{}); err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("an answer repeats the id", func(t *testing.T) { // [P10]
		for text, want := range map[string]string{
			`""`: `""`, `"a\"\u0000\ud83d\ude00"`: "\"a\\\"\\u0000\U0001F600\"", `0`: `0`, `-0`: `0`, `1.0`: `1`, `1e2`: `100`, `-9007199254740991`: `-9007199254740991`, `9007199254740991`: `9007199254740991`,
		} {
			inCodecs(t, `{"id":`+text+`,"jsonrpc":"2.0","method":"ping"}`, func(t *testing.T, c wire.Codec, frame []byte) {
				requests, _, err := c.Parse(frame, wire.ScanLimits{})
				if err != nil || requests[0].Err != nil || requests[0].ID.String() != want {
					t.Fatalf("%s: %+v %v", text, requests, err)
				}
				id := requests[0].ID
				for _, answer := range [][]byte{must(t)(c.AppendResult(nil, id, nil)), c.AppendError(nil, id, &wire.Error{})} {
					if in, err := c.ParseServer(answer); err != nil || in[0].ID != id {
						t.Errorf("%s: answered %+v, %v", text, in, err)
					}
				}
			})
		}
	})

	t.Run("without id it is a notification", func(t *testing.T) { // [P11]
		inCodecs(t, `{"jsonrpc":"2.0","method":"ping"}`, func(t *testing.T, c wire.Codec, frame []byte) {
			requests, _, err := c.Parse(frame, wire.ScanLimits{})
			if err != nil || !requests[0].ID.IsNone() || requests[0].Err != nil {
				t.Fatalf("%+v %v", requests, err)
			}
		})
	})

	t.Run("a notification with a forbidden value is not answered", func(t *testing.T) { // [P8] [P11]
		const bad, good = `{"jsonrpc":"2.0","method":"ping","params":{"a":1,"a":2}}`, `{"jsonrpc":"2.0","id":1,"method":"ping"}`
		for frame, want := range map[string]int{bad: 0, "[" + bad + "]": 0, "[" + bad + "," + good + "]": 1} {
			requests, single, err := wire.JSON.Parse([]byte(frame), wire.ScanLimits{})
			if err != nil || len(requests) != want || single == strings.HasPrefix(frame, "[") {
				t.Errorf("%s: %+v %v %v", frame, requests, single, err)
			}
			if want == 1 && (requests[0].ID != wire.NumberID(1) || requests[0].Err != nil) {
				t.Errorf("%s: %+v", frame, requests)
			}
		}
	})

	t.Run("neighbours of a bad message are served", func(t *testing.T) { // [P8] [P9]
		text := `[{"jsonrpc":"2.0","id":1,"method":"ping"},5,{"jsonrpc":"2.0","id":3},{"jsonrpc":"2.0","id":4,"method":"ping"}]`
		inCodecs(t, text, func(t *testing.T, c wire.Codec, frame []byte) {
			requests, _, err := c.Parse(frame, wire.ScanLimits{})
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, r := range requests {
				ids = append(ids, r.ID.String())
			}
			if got := strings.Join(ids, " "); got != "1 null 3 4" {
				t.Errorf("the ids are %s", got)
			}
			if requests[0].Err != nil || requests[1].Err == nil || requests[2].Err == nil || requests[3].Err != nil {
				t.Errorf("%+v", requests)
			}
		})
		requests, _, err := wire.JSON.Parse([]byte(
			`[{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":{"b":1,"b":2}}},{"jsonrpc":"2.0","id":2,"method":"ping"}]`), wire.ScanLimits{})
		if err != nil || requests[0].Err == nil || requests[0].Err.Data.Field != "a.b" || requests[1].Err != nil || requests[1].Method != "ping" {
			t.Errorf("%+v %v", requests, err)
		}
	})

	t.Run("a forbidden value does not use up the limits twice", func(t *testing.T) { // [P7] [P8]
		frame := `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[` + strings.Repeat("1,", 3000) + `1],"b":1,"b":2}}`
		requests, _, err := wire.JSON.Parse([]byte(frame), wire.ScanLimits{})
		if err != nil || requests[0].Err == nil || requests[0].Err.Data.Field != "b" {
			t.Errorf("%+v %v", requests, err)
		}
	})

	t.Run("the host's limits count", func(t *testing.T) { // [P7]
		frame := []byte(`[{"a":[[1]]},{}]`)
		for _, l := range []struct {
			limits wire.ScanLimits
			field  string
		}{
			{wire.ScanLimits{}, ""},
			{wire.ScanLimits{MaxBatch: 1}, "batch"},
			{wire.ScanLimits{MaxDepth: 3}, "depth"},
			{wire.ScanLimits{MaxItems: 6}, "items"},
			{wire.ScanLimits{MaxBatch: 2, MaxDepth: 4, MaxItems: 7}, ""},
		} {
			for _, c := range codecs {
				f := frame
				if c == wire.Msgpack {
					f = must(t)(wire.Transcode(nil, frame))
				}
				_, _, err := c.Parse(f, l.limits)
				field := ""
				if err != nil {
					field = asError(t, err).Data.Field
				}
				if field != l.field {
					t.Errorf("%s with %+v: %v", c.Name(), l.limits, err)
				}
			}
		}
	})
}

func TestDecode(t *testing.T) {
	accepted := []struct {
		rule, text string
		want       any
	}{
		{"null is as if absent", `{"to":null,"clientId":null,"content":null,"mentions":null,"replyTo":null,"ext":null,"flags":null}`, wire.SendParams{}}, // [P5]
		{"names are compared exactly", `{"TO":"x","Clientid":"y","REPLYTO":5}`, wire.SendParams{}},                                                       // [P5]
		{"unknown fields are ignored", `{"clientId":"c","more":{"to":[1,{"x":null}]},"":0}`, wire.SendParams{ClientID: "c"}},                             // [P5]
		{"a float without a fraction is an integer", `{"replyTo":5.0}`, wire.SendParams{ReplyTo: 5}},                                                     // [P13]
		{"so is one with an exponent", `{"replyTo":12e2}`, wire.SendParams{ReplyTo: 1200}},                                                               // [P13]
		{"-0 is 0", `{"replyTo":-0}`, wire.SendParams{}},
		{"the greatest integer", `{"replyTo":9007199254740991}`, wire.SendParams{ReplyTo: 1<<53 - 1}}, // [P13]
		{"a bare string is a user", `{"to":"bob"}`, wire.SendParams{To: wire.Target{User: "bob"}}},    // [P56]
		{"a target may have other fields", `{"to":{"conversation":"c","user":null,"x":1}}`, wire.SendParams{To: wire.Target{Conversation: "c"}}},
		{"a bare string is a text", `{"content":"a\"b\n"}`, wire.SendParams{Content: wire.Content(`{"text":"a\"b\n"}`)}}, // [P57]
		{"content loses its white space", "{\"content\": { \"a\" :\t[ 1 , \"x y\" , 1e5 ] } }", nil},                     // [P58]
		{"everyone is mentioned", `{"mentions":"all"}`, wire.SendParams{Mentions: wire.Mentions{All: true}}},             // [P59]
		{"some are mentioned", `{"mentions":["a","b"]}`, wire.SendParams{Mentions: wire.Mentions{Users: []string{"a", "b"}}}},
		{"nobody is mentioned", `{"mentions":[]}`, wire.SendParams{}},
		{"names in escapes are the same names", `{"client\u0049d":"c","\u0074o":"bob"}`, wire.SendParams{ClientID: "c", To: wire.Target{User: "bob"}}},
		{"ranges", `{"within":[[1,2],[30,40]]}`, wire.ChangesParams{Within: [][2]int64{{1, 2}, {30, 40}}}},
	}
	for _, a := range accepted {
		t.Run(a.rule, func(t *testing.T) {
			inCodecs(t, `{"jsonrpc":"2.0","id":1,"method":"x","params":`+a.text+`}`, func(t *testing.T, c wire.Codec, frame []byte) {
				requests, _, err := c.Parse(frame, wire.ScanLimits{})
				if err != nil || requests[0].Err != nil {
					t.Fatalf("%+v %v", requests, err)
				}
				if a.want == nil {
					var p wire.SendParams
					if err := c.Decode(requests[0].Params, &p); err != nil {
						t.Fatal(err)
					}
					if want := map[string]string{"json": `{"a":[1,"x y",1e5]}`, "msgpack": `{"a":[1,"x y",100000]}`}[c.Name()]; string(p.Content) != want {
						t.Errorf("content is %s", p.Content)
					}
					return
				}
				got := reflect.New(reflect.TypeOf(a.want))
				if err := c.Decode(requests[0].Params, got.Interface()); err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got.Elem().Interface(), a.want) {
					t.Errorf("got %+v", got.Elem())
				}
			})
		})
	}

	t.Run("content keeps the client's bytes", func(t *testing.T) { // [P58]
		const object = `{"a":"\u0041\/","n":[1.50,1E2,-0],"z":{},"b":null}`
		var p wire.SendParams
		if err := wire.JSON.Decode([]byte(`{"content":`+object+`,"ext":`+object+`}`), &p); err != nil {
			t.Fatal(err)
		}
		if string(p.Content) != object || string(p.Ext) != object {
			t.Errorf("content is %s, ext is %s", p.Content, p.Ext)
		}
	})

	t.Run("what is decoded does not alias the frame", func(t *testing.T) {
		for _, c := range codecs {
			frame := must(t)(c.AppendRequest(nil, wire.TextID("id"), "message.send", full(wire.SendParams{})))
			requests, _, _ := c.Parse(frame, wire.ScanLimits{})
			var p wire.SendParams
			if err := c.Decode(requests[0].Params, &p); err != nil {
				t.Fatal(err)
			}
			for i := range frame {
				frame[i] = 0
			}
			if !reflect.DeepEqual(&p, full(wire.SendParams{})) || requests[0].Method != "message.send" || requests[0].ID != wire.TextID("id") {
				t.Errorf("%s: it became %+v", c.Name(), p)
			}
		}
	})

	t.Run("a target of the wrong kind is an error, not a panic", func(t *testing.T) {
		for _, c := range codecs {
			params := must(t)(c.AppendRequest(nil, wire.ID{}, "x", nil))
			for _, v := range []any{nil, wire.Empty{}, (*wire.Empty)(nil), new(any), new(chan int), new([]byte), new(map[int]string)} {
				if err := c.Decode(params, v); err == nil {
					t.Errorf("%s decoded into %T", c.Name(), v)
				}
			}
		}
	})

	t.Run("bytes that nobody scanned do no harm", func(t *testing.T) {
		deep := map[wire.Codec]string{
			wire.JSON:    `{"content":{"a":` + strings.Repeat("[", 1<<20),
			wire.Msgpack: "\x81\xa7content\x81\xa1a" + strings.Repeat("\x91", 1<<20),
		}
		for c, params := range deep {
			var p wire.SendParams
			_ = c.Decode([]byte(params), &p)
			_ = c.Decode([]byte(params), &wire.Empty{})
		}
		m := wire.Message{Content: wire.Object(strings.Repeat("[", 1<<20)), Ext: wire.Object(`{"a":`)}
		for _, c := range codecs {
			c.AppendMessageEvent(nil, &m)
		}
	})
}

func TestServerFrames(t *testing.T) { // [P4]
	for _, c := range codecs {
		t.Run(c.Name(), func(t *testing.T) {
			page := &wire.SyncResult{}
			for range 100 {
				page.Conversations = append(page.Conversations, *full(wire.Conversation{}).(*wire.Conversation))
			}
			frame := c.AppendArray(nil,
				must(t)(c.AppendResult(nil, wire.NumberID(1), page)),
				c.AppendError(nil, wire.TextID("b"), &wire.Error{Code: 404, Message: "no", Data: &wire.ErrorData{Reason: "not_found", Field: "to"}}),
				c.AppendError(nil, wire.ID{}, &wire.Error{Code: wire.CodeParse, Message: "malformed"}),
				must(t)(c.AppendEvent(nil, wire.EventSkip, wire.SkipEvent{Conversation: "c", Rev: 5})),
				must(t)(c.AppendResult(nil, wire.NumberID(2), nil)),
			)
			in, err := c.ParseServer(frame)
			if err != nil || len(in) != 5 {
				t.Fatal(len(in), err)
			}
			var got wire.SyncResult
			if err := c.Decode(in[0].Result, &got); err != nil || in[0].ID != wire.NumberID(1) || !reflect.DeepEqual(&got, page) {
				t.Errorf("the page of the largest rows came as %+v, %v", in[0].ID, err)
			}
			if e := in[1].Error; in[1].ID != wire.TextID("b") || e == nil || e.Code != 404 || e.Data.Field != "to" {
				t.Errorf("the error came as %+v", in[1])
			}
			if in[2].ID != wire.NullID() || in[2].Error == nil {
				t.Errorf("the error without id came as %+v", in[2])
			}
			var skip wire.SkipEvent
			if err := c.Decode(in[3].Params, &skip); err != nil || in[3].Method != wire.EventSkip || !in[3].ID.IsNone() || skip.Rev != 5 {
				t.Errorf("the event came as %+v", in[3])
			}
			if in[4].Result == nil || in[4].Error != nil {
				t.Errorf("the empty result came as %+v", in[4])
			}
			for _, bad := range []string{``, `5`, `{}`, `{"jsonrpc":"2.0","id":1}`, `[{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}]`, `{"id":[],"result":1}`, `{"id":1,"error":{"code":"x"}}`} {
				if in, err := wire.JSON.ParseServer([]byte(bad)); err == nil {
					t.Errorf("%s came as %+v", bad, in)
				}
			}
		})
	}
}
