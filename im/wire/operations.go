package wire

// The params and results of the operations, in the order of PROTOCOL.md.
// Times are milliseconds since the epoch. Counters stay below 2^53.

// OpenParams are the params of session.open.
type OpenParams struct {
	AppID  string `json:"appId"`
	Token  string `json:"token,omitempty"`
	Device string `json:"device"`           // 1 to 64 bytes of [A-Za-z0-9_.-]: one installation of a client
	Client string `json:"client,omitempty"` // name and version, for the log
}

// OpenResult is the result of session.open.
type OpenResult struct {
	Session    string   `json:"session"`
	User       string   `json:"user"`
	Device     string   `json:"device"`
	ServerTime int64    `json:"serverTime"`
	Epoch      string   `json:"epoch"` // of the store; another one: drop what is cached
	ExpiresAt  int64    `json:"expiresAt,omitempty"`
	Limits     Limits   `json:"limits"`
	Features   []string `json:"features"`
}

// Limits are what a server accepts.
type Limits struct {
	FrameBytes            int `json:"frameBytes"`
	ContentBytes          int `json:"contentBytes"` // content and ext of a message together
	Batch                 int `json:"batch"`
	Page                  int `json:"page"` // the default; MaxPage is the most
	MaxPage               int `json:"maxPage"`
	TitleBytes            int `json:"titleBytes"`
	MembersPerCall        int `json:"membersPerCall"`
	Members               int `json:"members"` // of a group
	Mentions              int `json:"mentions"`
	SessionsPerUser       int `json:"sessionsPerUser"`
	NewDirectPeersPerHour int `json:"newDirectPeersPerHour"`
}

// Session is a session of the caller's.
type Session struct {
	Session   string `json:"session"`
	Device    string `json:"device"`
	Client    string `json:"client,omitempty"` // as session.open said
	Transport string `json:"transport"`        // "websocket", "sse", "poll", "local"
	Address   string `json:"address,omitempty"`
	Since     int64  `json:"since"`
	Current   bool   `json:"current,omitempty"`
}

// SessionsResult is the result of session.list.
type SessionsResult struct {
	Sessions []Session `json:"sessions"`
}

// RevokeParams are the params of session.revoke: one of the three.
type RevokeParams struct {
	Session string `json:"session,omitempty"`
	Device  string `json:"device,omitempty"` // all of its sessions but the caller's own
	Others  bool   `json:"others,omitempty"` // all but the caller's own
}

// RevokeResult is the result of session.revoke.
type RevokeResult struct {
	Closed int `json:"closed"`
}

// Empty are params or a result without fields.
type Empty struct{}

// PingResult is the result of ping.
type PingResult struct {
	ServerTime int64 `json:"serverTime"`
}

// UsersParams are the params of user.get.
type UsersParams struct {
	Users []string `json:"users"` // 1 to 100
}

// Profile is what the host tells of a user.
type Profile struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Avatar string `json:"avatar,omitempty"` // a URL
	Ext    Object `json:"ext,omitempty"`
}

// UsersResult is the result of user.get. Users that the caller may not see are absent.
type UsersResult struct {
	Profiles []Profile `json:"profiles"`
}

// SendParams are the params of message.send.
type SendParams struct {
	To       Target   `json:"to"`
	ClientID string   `json:"clientId"`       // 1 to 64 bytes of printable ASCII, best a UUIDv7
	Type     string   `json:"type,omitempty"` // "text" if absent
	Content  Content  `json:"content"`
	Mentions Mentions `json:"mentions,omitzero"`
	ReplyTo  int64    `json:"replyTo,omitempty"`
	Ext      Object   `json:"ext,omitempty"`
	Flags    []string `json:"flags,omitempty"` // "noUnread", "noPush"
}

// SendResult is the receipt of a message: it stands for the message event that
// the sending session does not get.
type SendResult struct {
	Conversation string   `json:"conversation"`
	Seq          int64    `json:"seq"`
	Rev          int64    `json:"rev"`
	Count        int64    `json:"count"`
	AllCount     int64    `json:"allCount,omitempty"`
	ID           string   `json:"id"`
	Time         int64    `json:"time"`
	Duplicate    bool     `json:"duplicate,omitempty"`
	Message      *Message `json:"message,omitempty"` // where the server rewrote it
}

