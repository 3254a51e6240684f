package wire

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
)

// encode appends v; nil is an empty object.
func encode(n notation, dst []byte, v any) ([]byte, error) {
	if v == nil {
		return n.endObject(n.object(dst, 0)), nil
	}
	from := reflect.ValueOf(v)
	p, err := planOf(from.Type())
	if err != nil {
		return dst, err
	}
	return p.encode(n, dst, from)
}

// The plans of the kinds of Go types. Each also has a decode.
type (
	boolPlan    struct{}
	intPlan     struct{}
	uintPlan    struct{}
	floatPlan   struct{}
	textPlan    struct{}
	pointerPlan struct{ elem plan }
	slicePlan   struct{ elem plan }
	arrayPlan   struct{ elem plan }
	mapPlan     struct{ elem plan }
)

func (boolPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	return n.boolean(dst, v.Bool()), nil
}

func (boolPlan) empty(v reflect.Value) bool { return !v.Bool() }

func (intPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	return n.integer(dst, v.Int()), nil
}

func (intPlan) empty(v reflect.Value) bool { return v.Int() == 0 }

var errNumber = errors.New("wire: the number has no form on the wire")

func (uintPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	if v.Uint() > math.MaxInt64 {
		return dst, errNumber
	}
	return n.integer(dst, int64(v.Uint())), nil
}

func (uintPlan) empty(v reflect.Value) bool { return v.Uint() == 0 }

func (floatPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, errNumber
	}
	return n.float(dst, v.Float()), nil
}

func (floatPlan) empty(v reflect.Value) bool { return v.Float() == 0 }

func (textPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	return n.text(dst, v.String()), nil
}

func (textPlan) empty(v reflect.Value) bool { return v.Len() == 0 }

func (p *structPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	dst = n.object(dst, p.count(v))
	for i := range p.fields {
		f := &p.fields[i]
		value := f.of(v)
		if f.absent(value) {
			continue
		}
		var err error
		if dst, err = f.plan.encode(n, n.key(dst, f.name), value); err != nil {
			return dst, err
		}
	}
	return n.endObject(dst), nil
}

// count is how many fields of v are written.
func (p *structPlan) count(v reflect.Value) int {
	count := len(p.fields)
	if p.optional {
		for i := range p.fields {
			if f := &p.fields[i]; f.absent(f.of(v)) {
				count--
			}
		}
	}
	return count
}

func (*structPlan) empty(reflect.Value) bool { return false }

func (p *pointerPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	if v.IsNil() {
		return n.null(dst), nil
	}
	return p.elem.encode(n, dst, v.Elem())
}

func (*pointerPlan) empty(v reflect.Value) bool { return v.IsNil() }

func (p *slicePlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	return encodeList(p.elem, n, dst, v)
}

func (*slicePlan) empty(v reflect.Value) bool { return v.Len() == 0 }

func (p *arrayPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	return encodeList(p.elem, n, dst, v)
}

func (*arrayPlan) empty(v reflect.Value) bool { return v.Len() == 0 }

func encodeList(elem plan, n notation, dst []byte, v reflect.Value) ([]byte, error) {
	dst = n.array(dst, v.Len())
	for i := range v.Len() {
		var err error
		if dst, err = elem.encode(n, n.item(dst), v.Index(i)); err != nil {
			return dst, err
		}
	}
	return n.endArray(dst), nil
}

// encode writes the members in the order of their keys.
func (p *mapPlan) encode(n notation, dst []byte, v reflect.Value) ([]byte, error) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	dst = n.object(dst, len(keys))
	for _, key := range keys {
		var err error
		if dst, err = p.elem.encode(n, n.anyKey(dst, key.String()), v.MapIndex(key)); err != nil {
			return dst, err
		}
	}
	return n.endObject(dst), nil
}

func (*mapPlan) empty(v reflect.Value) bool { return v.Len() == 0 }
