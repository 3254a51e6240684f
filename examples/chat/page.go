package main

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
)

//go:embed page
var pageFiles embed.FS

// csp lets the page load nothing that does not come from this server, run no
// inline script and be framed by nobody.
const csp = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

// servePage serves the page and its modules. They are checked at each load and
// sent again when the program has changed.
func servePage() http.Handler {
	files, _ := fs.Sub(pageFiles, "page") // fails for an invalid path only, and this is none
	tag := etag(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "pages are read only", http.StatusMethodNotAllowed)
			return
		}
		name := path.Clean(r.URL.Path)[1:]
		if r.URL.Path == "/" {
			name = "index.html"
		} else if name == "index.html" {
			http.NotFound(w, r)
			return
		}
		if info, err := fs.Stat(files, name); err != nil || info.IsDir() {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		http.ServeFileFS(w, r, files, name)
	})
}

func etag(files fs.FS) string {
	sum := sha256.New()
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		sum.Write([]byte(name))
		sum.Write(b)
		return err
	})
	return `"` + hex.EncodeToString(sum.Sum(nil)[:12]) + `"`
}
