package im

import (
	"encoding/json"

	"example.com/h5im/im/hub"
	"example.com/h5im/im/wire"
	"example.com/h5im/store"
	"example.com/h5im/transport"
)

type (
	// Store keeps conversations and messages.
	Store = store.Store
	// Hub carries events between nodes.
	Hub = hub.Hub
	// Transport turns HTTP into connections.
	Transport = transport.Transport

	// Message is the record of a message.
	Message = store.Message
	// Conversation is the record of a conversation's head.
	Conversation = store.Conversation
	// Member is the record of a user's place in a conversation.
	Member = store.Member
)

type (
	// Target is where a message goes; see ToUser and ToConversation.
	Target = wire.Target
	// Content is a message's content as a JSON object; see Text.
	Content = wire.Content
	// Object is any JSON object.
	Object = wire.Object
	// Mentions are whom a message mentions.
	Mentions = wire.Mentions

	// MessageView is a message as it travels.
	MessageView = wire.Message
	// ConversationView is a conversation as one user sees it.
	ConversationView = wire.Conversation
	// MemberView is a member as it travels.
	MemberView = wire.Member
)

// The params and results of the operations, for Call. PROTOCOL.md describes them.
//
//nolint:revive // each is named after its operation, and documented where it is declared
type (
	SessionsResult     = wire.SessionsResult
	RevokeParams       = wire.RevokeParams
	RevokeResult       = wire.RevokeResult
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
	Marker             = wire.Marker
	MarkParams         = wire.MarkParams
	MarkResult         = wire.MarkResult
	MemberListParams   = wire.MemberListParams
	MemberListResult   = wire.MemberListResult
	MemberParams       = wire.MemberParams
	MemberResults      = wire.MemberResults
	MemberResult       = wire.MemberResult
	UsersParams        = wire.UsersParams
	UsersResult        = wire.UsersResult
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
