// Package mounts is the chat inside the stacks that people have: a recipe for
// each, which the tests try behind each front. The README shows the recipes.
//
// A recipe gets the chat as im.New made it and the site around it.
package mounts

import (
	"context"
	"net/http"

	"example.com/h5im/im"
)

// cookieUser is the Authenticator of a site that has sessions of its own: here
// a cookie that is believed.
func cookieUser(_ context.Context, h *im.Handshake) (im.Identity, error) {
	if h.Token != "" {
		return im.Identity{User: h.Token}, nil
	}
	cookie, err := h.Request.Cookie("user")
	if err != nil {
		return im.Identity{}, im.ErrUnauthenticated
	}
	return im.Identity{User: cookie.Value}, nil
}

func home(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("home")) }
