package wire_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/h5im/im/wire"
)

// A shape in PROTOCOL.md is `{name, name?, name: [{name}]}`; it must be that of
// the Go type.

// written is the shape of t as PROTOCOL.md writes it.
func written(t reflect.Type) map[string]string {
	fields := map[string]string{}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if strings.HasPrefix(options, "omit") {
			name += "?"
		}
		fields[name] = sf.Name
	}
	return fields
}

func structOf(t reflect.Type) (_ reflect.Type, list bool) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		list = list || t.Kind() == reflect.Slice
		t = t.Elem()
	}
	return t, list
}

// compareShape checks a shape without its outermost braces.
func compareShape(shape string, t reflect.Type) error {
	want := written(t)
	for shape = strings.TrimSpace(shape); shape != ""; {
		end := strings.IndexAny(shape, ",:")
		if end < 0 {
			end = len(shape)
		}
		name := strings.TrimSpace(shape[:end])
		field, ok := want[name]
		if !ok {
			return fmt.Errorf("%v has no field %q", t, name)
		}
		delete(want, name)
		if end < len(shape) && shape[end] == ':' {
			inner, rest, list := cutShape(shape[end+1:])
			sf, _ := t.FieldByName(field)
			elem, isList := structOf(sf.Type)
			if list != isList {
				return fmt.Errorf("%v.%s is a list: %v", t, field, isList)
			}
			if err := compareShape(inner, elem); err != nil {
				return err
			}
			shape, end = rest, 0
		}
		shape = strings.TrimLeft(strings.TrimPrefix(shape[end:], ","), " ")
	}
	if len(want) > 0 {
		return fmt.Errorf("the fields %v of %v are missing", want, t)
	}
	return nil
}

// cutShape cuts `{...}` or `[{...}]` off the start of s.
func cutShape(s string) (inner, rest string, list bool) {
	s = strings.TrimSpace(s)
	s, list = strings.CutPrefix(s, "[")
	depth := 0
	for i, c := range s {
		switch c {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return s[1:i], strings.TrimPrefix(s[i+1:], "]"), list
			}
		}
	}
	return "", "", list
}

var calls = regexp.MustCompile("\n### ([a-z.]+)\n\n`(\\{[^`]*\\})` → (?:`(\\{[^`]*\\})`|([^\n]*?))\\. Who: ")

func TestShapesOfOperations(t *testing.T) { // [P49]
	sections := calls.FindAllStringSubmatch(protocol(t), -1)
	if len(sections) != len(methods) {
		t.Errorf("there are %d sections with a shape, want %d", len(sections), len(methods))
	}
	for _, s := range sections {
		i := slices.IndexFunc(methods, func(m struct {
			name           string
			params, result any
		}) bool {
			return m.name == s[1]
		})
		if i < 0 {
			t.Fatalf("%s is no operation", s[1])
		}
		m := methods[i]
		params, _, _ := cutShape(s[2])
		if err := compareShape(params, reflect.TypeOf(m.params)); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		result, _, _ := cutShape(s[3])
		switch s[4] {
		case "":
			if err := compareShape(result, reflect.TypeOf(m.result)); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		case "the conversation":
			if reflect.TypeOf(m.result) != reflect.TypeFor[wire.Conversation]() {
				t.Errorf("%s: the result is a %T", m.name, m.result)
			}
		case "as `member.add`":
			if reflect.TypeOf(m.result) != reflect.TypeFor[wire.MemberResults]() {
				t.Errorf("%s: the result is a %T", m.name, m.result)
			}
		default:
			t.Errorf("%s: what is %q?", m.name, s[4])
		}
	}
}

func TestShapesOfEvents(t *testing.T) {
	for _, e := range events {
		row := regexp.MustCompile("\n\\| `" + e.name + "` \\| ([^|]*) \\|").FindStringSubmatch(protocol(t))
		if row == nil {
			t.Fatalf("there is no event %s", e.name)
		}
		want, named := map[string]any{
			"a whole message": wire.Message{}, "a conversation as its receiver sees it": wire.Conversation{},
			"as the result of `conversation.own`": wire.OwnResult{},
		}[row[1]]
		if named {
			if reflect.TypeOf(want) != reflect.TypeOf(e.params) {
				t.Errorf("%s has %T", e.name, e.params)
			}
			continue
		}
		shape, _, _ := cutShape(strings.Trim(row[1], "`"))
		if err := compareShape(shape, reflect.TypeOf(e.params)); err != nil {
			t.Errorf("%s: %v", e.name, err)
		}
	}
}

func TestShapesOfObjects(t *testing.T) { // [P36] [P80] [P88]
	for begin, of := range map[string]any{
		"[P36] An error is `": wire.Error{}, "[P80] A conversation is `": wire.Conversation{}, "[P88] A message is `": wire.Message{},
	} {
		_, text, ok := strings.Cut(protocol(t), begin)
		if !ok {
			t.Fatalf("there is no %s", begin)
		}
		shape, _, _ := cutShape(text)
		shape = strings.Replace(shape, "data: ", "data?: ", 1) // a server always has some
		if err := compareShape(shape, reflect.TypeOf(of)); err != nil {
			t.Errorf("%s: %v", begin, err)
		}
	}
}

func TestLimitsAreNamed(t *testing.T) { // [P41]
	_, text, _ := strings.Cut(protocol(t), "[P41] ")
	text, _, _ = strings.Cut(text, "\n")
	for name := range written(reflect.TypeFor[wire.Limits]()) {
		if !strings.Contains(text, "`"+name+"` ") {
			t.Errorf("%s is not named", name)
		}
	}
}

func TestTimesAreMilliseconds(t *testing.T) { // [P14]
	seen := 0
	for _, shape := range shapes {
		if shape == reflect.TypeFor[extension]() {
			continue
		}
		for i := range shape.NumField() {
			sf := shape.Field(i)
			name := jsonName(sf)
			if name == "at" || name == "time" || name == "serverTime" || strings.HasSuffix(name, "At") || strings.HasSuffix(name, "Until") || strings.HasSuffix(name, "Ms") {
				if seen++; sf.Type.Kind() != reflect.Int64 {
					t.Errorf("%v.%s is a %v", shape, sf.Name, sf.Type)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d times were found", seen)
	}
}
