// Package token signs and checks the tokens that the examples give to their
// users: who, from when, until when, under an HMAC. A host that has tokens of
// its own, JWTs perhaps, uses those instead.
package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"example.com/h5im/im"
)

// Leeway is how far the clocks of two machines may differ.
const Leeway = 60 * time.Second

// KeyBytes is the length of a key.
const KeyBytes = 32

// maxBytes bounds what is decoded before the signature is known to be good.
const maxBytes = 1024

// Signer signs and checks tokens with one key. It may be used concurrently.
type Signer struct {
	// Key is secret; whoever has it is everybody. See NewKey.
	Key []byte
	// TTL is how long a token is good.
	TTL time.Duration
	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
}

type claims struct {
	User      string `json:"user"`
	IssuedAt  int64  `json:"iat"` // seconds since the epoch
	ExpiresAt int64  `json:"exp"`
}

// NewKey makes a random key.
func NewKey() []byte {
	key := make([]byte, KeyBytes)
	rand.Read(key)
	return key
}

// Sign makes a token of user and tells until when it is good.
func (s *Signer) Sign(user string) (token string, expires time.Time, err error) {
	if len(s.Key) < KeyBytes {
		return "", time.Time{}, errors.New("token: the key is too short")
	}
	now := s.now()
	expires = now.Add(s.TTL).Truncate(time.Second)
	body, err := json.Marshal(claims{User: user, IssuedAt: now.Unix(), ExpiresAt: expires.Unix()})
	if err != nil {
		return "", time.Time{}, err
	}
	payload := base64.RawURLEncoding.EncodeToString(body)
	return payload + "." + base64.RawURLEncoding.EncodeToString(s.mac(payload)), expires, nil
}

// Check returns whose token it is and when it ends. Errors are those that an
// Authenticator returns: im.ErrUnauthenticated, im.ErrTokenExpired,
// im.ErrClockSkew.
func (s *Signer) Check(token string) (user string, expires time.Time, err error) {
	payload, mac, ok := strings.Cut(token, ".")
	if !ok || len(token) > maxBytes || len(s.Key) < KeyBytes {
		return "", time.Time{}, im.ErrUnauthenticated.With("this is no token of ours")
	}
	got, err := base64.RawURLEncoding.DecodeString(mac)
	if err != nil || !hmac.Equal(got, s.mac(payload)) {
		return "", time.Time{}, im.ErrUnauthenticated.With("the token's signature is not valid")
	}
	var c claims
	body, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil || json.Unmarshal(body, &c) != nil {
		return "", time.Time{}, im.ErrUnauthenticated.With("the token is not readable")
	}
	now, expires := s.now(), time.Unix(c.ExpiresAt, 0)
	switch {
	case now.After(expires.Add(Leeway)):
		return "", time.Time{}, im.ErrTokenExpired
	case now.Before(time.Unix(c.IssuedAt, 0).Add(-Leeway)):
		return "", time.Time{}, im.ErrClockSkew
	}
	return c.User, expires, nil
}

func (s *Signer) mac(payload string) []byte {
	h := hmac.New(sha256.New, s.Key)
	h.Write([]byte(payload))
	return h.Sum(nil)
}

func (s *Signer) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
