package store

import "time"

// Millis is a moment in milliseconds since the Unix epoch; 0 means none.
type Millis int64

// MillisOf converts a time; the zero time becomes 0.
func MillisOf(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}

// Time converts back, in UTC; 0 becomes the zero time.
func (m Millis) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}

// Kind is the kind of a conversation.
type Kind string

// The kinds of conversation. A room is live: joining it is presence of a
// session, and only staff, muted and banned users have member rows.
const (
	Direct Kind = "direct"
	Group  Kind = "group"
	Room   Kind = "room"
)

// Role is a member's role.
type Role string

// The roles, from the most to the least powerful.
const (
	Owner       Role = "owner"
	Admin       Role = "admin"
	PlainMember Role = "member"
)

// TopicClass says how the events of a conversation travel. It only ever
// changes from TopicUsers to TopicConversation.
type TopicClass uint8

const (
	// TopicUsers: on the topic of each member, up to SmallConversation members.
	TopicUsers TopicClass = iota
	// TopicConversation: on a topic of the conversation's own.
	TopicConversation
)

// Settings are the shared settings of a conversation. Changing them takes a rev.
type Settings struct {
	Title string
	// Ext is a JSON object of the host's own, or nil.
	Ext []byte
}

// Conversation is the head of a conversation: all about it that is not a
// message or a member row.
type Conversation struct {
	ID   string
	Kind Kind
	Settings
	Creator   string
	CreatedAt Millis

	Seq       int64 // of the newest message; 0: none yet
	Rev       int64
	MemberRev int64
	Count     int64
	AllCount  int64 // messages that mention all, as Count counts messages

	Pruned      int64 // messages up to this seq are gone; 0: none
	SettingsRev int64 // the rev of the last change of Settings; 0: never changed
	Members     int   // active member rows
	Class       TopicClass
	Version     int64 // of the last commit that touched the head
}

// OwnSettings are what a member keeps for himself about a conversation.
type OwnSettings struct {
	Starred   bool
	Archived  bool
	MuteUntil Millis // notifications off until then; MuteForever for no end
	Draft     string
}

// MuteForever is a MuteUntil without an end.
const MuteForever Millis = 1<<53 - 1

// Member is a user's place in a conversation. The row of somebody who left
// stays, with LeftAt set.
type Member struct {
	Conversation string
	User         string
	Role         Role
	JoinedAt     Millis
	LeftAt       Millis
	Rev          int64 // the memberRev of the last change of the membership
	Version      int64 // of the last commit that touched the row

	Own       int64 // number of the last change of what follows
	Read      int64 // everything up to this seq is read
	Delivered int64
	Seen      int64 // the conversation's count at Read, own send, or join
	SeenAll   int64 // likewise its AllCount
	OwnSettings
}

// Active tells whether the row is a current membership.
func (m *Member) Active() bool { return m != nil && m.LeftAt == 0 }

// Unread is the number of unread messages, exact and O(1).
func (m *Member) Unread(c *Conversation) int64 { return max(0, c.Count-m.Seen) }

// Flags are properties of a message.
type Flags uint32

const (
	// NoUnread: the message does not count as unread.
	NoUnread Flags = 1 << iota
	// NoPush: no notification is wanted.
	NoPush
)

// Recall tells who took a message back. Its row stays as a tombstone without
// content, so that seq is contiguous and count is unchanged.
type Recall struct {
	By     string
	At     Millis
	Reason string
}

// Message is one message.
type Message struct {
	Conversation string
	Seq          int64
	Rev          int64 // of the last change
	Born         int64 // the rev of its append; never changes
	Count        int64 // the conversation's count with this message
	AllCount     int64
	ID           string // random, for links; 1 to 32 bytes
	ClientID     string // the sender's idempotency key: 1 to 64 bytes of printable ASCII
	From         string
	Time         Millis
	Type         string // "text", ...: 1 to 64 bytes
	Content      []byte // a JSON object
	Ext          []byte // a JSON object of the application's own, or nil
	Mentions     []string
	MentionAll   bool
	ReplyTo      int64 // a seq of the same conversation; 0: none
	Flags        Flags
	EditedAt     Millis
	ExpiresAt    Millis
	Recalled     *Recall
}

