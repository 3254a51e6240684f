package wire

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// plan says how values of one Go type stand on the wire, in either notation.
type plan interface {
	// decode sets v, which is settable, to the reader's next value. That is not
	// null, except in lists.
	decode(r reader, v reflect.Value) *Error
	// encode appends v, and fails only for a number that is not finite.
	encode(n notation, dst []byte, v reflect.Value) ([]byte, error)
	// empty tells whether omitempty leaves v out.
	empty(v reflect.Value) bool
}

// CheckType returns an error unless values of t can be on the wire: booleans,
// numbers, strings, the types of this package, and structs, pointers, slices,
// arrays and string-keyed maps of such. Names come from json tags, with
// omitempty, omitzero and "-" as in encoding/json. Embedded structs are as if
// written out. Nil slices and maps are encoded as empty. A type that marshals
// itself, such as time.Time, is refused: only JSON would have its form.
func CheckType(t reflect.Type) error {
	_, err := planOf(t)
	return err
}

var plans sync.Map // of reflect.Type to plan

func planOf(t reflect.Type) (plan, error) {
	if p, ok := plans.Load(t); ok {
		return p.(plan), nil
	}
	b := planner{}
	p, err := b.plan(t)
	if err != nil {
		return nil, err
	}
	b[t] = p
	for t, p := range b {
		plans.Store(t, p)
	}
	return p, nil
}

// planner holds the plans that are being made, so that a type may contain itself.
type planner map[reflect.Type]plan

var (
	marshalsJSON = reflect.TypeFor[json.Marshaler]()
	marshalsText = reflect.TypeFor[encoding.TextMarshaler]()
)

// marshalsItself tells that encoding/json would not look into a t.
func marshalsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t) // has the methods of t too
	return t.Kind() != reflect.Pointer && (p.Implements(marshalsJSON) || p.Implements(marshalsText))
}

var ownTypes = map[reflect.Type]plan{
	reflect.TypeFor[Object]():   objectPlan{},
	reflect.TypeFor[Content]():  contentPlan{},
	reflect.TypeFor[Target]():   targetPlan{},
	reflect.TypeFor[Mentions](): mentionsPlan{},
}

func (b planner) plan(t reflect.Type) (plan, error) {
	if p, ok := ownTypes[t]; ok {
		return p, nil
	}
	if p, ok := b[t]; ok {
		return p, nil
	}
	if marshalsItself(t) {
		return nil, fmt.Errorf("wire: %v has a form of its own in JSON alone", t)
	}
	switch t.Kind() {
	case reflect.Bool:
		return boolPlan{}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return intPlan{}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return uintPlan{}, nil
	case reflect.Float32, reflect.Float64:
		return floatPlan{}, nil
	case reflect.String:
		return textPlan{}, nil
	case reflect.Struct:
		return b.structure(t)
	case reflect.Pointer:
		p := &pointerPlan{}
		return p, b.element(&p.elem, t, p)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return nil, fmt.Errorf("wire: %v: bytes have no form on the wire, use Object or text", t)
		}
		if t.Kind() == reflect.Array {
			p := &arrayPlan{}
			return p, b.element(&p.elem, t, p)
		}
		p := &slicePlan{}
		return p, b.element(&p.elem, t, p)
	case reflect.Map:
		if t.Key().Kind() == reflect.String && !marshalsItself(t.Key()) {
			p := &mapPlan{}
			return p, b.element(&p.elem, t, p)
		}
	}
	return nil, fmt.Errorf("wire: %v has no form on the wire", t)
}

// element fills in the plan of t's elements. They may contain a t again.
func (b planner) element(elem *plan, t reflect.Type, p plan) (err error) {
	b[t] = p
	*elem, err = b.plan(t.Elem())
	return err
}

type structPlan struct {
	fields []field
	byName map[string]*field
	// optional tells that fields can be absent, so that they must be counted.
	optional bool
}

type field struct {
	name      string
	index     []int
	plan      plan
	omitEmpty bool
	omitZero  bool
}

func (b planner) structure(t reflect.Type) (plan, error) {
	p := &structPlan{byName: map[string]*field{}}
	b[t] = p
	if err := b.collect(p, t, nil); err != nil {
		return nil, err
	}
	for i := range p.fields {
		f := &p.fields[i]
		if p.byName[f.name] != nil {
			return nil, fmt.Errorf("wire: %v has two fields %q", t, f.name)
		}
		p.byName[f.name] = f
		p.optional = p.optional || f.omitEmpty || f.omitZero
	}
	return p, nil
}

func (b planner) collect(p *structPlan, t reflect.Type, index []int) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		at := append(index[:len(index):len(index)], i)
		switch {
		case sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct:
			if err := b.collect(p, sf.Type, at); err != nil {
				return err
			}
			continue
		case sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Pointer:
			return fmt.Errorf("wire: %v embeds a pointer, embed the struct or name the field", t)
		case !sf.IsExported() || name == "-" && options == "":
			continue
		case string(appendJSONText(nil, name)) != `"`+name+`"`:
			return fmt.Errorf("wire: the name %q needs escapes (field %s of %v)", name, sf.Name, t)
		case name == "":
			name = sf.Name
		}
		fp, err := b.plan(sf.Type)
		if err != nil {
			return fmt.Errorf("%w (field %s of %v)", err, sf.Name, t)
		}
		f := field{name: name, index: at, plan: fp}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "":
			case "omitempty":
				f.omitEmpty = true
			case "omitzero":
				f.omitZero = true
			default:
				return fmt.Errorf("wire: the tag option %q has no meaning here (field %s of %v)", option, sf.Name, t)
			}
		}
		p.fields = append(p.fields, f)
	}
	return nil
}

func (f *field) of(v reflect.Value) reflect.Value {
	if len(f.index) == 1 {
		return v.Field(f.index[0])
	}
	return v.FieldByIndex(f.index)
}

func (f *field) absent(v reflect.Value) bool {
	return f.omitEmpty && f.plan.empty(v) || f.omitZero && isZero(v)
}

func isZero(v reflect.Value) bool {
	of := v
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return true // whatever a method would say of it
		}
	} else if v.CanAddr() {
		of = v.Addr() // which costs no allocation
	}
	if z, ok := of.Interface().(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	return v.IsZero()
}
