package im

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Prefixes of the conversation ids that the server makes. Names that a host
// chooses may not begin with them.
const (
	directPrefix = "d_"
	groupPrefix  = "g_"
	roomPrefix   = "r_"
)

// DirectID is the id of the direct conversation of two users.
func DirectID(a, b string) string {
	if b < a {
		a, b = b, a
	}
	h := sha256.New()
	for _, user := range []string{a, b} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(user)))
		h.Write(length[:])
		h.Write([]byte(user))
	}
	return directPrefix + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// randomID is 128 random bits as 22 characters.
func randomID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// randomMessageID is 96 random bits as 16 characters.
func randomMessageID() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// validUser: 1 to 128 bytes of printable UTF-8.
func validUser(id string) bool {
	if id == "" || len(id) > 128 || !utf8.ValidString(id) {
		return false
	}
	for _, r := range id {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// validName: 1 to limit bytes of [A-Za-z0-9_.-].
func validName(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return true
}

// validClientID: 1 to 64 bytes of printable ASCII.
func validClientID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// validConversation tells whether s can be the id of a conversation at all.
func validConversation(s string) bool { return validName(s, 64) && !strings.Contains(s, ".") }

// validChosenID: a conversation id that a host may choose.
func validChosenID(s string) bool {
	return validConversation(s) &&
		!strings.HasPrefix(s, directPrefix) && !strings.HasPrefix(s, groupPrefix) && !strings.HasPrefix(s, roomPrefix)
}
