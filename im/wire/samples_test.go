package wire_test

import (
	"reflect"

	"example.com/h5im/im/wire"
)

// methods are the operations and what they carry, in the order of PROTOCOL.md.
var methods = []struct {
	name           string
	params, result any
}{
	{"session.open", wire.OpenParams{}, wire.OpenResult{}},
	{"session.close", wire.Empty{}, wire.Empty{}},
	{"session.list", wire.Empty{}, wire.SessionsResult{}},
	{"session.revoke", wire.RevokeParams{}, wire.RevokeResult{}},
	{"ping", wire.Empty{}, wire.PingResult{}},
	{"user.get", wire.UsersParams{}, wire.UsersResult{}},
	{"message.send", wire.SendParams{To: wire.Target{User: "bob"}}, wire.SendResult{}},
	{"message.list", wire.ListParams{}, wire.ListResult{}},
	{"message.changes", wire.ChangesParams{}, wire.ChangesResult{}},
	{"sync", wire.SyncParams{}, wire.SyncResult{}},
	{"conversation.create", wire.CreateParams{}, wire.Conversation{}},
	{"conversation.get", wire.ConversationParams{}, wire.Conversation{}},
	{"conversation.own", wire.OwnParams{}, wire.OwnResult{}},
	{"conversation.markers", wire.MarkersParams{}, wire.MarkersResult{}},
	{"conversation.mark", wire.MarkParams{}, wire.MarkResult{}},
	{"member.add", wire.MemberParams{}, wire.MemberResults{}},
	{"member.remove", wire.MemberParams{}, wire.MemberResults{}},
	{"member.list", wire.MemberListParams{}, wire.MemberListResult{}},
}

var events = []struct {
	name   string
	params any
}{
	{wire.EventMessage, wire.Message{}},
	{wire.EventMember, wire.MemberEvent{}},
	{wire.EventConversation, wire.Conversation{}},
	{wire.EventSelf, wire.OwnResult{}},
	{wire.EventReceipt, wire.ReceiptEvent{}},
	{wire.EventSkip, wire.SkipEvent{}},
	{wire.EventGap, wire.GapEvent{}},
	{wire.EventReauth, wire.ReauthEvent{}},
	{wire.EventGoaway, wire.GoawayEvent{}},
	{wire.EventKicked, wire.KickedEvent{}},
	{wire.EventClose, wire.CloseEvent{}},
}

// full returns a pointer to a copy of v with every field set.
func full(v any) any {
	p := reflect.New(reflect.TypeOf(v))
	(&filler{}).fill(p.Elem(), "value", 0)
	return p.Interface()
}

// minimal returns a pointer to a copy of v.
func minimal(v any) any {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Interface()
}

// filler gives every number in a value another value, at every width that
// msgpack has.
type filler struct{ n int64 }

func (f *filler) number() int64 {
	f.n = f.n*7 + 3
	return f.n % (1 << 53)
}

var texts = map[string]string{
	"conversation": "g_7Qx2mV", "user": "bob", "from": "alice", "type": "text", "kind": "group", "role": "member",
	"clientId": "0198c0de-7f3a-7c11-9b53-2f1d0a3c5e77", "title": "Lunch \u4e00\u8d77\u5403\u996d", "appId": "demo",
}

func (f *filler) fill(v reflect.Value, name string, depth int) {
	switch p := v.Addr().Interface().(type) {
	case *wire.Object:
		*p = wire.Object(`{"text":"see you at eight","n":[1,-2.5,null,true]}`)
		return
	case *wire.Content:
		*p = wire.Content(`{"text":"see you at eight"}`)
		return
	case *wire.Target:
		*p = wire.Target{Conversation: texts["conversation"]}
		return
	case *wire.Mentions:
		*p = wire.Mentions{Users: []string{"bob", "carol"}}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(f.number() % (1 << 31)) // the same where an int has 32 bits
	case reflect.Int64:
		v.SetInt(f.number())
	case reflect.String:
		if v.SetString(texts[name]); v.Len() == 0 {
			v.SetString("some " + name)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), name, depth)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), name, depth)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			sf := v.Type().Field(i)
			f.fill(v.Field(i), jsonName(sf), depth+1)
		}
	}
}

func jsonName(sf reflect.StructField) string {
	tag := sf.Tag.Get("json")
	for i, c := range tag {
		if c == ',' {
			return tag[:i]
		}
	}
	return tag
}
