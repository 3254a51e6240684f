package im

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"example.com/h5im/store"
)

// cursor is a place in a user's changes. Between the pages of one sync it has
// all fields, after the last page from alone.
type cursor struct {
	from         int64
	to           int64
	afterVersion int64
	afterID      string
}

// maxCursorAge is how long a cursor is good for.
const maxCursorAge = 90 * 24 * time.Hour

// cursorSealer makes cursors that only this store's servers can read, bound to
// an app and a user, so that a client can neither forge nor lend one.
type cursorSealer struct {
	aead  cipher.AEAD
	bound string
	now   func() time.Time
}

func newCursorSealer(info store.Info, app string, now func() time.Time) (*cursorSealer, error) {
	key, err := hkdf.Key(sha256.New, info.Key, []byte(info.Epoch), "h5im cursor v1", 32)
	if err != nil {
		return nil, fmt.Errorf("im: cursor key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("im: cursor key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("im: cursor key: %w", err)
	}
	return &cursorSealer{aead: aead, bound: app + "\x00", now: now}, nil
}

func (s *cursorSealer) seal(c cursor, user string) string {
	plain := binary.AppendVarint(nil, s.now().Unix())
	for _, v := range []int64{c.from, c.to, c.afterVersion} {
		plain = binary.AppendVarint(plain, v)
	}
	plain = append(plain, c.afterID...)
	nonce := make([]byte, s.aead.NonceSize())
	rand.Read(nonce)
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nonce, nonce, plain, []byte(s.bound+user)))
}

// open reads a cursor; false if it is not one of ours for this user, or too old.
func (s *cursorSealer) open(text, user string) (c cursor, ok bool) {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(sealed) < s.aead.NonceSize() {
		return c, false
	}
	n := s.aead.NonceSize()
	plain, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(s.bound+user))
	if err != nil {
		return c, false
	}
	var issued int64
	for _, v := range []*int64{&issued, &c.from, &c.to, &c.afterVersion} {
		value, n := binary.Varint(plain)
		if n <= 0 {
			return cursor{}, false
		}
		*v, plain = value, plain[n:]
	}
	c.afterID = string(plain)
	return c, s.now().Sub(time.Unix(issued, 0)) <= maxCursorAge
}
