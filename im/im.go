package im

import (
	"encoding/json"

	"example.com/h5im/im/hub"
	"example.com/h5im/im/wire"
	"example.com/h5im/store"
	"example.com/h5im/transport"
)

// A host imports this package alone: what it needs of the wings is here under
// another name.
type (
	// Store keeps conversations and messages.
	Store = store.Store
	// Hub carries events between nodes.
	Hub = hub.Hub
	// Transport turns HTTP into connections.
	Transport = transport.Transport

	// Message, Conversation and Member are the records of the store.
	Message      = store.Message
	Conversation = store.Conversation
	Member       = store.Member
)

// The params and results of operations, for Call. See PROTOCOL.md.
type (
	Target   = wire.Target
	Content  = wire.Content
	Object   = wire.Object
	Mentions = wire.Mentions

	SendParams         = wire.SendParams
	SendResult         = wire.SendResult
	ListParams         = wire.ListParams
	ListResult         = wire.ListResult
	ChangesParams      = wire.ChangesParams
	ChangesResult      = wire.ChangesResult
	SyncParams         = wire.SyncParams
	SyncResult         = wire.SyncResult
	CreateParams       = wire.CreateParams
	ConversationParams = wire.ConversationParams
	OwnParams          = wire.OwnParams
	OwnResult          = wire.OwnResult
	MarkersParams      = wire.MarkersParams
	MarkersResult      = wire.MarkersResult
	MarkParams         = wire.MarkParams
	MarkResult         = wire.MarkResult
	MemberListParams   = wire.MemberListParams
	MemberListResult   = wire.MemberListResult
	MemberParams       = wire.MemberParams
	MemberResults      = wire.MemberResults
	UsersParams        = wire.UsersParams
	UsersResult        = wire.UsersResult

	// MessageView and ConversationView are a message and a conversation as they
	// travel.
	MessageView      = wire.Message
	ConversationView = wire.Conversation
)

// ToUser addresses a user; the direct conversation with him is made if needed.
func ToUser(id string) Target { return Target{User: id} }

// ToConversation addresses a conversation.
func ToConversation(id string) Target { return Target{Conversation: id} }

// Text is the content of a text message.
func Text(s string) Content {
	b, err := json.Marshal(struct {
		Text string `json:"text"`
	}{s})
	if err != nil { // a string cannot fail
		return nil
	}
	return b
}
