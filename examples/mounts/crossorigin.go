package mounts

import "net/http"

func onCrossOriginProtection(chat http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.Handle("/im/", http.StripPrefix("/im", chat))
	protection := http.NewCrossOriginProtection()
	protection.AddInsecureBypassPattern("/im/") // the chat knows its AllowedOrigins
	return protection.Handler(mux)
}
