package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"testing"

	"example.com/h5im/im/wire"
	"github.com/vmihailenco/msgpack/v5"
)

// The two notations of a frame must be one request: answered alike where they
// are refused, and with the same fingerprint where they are not. [P2] [P103]

// extension has the kinds of fields that the core's shapes have not.
type extension struct {
	Float   float64                `json:"float"`
	Single  float32                `json:"single"`
	Small   int8                   `json:"small"`
	Natural uint16                 `json:"natural"`
	On      *bool                  `json:"on,omitempty"`
	Names   map[string]string      `json:"names,omitempty"`
	Parts   map[string][]extension `json:"parts,omitempty"`
	Next    *extension             `json:"next,omitempty"`
	Object  wire.Object            `json:"object,omitempty"`
	Content wire.Content           `json:"content,omitempty"`
	To      *wire.Target           `json:"to,omitempty"`
}

// shapes are everything that a message can carry.
var shapes = func() (list []reflect.Type) {
	add := func(v any) {
		list = append(list, reflect.TypeOf(v))
	}
	add(extension{})
	for _, m := range methods {
		add(m.params)
		add(m.result)
	}
	for _, e := range events {
		add(e.params)
	}
	add(wire.Error{})
	return list
}()

func shapeOf(v any) uint8 {
	for i, t := range shapes {
		if t == reflect.TypeOf(v) {
			return uint8(i)
		}
	}
	return 0
}

// agree checks a frame in JSON and the same in msgpack; their carried values are
// read as one of the shapes.
func agree(t *testing.T, text, packed []byte, shape uint8) {
	t.Helper()
	a, aSingle, aErr := wire.JSON.Parse(text, wire.ScanLimits{})
	b, bSingle, bErr := wire.Msgpack.Parse(packed, wire.ScanLimits{})
	if !sameError(t, aErr, bErr) || len(a) != len(b) || aErr == nil && aSingle != bSingle {
		t.Fatalf("%s\n%x\n%+v %v %v\n%+v %v %v", text, packed, a, aSingle, aErr, b, bSingle, bErr)
	}
	for i := range a {
		if a[i].ID != b[i].ID || a[i].Method != b[i].Method || !sameError(t, asErr(a[i].Err), asErr(b[i].Err)) {
			t.Fatalf("%s\n%x\n%+v\n%+v", text, packed, a[i], b[i])
		}
		if a[i].Err == nil {
			agreeOn(t, a[i].Params, b[i].Params, shapes[int(shape)%len(shapes)])
		}
	}
}

// agreeOn decodes and encodes params.
func agreeOn(t *testing.T, text, packed []byte, shape reflect.Type) {
	t.Helper()
	a, b := reflect.New(shape).Interface(), reflect.New(shape).Interface()
	aErr, bErr := wire.JSON.Decode(text, a), wire.Msgpack.Decode(packed, b)
	if !sameError(t, aErr, bErr) {
		t.Fatalf("%v\n%s: %v\n%x: %v", shape, text, aErr, packed, bErr)
	}
	if aErr != nil {
		return
	}
	want := must(t)(wire.Canonical(a))
	if got := must(t)(wire.Canonical(b)); !bytes.Equal(got, want) {
		t.Fatalf("%v\n%s: %s\n%x: %s", shape, text, want, packed, got)
	}
	if p, ok := a.(*wire.SendParams); ok && p.To.IsZero() {
		return // the operation would refuse it, and it cannot be written
	}
	for _, v := range []any{a, b} {
		for _, c := range codecs {
			in, err := c.ParseServer(must(t)(c.AppendResult(nil, wire.NumberID(1), v)))
			if err != nil {
				t.Fatalf("%s: %v", c.Name(), err)
			}
			back := reflect.New(shape).Interface()
			if err := c.Decode(in[0].Result, back); err != nil {
				t.Fatalf("%s: %s: %v", c.Name(), want, err)
			}
			if got := must(t)(wire.Canonical(back)); !bytes.Equal(got, want) {
				t.Fatalf("%s: %s came back as %s", c.Name(), want, got)
			}
		}
	}
}

