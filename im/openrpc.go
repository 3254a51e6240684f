package im

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"example.com/h5im/im/wire"
	"example.com/h5im/transport"
)

// coreNotifications are the events of the core and the shapes of their params.
func coreNotifications() []notification {
	return []notification{
		{wire.EventMessage, reflect.TypeFor[wire.Message]()},
		{wire.EventMember, reflect.TypeFor[wire.MemberEvent]()},
		{wire.EventConversation, reflect.TypeFor[wire.Conversation]()},
		{wire.EventSelf, reflect.TypeFor[wire.OwnResult]()},
		{wire.EventReceipt, reflect.TypeFor[wire.ReceiptEvent]()},
		{wire.EventSkip, reflect.TypeFor[wire.SkipEvent]()},
		{wire.EventGap, reflect.TypeFor[wire.GapEvent]()},
		{wire.EventReauth, reflect.TypeFor[wire.ReauthEvent]()},
		{wire.EventGoaway, reflect.TypeFor[wire.GoawayEvent]()},
		{wire.EventKicked, reflect.TypeFor[wire.KickedEvent]()},
		{wire.EventClose, reflect.TypeFor[wire.CloseEvent]()},
	}
}

// object is a JSON object; encoding/json sorts its keys, so that the document is stable.
type object = map[string]any

// openRPC describes the operation table (https://spec.open-rpc.org, 1.3.2).
func (s *server) openRPC() object {
	schemas := schemaSet{}
	var methods, events []object
	for _, o := range s.methods {
		methods = append(methods, object{
			"name": o.name, "summary": o.doc, "paramStructure": "by-name",
			"params":       []object{{"name": "params", "required": true, "schema": schemas.ref(o.params)}},
			"result":       object{"name": "result", "schema": schemas.ref(o.result)},
			"x-caller":     needNames[o.need],
			"x-rate-class": rateNames[o.rate],
		})
	}
	for _, n := range append(coreNotifications(), s.notifications...) {
		events = append(events, object{"name": n.name, "schema": schemas.ref(n.params)})
	}
	var reasons []object
	for _, r := range wire.Reasons {
		reasons = append(reasons, object{"code": r.Code, "message": r.Reason, "data": r.Meaning})
	}
	return object{
		"openrpc":    "1.3.2",
		"info":       object{"title": "H5 IM", "version": "1", "description": "Operations and events of the wire protocol. PROTOCOL.md is the normative text."},
		"methods":    methods,
		"x-events":   events,
		"components": object{"schemas": schemas, "errors": reasons},
	}
}

func (s *server) serveOpenRPC(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		httpError(w, http.StatusMethodNotAllowed, "GET the document")
		return
	}
	if s.origins.Check(r) == transport.Allowed {
		w.Header().Add("Vary", "Origin")
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	}
	body, err := json.MarshalIndent(s.openRPC(), "", "  ")
	if err != nil {
		s.log.Error("openrpc", "err", err)
		httpError(w, http.StatusInternalServerError, "the document could not be made")
		return
	}
	w.Header().Set("Content-Type", mediaJSON)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(body, '\n'))
}

// schemaSet collects the JSON Schemas of structs by name.
type schemaSet map[string]any

func (set schemaSet) ref(t reflect.Type) object {
	if _, known := set[t.Name()]; !known {
		set[t.Name()] = nil // a struct may contain itself
		set[t.Name()] = set.structure(t)
	}
	return object{"$ref": "#/components/schemas/" + t.Name()}
}

func (set schemaSet) structure(t reflect.Type) object {
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || name == "" {
			continue
		}
		properties[name] = set.schema(f.Type)
		if options == "" {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required}
}

func (set schemaSet) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[wire.Object]():
		return object{"type": "object", "additionalProperties": true}
	case reflect.TypeFor[wire.Content]():
		return object{"oneOf": []object{{"type": "string"}, {"type": "object", "additionalProperties": true}}}
	case reflect.TypeFor[wire.Target]():
		set.ref(t)
		return object{"oneOf": []object{{"type": "string"}, {"$ref": "#/components/schemas/Target"}}}
	case reflect.TypeFor[wire.Mentions]():
		return object{"oneOf": []object{{"const": "all"}, {"type": "array", "items": object{"type": "string"}}}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return set.schema(t.Elem())
	case reflect.Struct:
		return set.ref(t)
	case reflect.Slice, reflect.Array:
		s := object{"type": "array", "items": set.schema(t.Elem())}
		if t.Kind() == reflect.Array {
			s["minItems"], s["maxItems"] = t.Len(), t.Len()
		}
		return s
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": set.schema(t.Elem())}
	}
	if t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32 {
		return object{"type": "number"}
	}
	return object{"type": "integer"}
}
