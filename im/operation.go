package im

import (
	"context"
	"reflect"

	"example.com/h5im/im/wire"
	"example.com/h5im/store"
)

// Op is one call of an operation on its way through policy and middleware.
type Op struct {
	Name     string
	Identity Identity // Host: the user that System acts as
	Host     bool     // called through System: no policy, no membership asked
	Session  string   // "" for POST /rpc and in-process calls
	Device   string
	// Conversation is the id that the params name or imply, "" if none. Whether
	// it exists and the user may see it has been checked for every operation
	// but message.send, whose transaction checks it.
	Conversation string
	// Params points to the operation's params struct, such as *SendParams.
	// Middleware may change it, a Policy must not.
	Params any

	head    store.Conversation // where the operation needs a member
	member  *store.Member
	session *session
	remote  bool // from outside this process
	// staged is called when an append has its place behind the session's
	// earlier ones, so that the next may go; nil if nobody waits.
	staged func()
	// fingerprint is that of the request as it came, before middleware.
	fingerprint store.Fingerprint
}

// Handler runs an operation and returns a pointer to its result struct.
type Handler func(ctx context.Context, op *Op) (any, error)

// Middleware wraps every operation, as in net/http. The first of a list is the
// outermost. It sees calls that passed the policy, may change op.Params before
// next and the result after it, and may answer instead of next. A repetition of
// a call with the same clientId is answered before it.
type Middleware func(next Handler) Handler

// need is what an operation asks of its caller.
type need uint8

const (
	needNothing need = iota // before session.open
	needSession             // an open session, not POST /rpc
	needUser                // an authenticated user
	needSender              // like needUser: the append's transaction asks for membership
	needMember              // an active member row of op.Conversation
	needOwner               // one whose role is owner
)

var needNames = [...]string{"anyone", "a session", "a user", "a member, checked in the transaction", "a member", "an owner"}

// rate is the class by which an operation is counted; see Rates.
type rate uint8

const (
	rateFree  rate = iota // keeps the connection alive
	rateRead              // reads a page at most
	rateWrite             // writes a row or a few
	rateHeavy             // walks or writes many rows
)

var rateNames = [...]string{"free", "read", "write", "heavy"}

// Operation is one request method. The server's own are in table.go; an
// Extension makes more with NewOperation.
type Operation struct {
	name string
	need need
	rate rate
	doc  string

	params, result reflect.Type // struct types
	newParams      func() any
	handle         func(s *server, ctx context.Context, op *Op) (any, error)
	// conversation tells which conversation params name; nil if none can. target
	// is the field that does.
	conversation func(user string, params any) string
	target       string
	// replay answers a repetition; found is false if it is none.
	replay func(s *server, ctx context.Context, op *Op) (result any, found bool, err error)
}

// define makes an Operation of a handler with typed params and result.
func define[P, R any](name string, n need, r rate, handle func(s *server, ctx context.Context, op *Op, p *P) (*R, error), doc string) Operation {
	conversation, target := conversationOf(reflect.TypeFor[P]())
	return Operation{
		name: name, need: n, rate: r, doc: doc,
		params: reflect.TypeFor[P](), result: reflect.TypeFor[R](),
		newParams: func() any { return new(P) },
		handle: func(s *server, ctx context.Context, op *Op) (any, error) {
			r, err := handle(s, ctx, op, op.Params.(*P))
			if err != nil {
				return nil, err
			}
			return r, nil
		},
		conversation: conversation, target: target,
	}
}

// conversationOf finds how params name a conversation: by a target, or by a
// field of that name.
func conversationOf(t reflect.Type) (of func(user string, params any) string, field string) {
	if t == reflect.TypeFor[wire.SendParams]() {
		return func(user string, params any) string {
			return targetConversation(user, params.(*wire.SendParams).To)
		}, "to"
	}
	f, ok := t.FieldByName("Conversation")
	if !ok || f.Type.Kind() != reflect.String {
		return nil, ""
	}
	return func(_ string, params any) string {
		return reflect.ValueOf(params).Elem().FieldByIndex(f.Index).String()
	}, "conversation"
}

// targetConversation is the id of the conversation that a target means to user.
func targetConversation(user string, to wire.Target) string {
	if to.User != "" {
		return DirectID(user, to.User)
	}
	return to.Conversation
}

// NewOperation makes an operation for an Extension. P and R are structs with
// json tags; P's string field Conversation, if it has one, names a conversation
// that the caller must be a member of. name has the extension's name and a dot
// as prefix.
func NewOperation[P, R any](name, doc string, handle func(ctx context.Context, op *Op, params *P) (*R, error)) Operation {
	n := needUser
	if names, _ := conversationOf(reflect.TypeFor[P]()); names != nil {
		n = needMember
	}
	return define(name, n, rateWrite, func(_ *server, ctx context.Context, op *Op, p *P) (*R, error) {
		return handle(ctx, op, p)
	}, doc)
}