// Message is a message, in answers and in the event "message".
type Message struct {
	Conversation string   `json:"conversation"`
	Seq          int64    `json:"seq"`
	Rev          int64    `json:"rev"`
	Count        int64    `json:"count"`
	AllCount     int64    `json:"allCount,omitempty"`
	ID           string   `json:"id"`
	ClientID     string   `json:"clientId"`
	From         string   `json:"from"`
	Time         int64    `json:"time"`
	Type         string   `json:"type"`
	Content      Object   `json:"content"`
	Mentions     Mentions `json:"mentions,omitzero"`
	ReplyTo      int64    `json:"replyTo,omitempty"`
	Flags        []string `json:"flags,omitempty"`
	EditedAt     int64    `json:"editedAt,omitempty"`
	Recalled     *Recall  `json:"recalled,omitempty"`
	ExpiresAt    int64    `json:"expiresAt,omitempty"`
	Ext          Object   `json:"ext,omitempty"`
}

// Recall tells who took a message back.
type Recall struct {
	By     string `json:"by"`
	At     int64  `json:"at"`
	Reason string `json:"reason,omitempty"`
}

// ListParams are the params of message.list: at most one of Before, After and
// Around; none of them asks for the newest page.
type ListParams struct {
	Conversation string `json:"conversation"`
	Before       *int64 `json:"before,omitempty"`
	After        *int64 `json:"after,omitempty"` // 0 starts at the beginning
	Around       *int64 `json:"around,omitempty"`
	Limit        int    `json:"limit,omitempty"`
}

// ListResult is the result of message.list, ascending by seq. It covers the
// seqs From to To: what is absent inside is gone.
type ListResult struct {
	Messages []Message `json:"messages"`
	From     int64     `json:"from"`
	To       int64     `json:"to"`
	FirstSeq int64     `json:"firstSeq"`
	Rev      int64     `json:"rev"` // of the conversation; it does not advance the client's
	More     bool      `json:"more"`
}

// ChangesParams are the params of message.changes.
type ChangesParams struct {
	Conversation string     `json:"conversation"`
	Rev          int64      `json:"rev"` // what the client has
	Limit        int        `json:"limit,omitempty"`
	Within       [][2]int64 `json:"within,omitempty"` // at most 16 ranges of seqs, both ends included
}

// ChangesResult is the result of message.changes.
type ChangesResult struct {
	Messages     []Message     `json:"messages"`
	Conversation *Conversation `json:"conversation,omitempty"` // where shared settings changed
	Rev          int64         `json:"rev"`                    // what the client has after applying the page
	More         bool          `json:"more"`
	Reset        bool          `json:"reset,omitempty"` // drop this conversation's cache and list it anew
}

