package mounts

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

func onChi(chat http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.RequestID, middleware.Logger, middleware.Recoverer)
	r.Get("/", home)
	r.Mount("/im", http.StripPrefix("/im", chat)) // chi leaves the path as it is
	return r
}
