package mounts

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

func onGzip(chat http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", home)
	mux.Handle("/im/", http.StripPrefix("/im", chat))
	return gzhttp.GzipHandler(mux)
}
