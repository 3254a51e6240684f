package mounts

import "net/http"

func onServeMux(chat http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.Handle("/im/", http.StripPrefix("/im", chat))
	return mux
}
