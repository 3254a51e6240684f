package im

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"example.com/h5im/store"
)

// sessionIDs make the ids of sessions: 128 random bits, the node, and a seal
// under the store's key, by which another node knows where a request belongs.
//
//	base64url(random) "." base64url(node) "." base64url(seal)
type sessionIDs struct {
	key  []byte
	node string
}

// sealBytes of a MAC are enough: what it guards is a node's attention.
const sealBytes = 12

func newSessionIDs(info store.Info, node string) (*sessionIDs, error) {
	if len(node) > 128 {
		return nil, fmt.Errorf("im: the hub's node name has %d bytes, more than 128", len(node))
	}
	key, err := hkdf.Key(sha256.New, info.Key, []byte(info.Epoch), "h5im session v1", 32)
	if err != nil {
		return nil, fmt.Errorf("im: session key: %w", err)
	}
	return &sessionIDs{key: key, node: node}, nil
}

func (s *sessionIDs) mint() string {
	var random [16]byte
	rand.Read(random[:])
	text := base64.RawURLEncoding.EncodeToString
	head := text(random[:]) + "." + text([]byte(s.node))
	return head + "." + text(s.seal(head))
}

func (s *sessionIDs) seal(head string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(head))
	return h.Sum(nil)[:sealBytes]
}

// nodeOf returns the node of an id that one of this store's servers made.
func (s *sessionIDs) nodeOf(id string) (node string, ok bool) {
	i := strings.LastIndexByte(id, '.')
	if i < 0 {
		return "", false
	}
	seal, err := base64.RawURLEncoding.DecodeString(id[i+1:])
	if err != nil || !hmac.Equal(seal, s.seal(id[:i])) {
		return "", false
	}
	_, name, _ := strings.Cut(id[:i], ".")
	b, err := base64.RawURLEncoding.DecodeString(name)
	return string(b), err == nil
}
