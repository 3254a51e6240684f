// Package store holds the records of a chat and the contract that keeps them.
//
// A conversation is a table of messages with counters. Every change takes the
// next value of a counter in the transaction that makes it, so that catching
// up is one sentence: give me the objects whose revision is greater than mine.
//
//	seq        numbers the messages of a conversation 1, 2, 3, ... without holes
//	rev        numbers what every member's timeline shows: new messages, amended
//	           messages, shared settings; contiguous, it stamps what changed
//	memberRev  numbers changes of the member list and stamps member rows
//	own        numbers one member's own state here: markers, mute, draft, star
//	count      counts the messages that count as unread
//	version    numbers the commits of the whole store
//
// The model is IMAP's UID and MODSEQ (RFC 7162, https://www.rfc-editor.org/rfc/rfc7162)
// applied to chat.
//
// Package bolt is the default implementation, memory the reference, and
// storetest the suite that every implementation passes.
package store

import (
	"context"
	"errors"
)

// Sentinels. Implementations wrap them with %w; callers use errors.Is.
var (
	// ErrNotFound: the conversation, message or record does not exist.
	ErrNotFound = errors.New("store: not found")
	// ErrNotMember: the user has no active member row in the conversation.
	ErrNotMember = errors.New("store: not a member")
	// ErrConflict: the clientId was used for another request, the
	// conversation id exists, or a record has another revision.
	ErrConflict = errors.New("store: conflict")
	// ErrLastOwner: the change would leave a group without an owner.
	ErrLastOwner = errors.New("store: last owner")
	// ErrTooMany: the change would exceed MembersChange.Limit.
	ErrTooMany = errors.New("store: too many members")
	// ErrFull: the disk or the configured size is exhausted. Nothing of the
	// failed item was stored; reads go on, writes succeed once there is room.
	ErrFull = errors.New("store: full")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("store: closed")
	// ErrInvalid: the request breaks the contract (an empty id, a negative
	// limit). It is a bug of the caller.
	ErrInvalid = errors.New("store: invalid")
)

// Store keeps conversations, members, messages and records.
//
// All methods may be called concurrently. A context that ends makes a method
// return early with the context's error; a write that was already handed over
// may still be committed, so that only its repetition with the same clientId
// tells its fate. Slices and byte slices in arguments belong to the caller
// again when the method returns; returned values belong to the caller and are
// never changed by the store.
//
// A write method returns after the commit is durable. Every commit increments
// the store's version by one; rows of one commit share it, and one commit may
// carry any number of writes of any callers (group commit).
type Store interface {
	// Info tells the identity and position of the store.
	Info(ctx context.Context) (Info, error)

	// Create makes a conversation with its first members, who are of memberRev
	// 1; of a user named twice the first counts. It is idempotent by (Creator,
	// ClientID) like Append, and by id for a direct conversation: where one
	// exists it is answered with Duplicate and nothing is stored. A group or
	// room id that exists is ErrConflict, and so is a direct one where what
	// exists is not direct.
	Create(ctx context.Context, c NewConversation) (Created, error)

	// Conversation reads a head and, where user is not empty, that user's
	// member row there: nil if there never was one, with LeftAt set if he
	// left. An unknown id is ErrNotFound.
	Conversation(ctx context.Context, id, user string) (Conversation, *Member, error)

	// Conversations lists heads whose id is greater than after, ascending by id:
	// limit of them, or fewer at the end.
	Conversations(ctx context.Context, after string, limit int) ([]Conversation, error)

	// Configure changes the shared settings of a conversation and takes a rev.
	// change is called inside the transaction, perhaps more than once, and
	// must depend on its argument only; its error is returned as it is and
	// nothing is stored. A change that leaves the settings equal takes no rev.
	Configure(ctx context.Context, conversation string, change func(*Settings) error) (Conversation, error)

	// Append stores messages. The result has one entry per item, in order; the
	// error of an item is in its entry and never fails its neighbours. The
	// method's own error means that nothing is known of any item.
	//
	// Per item, in one transaction: the lookup of (From, ClientID); membership
	// as item.As demands; seq, rev, born and count; the row; the head; for a
	// member his Seen, and his Read and Delivered where he had read all before
	// it; the records. Items of one call on one conversation are numbered in the
	// order of the slice. A failed item leaves no hole and nothing else.
	//
	// The sender's Seen becomes the new Count, and likewise SeenAll, wherever
	// he has an active row, whatever item.As is. This takes no own: the message
	// says it. A clientId that created a conversation is ErrConflict here.
	Append(ctx context.Context, items []Append) ([]Appended, error)

	// Lookup finds what (from, clientID) stored, so that a repetition is
	// answered before anything else is checked. ErrNotFound if nothing;
	// ErrConflict if the fingerprint differs. See Receipt.
	Lookup(ctx context.Context, from, clientID string, f Fingerprint) (Receipt, error)

	// Amend changes a stored message: an edit, a recall, later its reactions.
	// It always takes a rev, which stamps the row; Conversation, Seq, Born,
	// Count, AllCount, ID, From, ClientID and Time stay whatever change does.
	// change is called as in Configure. A row that does not exist is ErrNotFound.
	Amend(ctx context.Context, conversation string, seq int64, change func(*Message) error) (Amended, error)

	// Prune forgets messages from the beginning of a conversation, which takes
	// neither a rev nor a version of the head: seq and count go on as if they were
	// there, Conversation.Pruned tells up to where nothing is readable any more,
	// and all methods answer as for a message that is absent. A member's Seen and
	// SeenAll are never less than the counts of the last one that went. Of what
	// is pruned a tombstone stays, its clientId and receipt, which still answers
	// Append and Lookup; see PruneQuery.Forget.
	Prune(ctx context.Context, q PruneQuery) (Pruned, error)

	// Messages reads a range of a conversation's messages, ascending by seq.
	// It does not check membership.
	Messages(ctx context.Context, q MessagesQuery) (MessagesPage, error)

	// Changes reads what changed in a conversation since a rev, ascending by
	// rev and compacted: a message amended fifty times comes once, in its last
	// state, at its last rev. It does not check membership.
	Changes(ctx context.Context, q ChangesQuery) (ChangesPage, error)

	// ChangeMembers adds and removes members. Adding an active member and
	// removing somebody who is none change nothing and are no errors (their
	// rows are not in the answer). All changes of one call take one memberRev.
	// Removing the last owner of a group is ErrLastOwner and changes nothing;
	// what counts is who is owner after the whole call. A direct conversation
	// keeps its two ends: they leave and join again, adding anybody else is
	// ErrInvalid. Who joins has his Seen and SeenAll set to the head's; who
	// joins again gets a new Role and JoinedAt and keeps his markers, own and
	// settings. Neither takes an own.
	ChangeMembers(ctx context.Context, c MembersChange) (MembersChanged, error)

	// Members reads member rows. It does not check membership.
	Members(ctx context.Context, q MembersQuery) (MembersPage, error)

	// Mark moves a member's markers. They only move forward and are clamped to
	// the head in the transaction; read implies delivered, and raises Seen to
	// the Count, and SeenAll to the AllCount, of the message it points to. Where
	// something moved, own is incremented. In a conversation of up to SmallConversation
	// members it stamps the head with the version too, so that a sender who
	// was away learns of it. ErrNotMember without an active row.
	Mark(ctx context.Context, m Mark) (Marked, error)

	// SetOwn changes a member's own settings and increments own where they
	// differ. change is called as in Configure. ErrNotMember without an active row.
	SetOwn(ctx context.Context, conversation, user string, change func(*OwnSettings) error) (Member, error)

	// Sync walks a user's memberships and answers what changed, newest first.
	// See SyncQuery. It reads at most one head and one member row per
	// membership, and what a page shows.
	Sync(ctx context.Context, q SyncQuery) (SyncPage, error)

	// Acquainted answers which of others, in their order, share a conversation
	// with user in which both are active members. user knows himself.
	Acquainted(ctx context.Context, user string, others []string) ([]string, error)

	// Feed reads the changes of the whole store after a position, in commit
	// order: in order per conversation, and never skipping one that a later
	// call would have to go back for. A change is a pointer plus kind and
	// carries the current state of its object. Every append, amendment and
	// change of settings is one change, and so is every member row that
	// ChangeMembers changed; a creation is one, its first members included.
	// Markers and own settings are none, and neither is a pruned message or
	// anything that happened to it. Expiry is not looked at.
	Feed(ctx context.Context, after Position, limit int) ([]Change, error)

	Records

	// Close finishes accepted writes and frees the store. Later calls return
	// ErrClosed; a second Close does nothing.
	Close() error
}

