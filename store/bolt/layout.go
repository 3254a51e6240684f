package bolt

import (
	"encoding/binary"
	"strings"
)

// Everything that happened is in the log, once, in the order of its commit.
// What must be found in another order points into it:
//
//	log            position(8)                      → a message, or a pointer to what changed
//	conversations  number(4)                        → head + positions of its newest seqs
//	               number(4) user                   → member row, beside its head
//	blocks         number(4) block(4)               → positions of 64 older seqs
//	edits          number(4) rev(8)                 → seq; one entry per amended message
//	requests       clientId sender                  → position of what the request stored
//	names          conversation id                  → number(4)
//	memberships    len(1) user number(4)            → 1 active, 0 ended
//	memberRevs     number(4) memberRev(8) user      → nothing
//	records        len(1) namespace key             → record
//	meta           schema, epoch, key, state        → the counters of the store
//
//	send  ─┬─ log, requests     appended at the end of their trees, full pages
//	       ├─ conversations     one page: the head, its block and the sender's row
//	       └─ blocks            every 64th message of a conversation
//
// Integers in keys are big endian, so that keys sort as they count. The
// number of a conversation is internal: it keeps keys short. A canonical
// UUID is packed in clientIds, so that version 7 arrives in key order.
var (
	bucketLog           = []byte("log")
	bucketConversations = []byte("conversations")
	bucketBlocks        = []byte("blocks")
	bucketEdits         = []byte("edits")
	bucketRequests      = []byte("requests")
	bucketNames         = []byte("names")
	bucketMemberships   = []byte("memberships")
	bucketMemberRevs    = []byte("memberRevs")
	bucketRecords       = []byte("records")
	bucketMeta          = []byte("meta")

	metaSchema = []byte("schema")
	metaEpoch  = []byte("epoch")
	metaKey    = []byte("key")
	metaState  = []byte("state")
)

var allBuckets = [][]byte{
	bucketLog, bucketConversations, bucketBlocks, bucketEdits, bucketRequests,
	bucketNames, bucketMemberships, bucketMemberRevs, bucketRecords, bucketMeta,
}

const (
	// schemaVersion is that of the layout above.
	schemaVersion = 1
	// blockSeqs is how many seqs share an index entry.
	blockSeqs = 64
)

func logKey(position uint64) []byte { return binary.BigEndian.AppendUint64(nil, position) }

func numberKey(number uint32) []byte { return binary.BigEndian.AppendUint32(nil, number) }

func memberKey(number uint32, user string) []byte {
	return append(numberKey(number), user...)
}

func blockKey(number, block uint32) []byte {
	return binary.BigEndian.AppendUint32(numberKey(number), block)
}

func editKey(number uint32, rev int64) []byte {
	return binary.BigEndian.AppendUint64(numberKey(number), uint64(rev))
}

func memberRevKey(number uint32, rev int64, user string) []byte {
	return append(editKey(number, rev), user...)
}

// membershipPrefix begins the keys of all memberships of a user.
func membershipPrefix(user string) []byte {
	return append([]byte{byte(len(user))}, user...)
}

func membershipKey(user string, number uint32) []byte {
	return binary.BigEndian.AppendUint32(membershipPrefix(user), number)
}

func requestKey(from, clientID string) []byte {
	return append(packID(make([]byte, 0, 32), clientID), from...)
}

func recordPrefix(namespace string) []byte {
	return append([]byte{byte(len(namespace))}, namespace...)
}

func recordKey(namespace, key string) []byte {
	return append(recordPrefix(namespace), key...)
}

// packedUUID begins a packed UUID, where another id has its length.
const packedUUID = 0xff

// packID appends an id of up to 254 bytes: a canonical lower-case UUID as
// packedUUID and its 16 bytes, anything else as its length and its bytes.
func packID(b []byte, id string) []byte {
	if uuid, ok := parseUUID(id); ok {
		return append(append(b, packedUUID), uuid[:]...)
	}
	return append(append(b, byte(len(id))), id...)
}

// parseUUID reads 8-4-4-4-12 lower-case hexadecimal digits, and nothing that
// would not come back as the same text.
func parseUUID(id string) (uuid [16]byte, ok bool) {
	if len(id) != 36 {
		return uuid, false
	}
	at := 0
	for i := range uuid {
		if dashBefore(i) {
			if id[at] != '-' {
				return uuid, false
			}
			at++
		}
		hi, lo := strings.IndexByte(hexDigits, id[at]), strings.IndexByte(hexDigits, id[at+1])
		if hi < 0 || lo < 0 {
			return uuid, false
		}
		uuid[i] = byte(hi<<4 | lo)
		at += 2
	}
	return uuid, true
}

// dashBefore tells whether a UUID has a dash before its byte i.
func dashBefore(i int) bool { return i == 4 || i == 6 || i == 8 || i == 10 }

// unpackID appends the id that packID wrote and tells how many bytes of b that
// took; 0 means that b is too short.
func unpackID(text, b []byte) (_ []byte, n int) {
	switch {
	case len(b) == 0:
		return text, 0
	case b[0] != packedUUID:
		n = 1 + int(b[0])
		if len(b) < n {
			return text, 0
		}
		return append(text, b[1:n]...), n
	case len(b) < 17:
		return text, 0
	}
	for i, c := range b[1:17] {
		if dashBefore(i) {
			text = append(text, '-')
		}
		text = append(text, hexDigits[c>>4], hexDigits[c&15])
	}
	return text, 17
}

const hexDigits = "0123456789abcdef"
