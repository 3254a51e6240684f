package wire

import (
	"errors"
	"fmt"
	"reflect"
)

func (c *codec) Decode(params []byte, v any) error {
	if params == nil {
		return nil
	}
	return named(decode(c.n.reader(params), v), "params")
}

// named completes the message of an *Error, where err is one.
func named(err error, subject string) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e.about(subject)
	}
	return err
}

// decode sets what v points to. An error is an *Error unless v is of a type
// that cannot be on the wire.
func decode(r reader, v any) error {
	to := reflect.ValueOf(v)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return fmt.Errorf("wire: cannot decode into a %T", v)
	}
	p, err := planOf(to.Type().Elem())
	if err != nil {
		return err
	}
	if err := p.decode(r, to.Elem()); err != nil {
		return err
	}
	return nil
}

// wrong is the error for a value that is not what it must be.
func wrong(want string) *Error { return forbidden("must be " + want) }

func (boolPlan) decode(r reader, v reflect.Value) *Error {
	if r.peek() != boolKind {
		return wrong("true or false")
	}
	v.SetBool(r.boolean())
	return nil
}

func (intPlan) decode(r reader, v reflect.Value) *Error {
	i, err := readInteger(r)
	if err != nil {
		return err
	}
	if v.OverflowInt(i) {
		return wrong(fmt.Sprintf("within %d bits", v.Type().Bits()))
	}
	v.SetInt(i)
	return nil
}

func (uintPlan) decode(r reader, v reflect.Value) *Error {
	i, err := readInteger(r)
	if err != nil {
		return err
	}
	if i < 0 || v.OverflowUint(uint64(i)) {
		return wrong(fmt.Sprintf("0 or more, within %d bits", v.Type().Bits()))
	}
	v.SetUint(uint64(i))
	return nil
}

// readInteger takes 3.0 for 3, since some languages know no other numbers.
func readInteger(r reader) (int64, *Error) {
	if r.peek() != numberKind {
		return 0, wrong("a whole number")
	}
	n := r.number()
	if !n.safe() {
		return 0, wrong("a whole number within 2^53")
	}
	return n.integer, nil
}

func (floatPlan) decode(r reader, v reflect.Value) *Error {
	if r.peek() != numberKind {
		return wrong("a number")
	}
	f := r.number().float
	if v.OverflowFloat(f) {
		return wrong(fmt.Sprintf("within %d bits", v.Type().Bits()))
	}
	v.SetFloat(f)
	return nil
}

func (textPlan) decode(r reader, v reflect.Value) *Error {
	if r.peek() != textKind {
		return wrong("a string")
	}
	v.SetString(r.text())
	return nil
}

func (p *structPlan) decode(r reader, v reflect.Value) *Error {
	if r.peek() != objectKind {
		return wrong("an object")
	}
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		f := p.byName[string(r.key())]
		if f == nil || r.peek() == nullKind {
			r.skip()
			continue
		}
		if err := f.plan.decode(r, f.of(v)); err != nil {
			return err.in(f.name)
		}
	}
	return nil
}

func (p *pointerPlan) decode(r reader, v reflect.Value) *Error {
	if r.peek() == nullKind {
		r.skip()
		v.SetZero()
		return nil
	}
	if v.IsNil() {
		v.Set(reflect.New(v.Type().Elem()))
	}
	return p.elem.decode(r, v.Elem())
}

func (p *slicePlan) decode(r reader, v reflect.Value) *Error {
	if r.peek() != arrayKind {
		return wrong("a list")
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		i := v.Len()
		if i == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(i + 1)
		v.Index(i).SetZero()
		if err := p.elem.decode(r, v.Index(i)); err != nil {
			return err.at(i)
		}
	}
	return nil
}

func (p *arrayPlan) decode(r reader, v reflect.Value) *Error {
	want := fmt.Sprintf("a list of %d", v.Len())
	if r.peek() != arrayKind {
		return wrong(want)
	}
	i := 0
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		if i == v.Len() {
			return wrong(want)
		}
		if err := p.elem.decode(r, v.Index(i)); err != nil {
			return err.at(i)
		}
		i++
	}
	if i != v.Len() {
		return wrong(want)
	}
	return nil
}

func (p *mapPlan) decode(r reader, v reflect.Value) *Error {
	if r.peek() != objectKind {
		return wrong("an object")
	}
	v.Set(reflect.MakeMap(v.Type()))
	for c, ok := r.next(r.enter()); ok; c, ok = r.next(c) {
		name := string(r.key())
		if r.peek() == nullKind {
			r.skip()
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		if err := p.elem.decode(r, elem); err != nil {
			return err.in(name)
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), elem)
	}
	return nil
}