// SmallConversation is the number of members up to which a moved marker stamps
// the head and receipts fan out.
const SmallConversation = 100

// Info is the identity and position of a store.
type Info struct {
	// Epoch names this history. A store restored from a backup has another.
	Epoch string
	// Key is 32 random bytes made with the store, to seal cursors with.
	Key []byte
	// Version is that of the last commit; 0 in an empty store.
	Version int64
	// Position is that of the last change in the feed.
	Position Position
}

// Fingerprint is a hash of a request. The same (from, clientId) with another
// fingerprint is ErrConflict. A write that is stored with the zero Fingerprint
// is one whose request nobody knows any more, an imported one: whatever asks
// under its clientId is its repetition.
type Fingerprint [16]byte

// Of tells whether a request with the fingerprint asked repeats the one that is
// stored with f.
func (f Fingerprint) Of(asked Fingerprint) bool { return f == asked || f == Fingerprint{} }

// Receipt is what a write that carried a clientId stored. It stays the same
// for as long as the row or its tombstone exists, also after an edit, a mute or
// a leave.
type Receipt struct {
	Conversation string
	// Seq and what follows are zero where the write created a conversation.
	Seq      int64
	Rev      int64 // the message's Born
	Count    int64
	AllCount int64
	ID       string
	Time     Millis
}

// Position is a place in the feed. Zero is before everything.
type Position int64

// Records is a space of small records for features: leases, schedules,
// settings. Keys are ordered by their bytes within a namespace.
type Records interface {
	// GetRecord reads one record. ErrNotFound if absent or expired at now.
	GetRecord(ctx context.Context, namespace, key string, now Millis) (Record, error)
	// WriteRecords does all writes, in order, in one transaction or, on the
	// first that fails, none. The result has the new revision of each (0 for a
	// delete). Deleting what is absent is no error unless If says so.
	WriteRecords(ctx context.Context, writes []RecordWrite) ([]int64, error)
	// ListRecords reads records with after < key, whose key has the prefix, in
	// key order. limit must be positive. Expired records are left out.
	ListRecords(ctx context.Context, q RecordsQuery) ([]Record, error)
}