func asErr(e *wire.Error) error {
	if e == nil {
		return nil
	}
	return e
}

// sameError tells that a client would be told the same. Which of two limits is
// exceeded first may differ.
func sameError(t *testing.T, a, b error) bool {
	t.Helper()
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, y := asError(t, a), asError(t, b)
	return x.Data.Reason == y.Data.Reason && (x.Data.Reason == wire.ReasonTooLarge || reflect.DeepEqual(x, y))
}

// toJSON is the msgpack value that d reads, as JSON: by the library alone, and
// in the same order.
func toJSON(d *msgpack.Decoder, dst []byte) (_ []byte, err error) {
	code, err := d.PeekCode()
	if err != nil {
		return nil, err
	}
	switch {
	case code <= 0x7f, code >= 0xe0, code >= 0xd0 && code <= 0xd3:
		n, err := d.DecodeInt64()
		return strconv.AppendInt(dst, n, 10), err
	case code >= 0xcc && code <= 0xcf:
		n, err := d.DecodeUint64()
		return strconv.AppendUint(dst, n, 10), err
	case code == 0xca || code == 0xcb:
		f, err := d.DecodeFloat64()
		return strconv.AppendFloat(dst, f, 'e', -1, 64), err
	case code == 0xc0:
		return append(dst, "null"...), d.DecodeNil()
	case code == 0xc2 || code == 0xc3:
		on, err := d.DecodeBool()
		return strconv.AppendBool(dst, on), err
	case code <= 0x8f, code == 0xde, code == 0xdf:
		n, err := d.DecodeMapLen()
		dst = append(dst, '{')
		for i := 0; i < n && err == nil; i++ {
			if i > 0 {
				dst = append(dst, ',')
			}
			if dst, err = toJSON(d, dst); err == nil {
				dst, err = toJSON(d, append(dst, ':'))
			}
		}
		return append(dst, '}'), err
	case code <= 0x9f, code == 0xdc, code == 0xdd:
		n, err := d.DecodeArrayLen()
		dst = append(dst, '[')
		for i := 0; i < n && err == nil; i++ {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst, err = toJSON(d, dst)
		}
		return append(dst, ']'), err
	}
	s, err := d.DecodeString()
	if err != nil {
		return nil, err
	}
	quoted, err := json.Marshal(s)
	return append(dst, quoted...), err
}

func eachVector(f *testing.F, add func(v *vector, shape uint8)) {
	for _, file := range []string{"requests", "results", "events", "batches"} {
		var list []vector
		readGolden(f, "vectors/"+file+".json", &list)
		for i := range list {
			v := &list[i]
			for _, m := range methods {
				if m.name == v.Method && v.Kind == "request" {
					add(v, shapeOf(m.params))
				} else if m.name == v.Method {
					add(v, shapeOf(m.result))
				}
			}
			for _, e := range events {
				if e.name == v.Method {
					add(v, shapeOf(e.params))
				}
			}
			if v.Method == "" {
				add(v, 0)
			}
		}
	}
}

// extensions are params of an extension's method.
var extensions = []string{
	`{"float":-0.0,"single":0.1,"small":-128,"natural":65535,"on":false,"names":{"b":"","\u0061":"x"},"next":{"next":{}},"object":{"a":[1e2,-0,1.50]},"content":"x","to":"bob"}`,
	`{"float":18446744073709551615,"names":{"a":null},"on":null,"parts":{"x":[{},{"float":1e308}]}}`,
	`{"small":128}`, `{"natural":-1}`, `{"natural":1.5}`, `{"single":1e39}`, `{"parts":{"a":[null]}}`, `{"object":{"n":9007199254740992}}`, `{"object":{"n":9007199254740992.0}}`,
	`{"content":{"n":[1e15,1e16,1e21,1e-7,123456789012345680000.0,5e-324,-0.0]}}`, `{"to":{"user":"a","conversation":""}}`,
}