// SyncParams are the params of sync.
type SyncParams struct {
	Cursor string `json:"cursor,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

// SyncResult is the result of sync, newest first.
type SyncResult struct {
	Conversations []Conversation `json:"conversations"`
	Cursor        string         `json:"cursor"`
	More          bool           `json:"more"`
	Reset         bool           `json:"reset,omitempty"` // a snapshot follows: what it does not name is gone
}

// Conversation is a conversation as one user sees it: its head, and his own
// state of it. In events that go to many it has the head alone.
type Conversation struct {
	ID        string `json:"id"`
	Kind      string `json:"kind"` // "direct", "group", "room"
	Title     string `json:"title,omitempty"`
	Ext       Object `json:"ext,omitempty"`
	Creator   string `json:"creator,omitempty"`
	CreatedAt int64  `json:"createdAt,omitempty"`
	Seq       int64  `json:"seq"`
	Rev       int64  `json:"rev"`
	MemberRev int64  `json:"memberRev"`
	Members   int    `json:"members"` // how many
	Count     int64  `json:"count"`
	AllCount  int64  `json:"allCount,omitempty"`
	FirstSeq  int64  `json:"firstSeq,omitempty"` // the first that can be read; absent: 1

	Role           string   `json:"role,omitempty"`
	Own            int64    `json:"own"`
	Seen           int64    `json:"seen"`
	SeenAll        int64    `json:"seenAll,omitempty"`
	Unread         int64    `json:"unread"`
	MentionsUnread int64    `json:"mentionsUnread"`
	ReadSeq        int64    `json:"readSeq"`
	Starred        bool     `json:"starred,omitempty"`
	Archived       bool     `json:"archived,omitempty"`
	MuteUntil      int64    `json:"muteUntil,omitempty"`
	Draft          string   `json:"draft,omitempty"`
	LastMessage    *Message `json:"lastMessage,omitempty"`
	Peer           string   `json:"peer,omitempty"`    // the other user of a direct conversation
	Markers        []Marker `json:"markers,omitempty"` // of the others in a direct conversation
	Left           bool     `json:"left,omitempty"`    // the user is no longer a member: forget the rest
}

// Marker is how far a member has come.
type Marker struct {
	User      string `json:"user"`
	Read      int64  `json:"read"`
	Delivered int64  `json:"delivered"`
}

// CreateParams are the params of conversation.create.
type CreateParams struct {
	Kind     string   `json:"kind"` // "direct" or "group"
	ClientID string   `json:"clientId,omitempty"`
	ID       string   `json:"id,omitempty"` // only the host, or where its policy says so
	Title    string   `json:"title,omitempty"`
	Ext      Object   `json:"ext,omitempty"`
	Members  []string `json:"members,omitempty"` // besides the caller; for direct exactly one
}

// ConversationParams name a conversation.
type ConversationParams struct {
	Conversation string `json:"conversation"`
}

// OwnParams are the params of conversation.own.
type OwnParams struct {
	Conversation string `json:"conversation"`
	Own          int64  `json:"own,omitempty"` // what the client has
}

// OwnResult is the result of conversation.own and the event "self".
type OwnResult struct {
	Conversation   string  `json:"conversation"`
	Own            int64   `json:"own"`
	Seen           int64   `json:"seen"`
	SeenAll        int64   `json:"seenAll,omitempty"`
	Unread         int64   `json:"unread"`
	MentionsUnread int64   `json:"mentionsUnread"`
	ReadSeq        int64   `json:"readSeq"`
	Starred        bool    `json:"starred,omitempty"`
	Archived       bool    `json:"archived,omitempty"`
	MuteUntil      int64   `json:"muteUntil,omitempty"`
	Draft          string  `json:"draft,omitempty"`
	Hidden         []int64 `json:"hidden,omitempty"` // seqs deleted for me since
}

// MarkersResult is the result of conversation.markers.
type MarkersResult struct {
	Markers []Marker `json:"markers"`
	More    bool     `json:"more,omitempty"`
	Cursor  string   `json:"cursor,omitempty"`
}

// MarkersParams are the params of conversation.markers.
type MarkersParams struct {
	Conversation string `json:"conversation"`
	Cursor       string `json:"cursor,omitempty"`
	Limit        int    `json:"limit,omitempty"`
}

// MarkParams are the params of conversation.mark.
type MarkParams struct {
	Conversation string `json:"conversation"`
	Read         int64  `json:"read,omitempty"`
	Delivered    int64  `json:"delivered,omitempty"`
}

// MarkResult is the result of conversation.mark: the markers as they are now.
type MarkResult struct {
	Read      int64 `json:"read"`
	Delivered int64 `json:"delivered"`
	Own       int64 `json:"own"`
	Seen      int64 `json:"seen"`
	SeenAll   int64 `json:"seenAll,omitempty"`
	Unread    int64 `json:"unread"`
}

// MemberListParams are the params of member.list.
type MemberListParams struct {
	Conversation string `json:"conversation"`
	Since        int64  `json:"since,omitempty"` // a memberRev: only what changed, ended members included
	Cursor       string `json:"cursor,omitempty"`
	Limit        int    `json:"limit,omitempty"`
}

// MemberListResult is the result of member.list.
type MemberListResult struct {
	Members   []Member `json:"members"`
	MemberRev int64    `json:"memberRev"`
	Cursor    string   `json:"cursor,omitempty"` // there is more
}

// Member is a member of a conversation.
type Member struct {
	User     string   `json:"user"`
	Role     string   `json:"role"`
	JoinedAt int64    `json:"joinedAt"`
	Left     bool     `json:"left,omitempty"`
	Rev      int64    `json:"rev"` // a memberRev
	Profile  *Profile `json:"profile,omitempty"`
}

// MemberParams are the params of member.add and member.remove.
type MemberParams struct {
	Conversation string   `json:"conversation"`
	Users        []string `json:"users"`
}

// MemberResults is the result of member.add and member.remove.
type MemberResults struct {
	Results   []MemberResult `json:"results"` // in the order of users
	MemberRev int64          `json:"memberRev"`
}

// MemberResult is what became of one user.
type MemberResult struct {
	User    string `json:"user"`
	Changed bool   `json:"changed"`
	Reason  string `json:"reason,omitempty"` // an error's reason, where it was refused
}
