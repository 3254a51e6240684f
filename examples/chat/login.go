package main

import (
	"context"
	"encoding/json"
	"io"
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

// loginRoute is login for pages of this site, and for what is no page.
func (s *signIn) loginRoute() http.Handler {
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "permission_denied", "a page of another site signs nobody in")
	}))
	return own.Handler(http.HandlerFunc(s.login))
}

// login answers POST /login {"user": "alice"} with {"user", "token"}, or with
// an error of the shape that the chat's own have.
func (s *signIn) login(w http.ResponseWriter, r *http.Request) {
	// A form of another site cannot send JSON without a preflight.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "invalid_request", "the Content-Type is application/json")
		return
	}
	var in struct {
		User string `json:"user"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<10))
	if err != nil || json.Unmarshal(body, &in) != nil {
		refuse(w, http.StatusBadRequest, "parse_error", `the body is {"user": "alice"}`)
		return
	}
	if !validName.MatchString(in.User) {
		refuse(w, http.StatusUnprocessableEntity, "invalid_argument", "a name has 1 to 32 of the characters a-z 0-9 _ -")
		return
	}
	signed, expires, err := s.tokens.Sign(in.User)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "internal", "cannot sign in now")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: signed, Path: "/im/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
	})
	writeJSON(w, http.StatusOK, map[string]string{"user": in.User, "token": signed})
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

func refuse(w http.ResponseWriter, status int, reason, message string) {
	writeJSON(w, status, map[string]any{
		"error": map[string]any{"code": status, "message": message, "data": map[string]string{"reason": reason}},
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