func request(params string) []byte {
	return []byte(`{"jsonrpc":"2.0","id":1.0,"method":"x.y","params":` + params + `}`)
}

func FuzzJSONIsMsgpack(f *testing.F) {
	eachVector(f, func(v *vector, shape uint8) { f.Add([]byte(v.JSON), shape) })
	for i := range inBoth {
		f.Add(inBoth[i].frame(f), shapeOf(wire.SendParams{}))
	}
	for _, params := range extensions {
		f.Add(request(params), uint8(0))
	}
	f.Fuzz(func(t *testing.T, text []byte, shape uint8) {
		packed, err := wire.Transcode(nil, text)
		if err == nil {
			agree(t, text, packed, shape)
		}
	})
}

func FuzzMsgpackIsJSON(f *testing.F) {
	eachVector(f, func(v *vector, shape uint8) {
		b, _ := hex.DecodeString(v.Msgpack)
		f.Add(b, shape)
	})
	for _, params := range extensions {
		b, err := wire.Transcode(nil, request(params))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(0))
	}
	f.Fuzz(func(t *testing.T, packed []byte, shape uint8) {
		if wire.ScanMsgpack(packed, wire.ScanLimits{}) != nil {
			return
		}
		d := msgpack.NewDecoder(bytes.NewReader(packed))
		text, err := toJSON(d, nil)
		if err != nil {
			t.Fatalf("%x: %v", packed, err)
		}
		agree(t, text, packed, shape)
	})
}

// sameMeaning tells that two decoded values are equal, numbers as floats.
func sameMeaning(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		m, ok := b.(map[string]any)
		for k, v := range a {
			w, there := m[k]
			ok = ok && there && sameMeaning(v, w)
		}
		return ok && len(a) == len(m)
	case []any:
		l, ok := b.([]any)
		ok = ok && len(a) == len(l)
		for i := 0; ok && i < len(a); i++ {
			ok = sameMeaning(a[i], l[i])
		}
		return ok
	case float64:
		v := reflect.ValueOf(b)
		switch {
		case v.CanInt():
			return a == float64(v.Int())
		case v.CanUint():
			return a == float64(v.Uint())
		}
		return v.CanFloat() && a == v.Float()
	}
	return a == b
}

// asLibraries reads an object's forms with the libraries, which must find the
// same in all of them.
func asLibraries(t *testing.T, object, compact, canonical, packed []byte) {
	t.Helper()
	var want any
	if err := json.Unmarshal(object, &want); err != nil {
		t.Fatalf("%q: %v", object, err)
	}
	for _, form := range [][]byte{compact, canonical} {
		var got any
		if err := json.Unmarshal(form, &got); err != nil || !sameMeaning(want, got) {
			t.Errorf("%q became %q, %v", object, form, err)
		}
	}
	var got any
	if err := msgpack.Unmarshal(packed, &got); err != nil || !sameMeaning(want, got) {
		t.Errorf("%q became %x, %v", object, packed, err)
	}
}

func FuzzCanonicalNumber(f *testing.F) { // [P103]
	for _, n := range []float64{0, 1e-6, 9.5e-7, 1e21, 999999999999999900000, 5e-324, math.MaxFloat64, 1<<53 - 1, 1 << 53, -333333333.3333333, 4.35, 1e23, 1e22} {
		f.Add(math.Float64bits(n))
	}
	f.Fuzz(func(t *testing.T, bits uint64) {
		n := math.Float64frombits(bits)
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return
		}
		// encoding/json writes numbers as ECMAScript does, but for -0.
		want := must(t)(json.Marshal(n + 0))
		object := wire.Object(`{"n":` + strconv.FormatFloat(n, 'e', -1, 64) + `}`)
		got := must(t)(wire.Canonical(struct{ O wire.Object }{object}))
		if n == 0 {
			want = []byte("0")
		}
		if string(got) != `{"O":{"n":`+string(want)+`}}` {
			t.Errorf("%s became %s, want %s", object, got, want)
		}
	})
}