// Bury makes a tombstone of a message: what answers its repetition, and tells
// nothing else.
func (m *Message) Bury() {
	*m = Message{
		Conversation: m.Conversation, Seq: m.Seq, Rev: m.Born, Born: m.Born, Count: m.Count, AllCount: m.AllCount,
		ID: m.ID, ClientID: m.ClientID, From: m.From, Time: m.Time, Type: m.Type,
	}
}

// NewConversation asks Create for a conversation.
type NewConversation struct {
	ID       string
	Kind     Kind
	Settings Settings
	Creator  string // "" for the host
	Time     Millis
	// Members are the first members. For a direct conversation: its two ends.
	Members []NewMember
	// ClientID and Fingerprint make the creation idempotent; ClientID may be "".
	ClientID    string
	Fingerprint Fingerprint
}

// NewMember is a member to add.
type NewMember struct {
	User string
	Role Role // "" means PlainMember
}

// Created is the answer of Create.
type Created struct {
	Conversation Conversation
	Duplicate    bool
}

// Access says what an append demands of its sender.
type Access uint8

const (
	// AsMember demands an active member row.
	AsMember Access = iota
	// AsLive demands nothing here: a live join was checked by the caller.
	// (A row that bans the sender will refuse it.)
	AsLive
	// AsHost demands nothing: the host itself sends.
	AsHost
)

// Append is one message to store. Of Message the store assigns Seq, Rev, Born,
// Count and AllCount; everything else comes from the caller.
type Append struct {
	Message     Message
	Fingerprint Fingerprint
	As          Access
	// Open creates the direct conversation of Message.Conversation with these
	// two members where it does not exist yet; nil: it must exist.
	Open *[2]string
	// Records commit with the message; one that fails fails the item.
	Records []RecordWrite
}

// Appended is the answer for one Append.
type Appended struct {
	// Receipt is the first receipt; for a Duplicate the one of then.
	Receipt   Receipt
	Duplicate bool
	// Opened tells that the item created its direct conversation.
	Opened bool
	// Conversation is the head after the item.
	Conversation Conversation
	// Message is the row as stored, for a Duplicate in its present state: the
	// tombstone of a pruned one has no content.
	Message Message
	// Err: ErrNotFound, ErrNotMember, ErrConflict, ErrFull, ErrInvalid.
	Err error
}

// Amended is the answer of Amend.
type Amended struct {
	Message      Message
	Conversation Conversation
}

// PruneQuery asks Prune for the end of old messages.
type PruneQuery struct {
	Conversation string
	// Before: messages of an earlier Time go, up to the first that is not.
	Before Millis
	// Forget: of those that are gone and of an earlier Time not even a tombstone
	// stays, up to the first that is not, so that a repetition would be stored
	// anew. Who promises to recognise one for 30 days lets it be 30 days ago.
	Forget Millis
	// Limit is the most messages that the call may work on; at least 1.
	Limit int
}

// Pruned is the answer of Prune.
type Pruned struct {
	Conversation Conversation
	Messages     int // that became unreadable
	// More tells that Limit was reached: there may be more.
	More bool
}

// MessagesQuery asks for a page of at most Limit seqs, of those that were not
// pruned; those that expired are absent from it and not made up for.
type MessagesQuery struct {
	Conversation string
	Anchor       Anchor
	Seq          int64
	Limit        int    // at least 1
	Now          Millis // see Message.Expired
}

// Anchor is where a page of messages lies.
type Anchor uint8

const (
	// Newest is the last page; Seq is not used.
	Newest Anchor = iota
	// Before ends below Seq.
	Before
	// After begins above Seq; 0 begins at the start.
	After
	// Around has Seq in the middle, or as near to it as a full page can have it.
	Around
)

// MessagesPage covers the seqs From to To, both included (From > To: none):
// what is absent inside is gone.
type MessagesPage struct {
	Messages     []Message
	From, To     int64
	Conversation Conversation
	// More tells that there is more in the direction of the page: older for
	// Newest and Before, newer for After, either for Around.
	More bool
}

// SeqRange is the seqs From to To, both included.
type SeqRange struct{ From, To int64 }

// ChangesQuery asks for what changed since Rev.
type ChangesQuery struct {
	Conversation string
	Rev          int64
	Limit        int // at least 1
	// Within, where not nil, limits the answer to messages in these ranges;
	// they may overlap, and one with From > To is empty.
	Within []SeqRange
	Now    Millis
}

