package wire

// Names of the events, the notifications from server to client.
const (
	EventMessage      = "message"      // Message
	EventMember       = "member"       // MemberEvent
	EventConversation = "conversation" // Conversation
	EventSelf         = "self"         // OwnResult
	EventReceipt      = "receipt"      // ReceiptEvent
	EventSkip         = "skip"         // SkipEvent
	EventGap          = "gap"          // GapEvent
	EventReauth       = "reauth"       // ReauthEvent
	EventGoaway       = "goaway"       // GoawayEvent
	EventKicked       = "kicked"       // KickedEvent
	EventClose        = "close"        // CloseEvent
)

// MemberEvent tells that the member list changed.
type MemberEvent struct {
	Conversation string   `json:"conversation"`
	MemberRev    int64    `json:"memberRev"`
	Members      int      `json:"members"` // how many there are now
	Changed      []Member `json:"changed"`
}

// ReceiptEvent tells that a member's markers moved.
type ReceiptEvent struct {
	Conversation string `json:"conversation"`
	User         string `json:"user"`
	Read         int64  `json:"read"`
	Delivered    int64  `json:"delivered"`
}

// SkipEvent stands for an event that the receiver may not see.
type SkipEvent struct {
	Conversation string `json:"conversation"`
	Rev          int64  `json:"rev"`
}

// GapEvent tells that events were left out. With a conversation: ask
// message.changes up to rev. Without: ask sync.
type GapEvent struct {
	Conversation string `json:"conversation,omitempty"`
	Rev          int64  `json:"rev,omitempty"`
}

// ReauthEvent asks for session.open's token anew, within GraceMs.
type ReauthEvent struct {
	GraceMs int64 `json:"graceMs"`
}

// GoawayEvent tells that the server is about to close the connection.
type GoawayEvent struct {
	RetryAfterMs int64 `json:"retryAfterMs"`
}

// KickedEvent tells that the session ends and must not reconnect.
type KickedEvent struct {
	Reason string `json:"reason"`
}

// CloseEvent is the last event of a session without a socket, in the place of a
// close frame.
type CloseEvent struct {
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}
