package im_test

import (
	"bytes"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"example.com/h5im/im"
)

var update = flag.Bool("update", false, "rewrite golden files")

// The document is what the SDK's types are made from: a change of the table
// shows here, and then in sdkjs.
func TestOpenRPCDocumentIsCurrent(t *testing.T) {
	srv := setup(t, im.Config{})
	w := httptest.NewRecorder()
	srv.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openrpc.json", nil))
	if w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	const golden = "testdata/openrpc.json"
	if *update {
		must(t, os.WriteFile(golden, w.Body.Bytes(), 0o600))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if !bytes.Equal(want, w.Body.Bytes()) {
		t.Errorf("%s is stale: go test ./im -update, then npm run types in sdkjs", golden)
	}
}
