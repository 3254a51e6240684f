package wire_test

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"example.com/h5im/im/wire"
)

// tree, forest and chain contain themselves without a struct between.
type (
	tree   map[string]tree
	forest []forest
	chain  *chain
)

func TestTypesThatContainThemselves(t *testing.T) {
	type all struct {
		Tree   tree   `json:"tree"`
		Forest forest `json:"forest"`
		Chain  chain  `json:"chain,omitempty"`
	}
	if err := wire.CheckType(reflect.TypeFor[all]()); err != nil {
		t.Fatal(err)
	}
	v := all{Tree: tree{"a": {"b": {}}, "c": {}}, Forest: forest{{}, {{}, {}}}}
	for _, c := range codecs {
		b := must(t)(c.AppendResult(nil, wire.NumberID(1), v))
		in, err := c.ParseServer(b)
		if err != nil {
			t.Fatal(err)
		}
		var got all
		if err := c.Decode(in[0].Result, &got); err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%s: %q came back as %+v, %v", c.Name(), b, got, err)
		}
	}
}

// Base is embedded by a pointer.
type Base struct {
	A int `json:"a"`
}

func TestTypesThatAreRefused(t *testing.T) {
	for _, v := range []any{
		struct{ *Base }{},
		struct{ T time.Time }{}, struct{ T *time.Time }{}, struct{ T []time.Time }{}, struct{ T map[string]time.Time }{}, struct{ time.Time }{},
		struct{ ID wire.ID }{}, struct {
			N int64 `json:"n,string"`
		}{},
	} {
		if err := wire.CheckType(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T passes", v)
		}
	}
	for _, name := range []string{`a\\b`, `a\"b`, `a\n`} {
		tagged := reflect.StructField{Name: "A", Type: reflect.TypeFor[int](), Tag: reflect.StructTag(`json:"` + name + `"`)}
		if err := wire.CheckType(reflect.StructOf([]reflect.StructField{tagged})); err == nil {
			t.Errorf("the name %s passes", name)
		}
	}
	for _, v := range []any{struct{ D time.Duration }{}, struct{ T wire.Target }{}, struct{ T *wire.Mentions }{}} {
		if err := wire.CheckType(reflect.TypeOf(v)); err != nil {
			t.Error(err)
		}
	}
}

func TestOmitzeroOfAPointer(t *testing.T) {
	type v struct {
		M *wire.Mentions `json:"m,omitzero"`
		N *int           `json:"n,omitzero"`
	}
	n := 0
	for want, v := range map[string]v{`{}`: {}, `{"n":0}`: {M: &wire.Mentions{}, N: &n}, `{"m":"all"}`: {M: &wire.Mentions{All: true}}} {
		for _, v := range []any{v, &v} {
			if got := must(t)(wire.JSON.AppendEvent(nil, "x", v)); !bytes.HasSuffix(got, []byte(`"params":`+want+`}`)) {
				t.Errorf("%T: %s, want %s", v, got, want)
			}
		}
	}
}

func TestNumbersFitTheirField(t *testing.T) {
	for _, c := range codecs {
		for _, number := range []string{"1e39", "-3.5e38"} {
			var v struct {
				F float32 `json:"f"`
			}
			params := []byte(`{"f":` + number + `}`)
			if c == wire.Msgpack {
				params = must(t)(wire.Transcode(nil, params))
			}
			if err := c.Decode(params, &v); err == nil || asError(t, err).Data.Field != "f" || !strings.HasPrefix(err.Error(), "f must be") {
				t.Errorf("%s: %s became %v, %v", c.Name(), number, v, err)
			}
		}
	}
}

func TestGreatFloatsComeBack(t *testing.T) {
	type result struct {
		F []float64 `json:"f"`
	}
	v := result{[]float64{1<<53 - 1, 1 << 53, 1 << 60, -(1 << 63), 1 << 64, -1e20, 999999999999999900000, 1e21, math.MaxFloat64}}
	for _, c := range codecs {
		b := must(t)(c.AppendResult(nil, wire.NumberID(1), v))
		in, err := c.ParseServer(b)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		var got result
		if err := c.Decode(in[0].Result, &got); err != nil || !reflect.DeepEqual(got, v) {
			t.Errorf("%s: %q came back as %v, %v", c.Name(), b, got, err)
		}
	}
	if got := must(t)(wire.Canonical(v)); string(got) != `{"f":[9007199254740991,9007199254740992,1152921504606847000,-9223372036854776000,18446744073709552000,-100000000000000000000,999999999999999900000,1e+21,1.7976931348623157e+308]}` {
		t.Errorf("canonical is %s", got)
	}
}

func TestNullInAMapIsAsIfAbsent(t *testing.T) { // [P5]
	for _, c := range codecs {
		params := []byte(`{"m":{"a":"x","b":null}}`)
		if c == wire.Msgpack {
			params = must(t)(wire.Transcode(nil, params))
		}
		var v struct {
			M map[string]string `json:"m"`
		}
		if err := c.Decode(params, &v); err != nil || !reflect.DeepEqual(v.M, map[string]string{"a": "x"}) {
			t.Errorf("%s: %v, %v", c.Name(), v, err)
		}
	}
}
