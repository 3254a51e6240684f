package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"example.com/h5im/examples/internal/token"
	"example.com/h5im/im"
)

// newChat is the chat of a site: who somebody is, how he is called, and what he
// may do are the site's to say. Pages of the other origins need a token.
func newChat(s *site, dataDir string, otherOrigins ...string) (*chat, error) {
	c := &chat{site: s, tokens: token.Signer{Key: token.NewKey(), TTL: 15 * time.Minute, Now: s.now}}
	srv, err := im.New(im.Config{
		AppID:          "site",
		Auth:           c,
		Directory:      c,
		Policy:         im.PolicyFunc(c.allow),
		AllowedOrigins: otherOrigins,
		DataDir:        dataDir,
		Now:            s.now,
	})
	c.Server = srv
	return c, err
}

// routes are the site's, and the chat among them.
func routes(s *site, c *chat) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /home.js", s.script)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("POST /logout", s.logout)
	mux.HandleFunc("POST /chat-token", c.issue)

	all := http.NewServeMux()
	all.Handle("/", http.NewCrossOriginProtection().Handler(mux))
	// Beside that protection: the chat answers other origins itself.
	all.Handle("/im/", http.StripPrefix("/im", c))
	return all
}

type chat struct {
	im.Server
	site   *site
	tokens token.Signer
}

// Authenticate takes a token, else the site's own cookie, which im hands over
// only where the request comes from the site's own pages.
func (c *chat) Authenticate(_ context.Context, h *im.Handshake) (im.Identity, error) {
	if h.Token != "" {
		id, expires, err := c.tokens.Check(h.Token)
		return im.Identity{User: id, ExpiresAt: expires}, err
	}
	u, expires, ok := c.site.current(h.Request)
	if !ok {
		return im.Identity{}, im.ErrUnauthenticated
	}
	return im.Identity{User: u.ID, ExpiresAt: expires}, nil
}

// Profiles reads the site's user table: nobody else exists.
func (c *chat) Profiles(_ context.Context, ids []string) (map[string]im.Profile, error) {
	found := make(map[string]im.Profile, len(ids))
	for _, id := range ids {
		if u, ok := c.site.users[id]; ok {
			found[id] = im.Profile{Name: u.Name}
		}
	}
	return found, nil
}

// readOnly is what a suspended user keeps. It is a list of what is allowed, so
// that an operation of a later version is not let through by default.
var readOnly = []string{
	"session.open", "session.close", "ping", "user.get", "sync", "message.list", "message.changes",
	"conversation.get", "conversation.own", "conversation.markers", "conversation.mark", "member.list",
}

func (c *chat) allow(_ context.Context, who im.Identity, op *im.Op) error {
	if c.site.users[who.User].Suspended && !slices.Contains(readOnly, op.Name) {
		return im.ErrPermissionDenied.With("your account is suspended: you may read")
	}
	return nil
}

// issue gives who is signed in a token for pages of another origin, or an app.
func (c *chat) issue(w http.ResponseWriter, r *http.Request) {
	u, _, ok := c.site.current(r)
	if !ok {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	}
	signed, expires, err := c.tokens.Sign(u.ID)
	if err != nil {
		http.Error(w, "no token now", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": signed, "expiresAt": expires.UnixMilli()})
}
