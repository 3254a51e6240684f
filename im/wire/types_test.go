package wire_test

import (
	"bytes"
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

func TestTypesThatMarshalThemselvesAreRefused(t *testing.T) {
	for _, v := range []any{
		struct{ T time.Time }{}, struct{ T *time.Time }{}, struct{ T []time.Time }{}, struct{ T map[string]time.Time }{}, struct{ time.Time }{},
		struct{ ID wire.ID }{}, struct {
			N int64 `json:"n,string"`
		}{},
	} {
		if err := wire.CheckType(reflect.TypeOf(v)); err == nil {
			t.Errorf("%T passes", v)
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
