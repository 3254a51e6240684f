package main

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"regexp"

	"example.com/h5im/examples/internal/token"
	"example.com/h5im/im"
)

// cookieName carries the same token for requests of the page's own origin.
const cookieName = "demo_token"

var validName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// signIn lets anybody in under any name: this is a demonstration. It is the
// chat's Authenticator too.
type signIn struct{ tokens token.Signer }

// login answers POST /login {"user": "alice"} with {"user", "token"}.
func (s *signIn) login(w http.ResponseWriter, r *http.Request) {
	// A form of another site cannot send JSON without a preflight.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		http.Error(w, "the Content-Type is application/json", http.StatusUnsupportedMediaType)
		return
	}
	var in struct {
		User string `json:"user"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&in); err != nil {
		http.Error(w, `the body is {"user": "alice"}`, http.StatusBadRequest)
		return
	}
	if !validName.MatchString(in.User) {
		http.Error(w, "a name has 1 to 32 of the characters a-z 0-9 _ -", http.StatusUnprocessableEntity)
		return
	}
	signed, expires, err := s.tokens.Sign(in.User)
	if err != nil {
		http.Error(w, "cannot sign in now", http.StatusInternalServerError)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: signed, Path: "/im/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
	writeJSON(w, map[string]string{"user": in.User, "token": signed})
}

// Authenticate takes the token of session.open or a bearer header, and else the
// cookie, so that pages of two users in one browser do not meet.
func (s *signIn) Authenticate(_ context.Context, h *im.Handshake) (im.Identity, error) {
	signed := h.Token
	if signed == "" && h.Request != nil {
		if c, err := h.Request.Cookie(cookieName); err == nil {
			signed = c.Value
		}
	}
	if signed == "" {
		return im.Identity{}, im.ErrUnauthenticated
	}
	user, expires, err := s.tokens.Check(signed)
	if err != nil {
		return im.Identity{}, err
	}
	return im.Identity{User: user, ExpiresAt: expires}, nil
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v)
}
