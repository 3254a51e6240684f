package mounts

import (
	"context"
	"net/http"

	"github.com/alexedwards/scs/v2"

	"example.com/h5im/im"
)

func scsAuth(sessions *scs.SessionManager) im.AuthenticatorFunc {
	return func(_ context.Context, h *im.Handshake) (im.Identity, error) {
		if user := sessions.GetString(h.Request.Context(), "user"); user != "" {
			return im.Identity{User: user}, nil
		}
		return im.Identity{}, im.ErrUnauthenticated
	}
}

func onSCS(sessions *scs.SessionManager, chat http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /login", signIn(sessions))
	mux.Handle("/im/", http.StripPrefix("/im", chat))
	return sessions.LoadAndSave(mux)
}

// signIn believes a form: a real one has a password.
func signIn(sessions *scs.SessionManager) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "user", r.FormValue("user"))
	}
}