// ChangesPage is a page of changes.
type ChangesPage struct {
	Messages []Message // ascending by Rev
	// Settings tells that the shared settings changed since Rev and the reader
	// should take them from Conversation.
	Settings     bool
	Conversation Conversation
	// Rev is what the reader has after applying the page: that of the last
	// message of a page with More, else the head's.
	Rev  int64
	More bool
}

// MembersChange adds and removes members.
type MembersChange struct {
	Conversation string
	Add          []NewMember
	Remove       []string
	Time         Millis
	// Limit, where positive, is the most active members there may be; above it
	// the change is ErrTooMany.
	Limit int
}

// MembersChanged is the answer of ChangeMembers.
type MembersChanged struct {
	Conversation Conversation
	// Members are the rows that changed, in the order of the request.
	Members []Member
}

// MembersQuery asks for member rows.
type MembersQuery struct {
	Conversation string
	// Users, where not nil, asks for the rows of just these, in this order,
	// ended ones included; the other fields are not used.
	Users []string
	// Since asks for rows whose Rev is greater, ended ones included, ascending
	// by Rev. 0 asks for the active members, ascending by user.
	Since int64
	// After continues after the row with this user (and, with Since, AfterRev).
	After    string
	AfterRev int64
	Limit    int // at least 1
}

// MembersPage is a page of member rows.
type MembersPage struct {
	Members   []Member
	MemberRev int64 // of the head in the same transaction
	More      bool
}

// Mark moves markers forward. Zero leaves a marker where it is.
type Mark struct {
	Conversation string
	User         string
	Read         int64
	Delivered    int64
}

// Marked is the answer of Mark.
type Marked struct {
	Member       Member
	Conversation Conversation
	Moved        bool
}

// SyncQuery asks for a page of what changed for a user.
//
// A row's version is the greater of its head's and its member row's; for an
// ended membership the member row's alone. Rows have From < version <= To and
// come in descending (version, conversation id). Rooms are left out.
type SyncQuery struct {
	User string
	From int64 // exclusive; 0 asks for a snapshot, without ended memberships
	To   int64 // inclusive; 0, or more than it, takes the store's version and answers it
	// AfterVersion and AfterID continue after that row; zero: the first page.
	AfterVersion int64
	AfterID      string
	Limit        int // at least 1
	Now          Millis
}

// SyncPage is a page of rows.
type SyncPage struct {
	To   int64
	Rows []SyncRow
	More bool
}

// SyncRow is one conversation of a user.
type SyncRow struct {
	Version      int64
	Conversation Conversation // of an ended membership only ID and Kind
	Member       Member
	Last         *Message // the message of the head's Seq; nil if none, if it expired, or if the membership ended
	Peer         *Member  // the other end of a direct conversation, perhaps ended; nil likewise
}

// ChangeKind is the kind of object that a Change points to.
type ChangeKind uint8

// The kinds of change.
const (
	MessageAppended ChangeKind = iota + 1
	MessageAmended
	ConversationCreated
	ConversationConfigured
	MemberChanged
)

// Change is an entry of the feed with the current state of its object.
type Change struct {
	Position     Position
	Kind         ChangeKind
	Conversation string
	Message      *Message      // for messages
	Head         *Conversation // always
	Member       *Member       // for members
}

// Record is one record.
type Record struct {
	Namespace string
	Key       string
	Value     []byte
	Revision  int64 // greater with every write of the key, also after a delete
	ExpiresAt Millis
}

// RecordWrite writes or deletes one record.
type RecordWrite struct {
	Namespace string // 1 to 64 bytes
	Key       string // 1 to 512 bytes
	Value     []byte
	Delete    bool
	ExpiresAt Millis // 0: never
	// If compares before it sets: the write is ErrConflict unless the record
	// has this revision. NoRecord demands that there is none; AnyRevision
	// compares nothing.
	If int64
	// Now is the caller's time, by which an expired record counts as absent.
	Now Millis
}

// Special values of RecordWrite.If.
const (
	AnyRevision int64 = 0
	NoRecord    int64 = -1
)

// RecordsQuery asks for a page of records.
type RecordsQuery struct {
	Namespace string
	Prefix    string
	After     string
	Limit     int // at least 1
	Now       Millis
}
