// Package archive writes what is in a store as lines of JSON, and fills a store
// from such lines: to move a chat to a store of another kind, to keep it where
// any program can read it, or to bring one along from another system.
//
//	{"archive":{"version":1}}
//	{"conversation":{"id":"g_1","kind":"group","title":"Team","creator":"ann","createdAt":1700000000000}}
//	{"member":{"user":"ann","role":"owner"}}
//	{"member":{"user":"ben","read":1}}
//	{"message":{"from":"ann","time":1700000000001,"type":"text","content":{"text":"hi"}}}
//	{"end":{"conversations":1,"members":2,"messages":1}}
//
// A conversation is followed by its members, these by its messages, oldest
// first. Times are milliseconds since 1970. What is zero, empty or false may be
// left out, and so may a message's id and clientId, which are then drawn, its
// seq, which is then the next, a member's seen, who is then a member from the
// beginning, and the totals of the end. A field that is not known is an error.
// Package im serves ids like its own: of a direct conversation im.DirectID, of
// others 1 to 64 of A-Z a-z 0-9 _ and -.
//
// A line {"gone":{"to":7,"count":5,"allCount":1}} stands in the place of messages
// that there are no more, up to that seq, with the counts as of there. A message
// that was amended to count otherwise has "counted":{"unread":true,"all":false},
// as what it counted when it came.
//
// A string that is not UTF-8, and content or ext that is not JSON without
// spaces, is {"base64":"..."} instead.
//
// What comes out of Import equals what went into Export in every message, seq
// and count, and in every membership with its markers and settings. Not in
// an archive are revisions, positions of the feed and the store's epoch, which
// Import makes anew, so that clients synchronise anew; records, which belong to
// features; and what answers a repeated creation of a conversation, or of a
// message that was pruned.
package archive

import (
	"errors"
	"fmt"
)

// ErrFormat says that the lines are no archive, or are cut short, or contradict
// each other, the store's contract or what is in the store.
var ErrFormat = errors.New("archive: malformed")

// Totals is how much an archive holds.
type Totals struct {
	Conversations int64
	Members       int64
	Messages      int64
}

const version = 1

func malformed(line int, format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %w", ErrFormat, line, fmt.Errorf(format, args...))
}
