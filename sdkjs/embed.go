// Package sdkjs carries the built browser SDK, so that a Go program serves it
// without Node.
package sdkjs

import (
	"embed"
	"io/fs"
)

//go:embed dist
var dist embed.FS

// FS is the built SDK, rooted at dist: h5-im-sdk.js for a script tag, index.js
// as a module, and the type declarations. It is read-only and safe for
// concurrent use.
func FS() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil { // only an invalid path can fail, and this one is constant
		return dist
	}
	return sub
}
