package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/h5im/store"
	"example.com/h5im/store/bolt"
)

// filled makes a store with a message.
func filled(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "im.db")
	s, err := bolt.Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := s.Create(ctx, store.NewConversation{ID: "g_1", Kind: store.Group, Time: 1, Members: []store.NewMember{{User: "alice"}}}); err != nil {
		t.Fatal(err)
	}
	stored, err := s.Append(ctx, []store.Append{{Message: store.Message{
		Conversation: "g_1", ID: "m", ClientID: "c", From: "alice", Time: 2, Type: "text", Content: []byte(`{"text":"kept"}`),
	}}})
	if err != nil || stored[0].Err != nil {
		t.Fatal(err, stored[0].Err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func call(in []byte, bar bool, args ...string) (status int, out []byte, log string) {
	var o, l bytes.Buffer
	c := command{in: bytes.NewReader(in), out: &o, log: &l, bar: bar}
	status = c.run(context.Background(), args)
	return status, o.Bytes(), l.String()
}

func TestBackupAndRestore(t *testing.T) {
	path, dir := filled(t), t.TempDir()
	copied, restored := filepath.Join(dir, "copy"), filepath.Join(dir, "im.db")
	if status, _, log := call(nil, true, "backup", path, copied); status != 0 || !strings.Contains(log, "100 %") || !strings.Contains(log, "[####") {
		t.Fatalf("%d %q", status, log)
	}
	if status, _, log := call(nil, false, "restore", copied, restored); status != 0 || strings.Contains(log, "\r") {
		t.Fatalf("%d %q", status, log)
	}
	epochs := map[string]bool{}
	for _, file := range []string{path, restored} {
		s, err := bolt.Open(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		page, err := s.Messages(context.Background(), store.MessagesQuery{Conversation: "g_1", Limit: 10})
		if err != nil || len(page.Messages) != 1 || string(page.Messages[0].Content) != `{"text":"kept"}` {
			t.Errorf("%s: %+v, %v", file, page, err)
		}
		epochs[info.Epoch] = true
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(epochs) != 2 {
		t.Error("the restored store has the epoch of the old one")
	}
	status, piped, _ := call(nil, false, "backup", path, "-")
	if status != 0 {
		t.Fatal(status)
	}
	if status, _, log := call(piped, false, "restore", "-", filepath.Join(dir, "piped.db")); status != 0 {
		t.Errorf("%d %q", status, log)
	}
	if status, out, log := call(nil, false, "check", restored); status != 0 || !strings.Contains(string(out), "no contradiction") {
		t.Errorf("%d %s %s", status, out, log)
	}
}

func TestCompact(t *testing.T) {
	path := filled(t)
	if status, out, log := call(nil, false, "compact", path); status != 0 || !strings.Contains(string(out), "are left") {
		t.Fatalf("%d %q %q", status, out, log)
	}
	if status, _, log := call(nil, false, "check", path); status != 0 {
		t.Fatalf("%d %q", status, log)
	}
}

func TestExportAndImport(t *testing.T) {
	path, dir := filled(t), t.TempDir()
	lines, imported := filepath.Join(dir, "lines"), filepath.Join(dir, "im.db")
	if status, _, log := call(nil, true, "export", path, lines); status != 0 || !strings.Contains(log, "1 messages of about 1 messages, 100 %") {
		t.Fatalf("%d %q", status, log)
	}
	if status, out, log := call(nil, true, "import", lines, imported); status != 0 || !strings.Contains(string(out), "1 conversations, 1 memberships, 1 messages") || !strings.Contains(log, "100 %") {
		t.Fatalf("%d %q %q", status, out, log)
	}
	if status, _, log := call(nil, false, "check", imported); status != 0 {
		t.Fatalf("%d %q", status, log)
	}
	status, piped, _ := call(nil, false, "export", imported, "-")
	if written, err := os.ReadFile(lines); status != 0 || err != nil || !bytes.Equal(piped, written) {
		t.Errorf("%d %v: exported again:\n%s\nwas\n%s", status, err, piped, written)
	}
	if status, _, log := call(piped, false, "import", "-", filepath.Join(dir, "piped.db")); status != 0 {
		t.Errorf("%d %q", status, log)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*unfinished*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestExitStatus(t *testing.T) {
	path, dir := filled(t), t.TempDir()
	_, whole, _ := call(nil, false, "backup", path, "-")
	write := func(name string, b []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	cut, flipped := write("cut", whole[:len(whole)-1]), bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	damaged, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(damaged[:1<<12])
	clear(damaged[1<<12 : 2<<12]) // both metas
	for name, c := range map[string]struct {
		args []string
		want int
		says string
	}{
		"help":                       {[]string{"-h"}, 0, ""},
		"no words":                   {nil, 2, "usage"},
		"another word":               {[]string{"mend", path}, 2, "usage"},
		"too few words":              {[]string{"backup", path}, 2, "usage"},
		"too many words":             {[]string{"check", path, "twice"}, 2, "usage"},
		"no such file":               {[]string{"check", filepath.Join(dir, "none")}, 1, "no such file"},
		"backup of no file":          {[]string{"backup", filepath.Join(dir, "none"), "-"}, 1, "no such file"},
		"backup over another":        {[]string{"backup", path, cut}, 1, "is there already"},
		"restore over a store":       {[]string{"restore", write("whole", whole), path}, 1, "exist"},
		"restore into no directory":  {[]string{"restore", write("whole", whole), filepath.Join(dir, "none", "im.db")}, 1, "no such file"},
		"restore of a cut backup":    {[]string{"restore", cut, filepath.Join(dir, "a.db")}, 3, "not a whole backup"},
		"restore of a changed one":   {[]string{"restore", write("flipped", flipped), filepath.Join(dir, "b.db")}, 3, "not a whole backup"},
		"restore of something else":  {[]string{"restore", path, filepath.Join(dir, "c.db")}, 3, "not a whole backup"},
		"compact no such file":       {[]string{"compact", filepath.Join(dir, "none")}, 1, "no such file"},
		"compact a damaged file":     {[]string{"compact", write("broken.db", damaged)}, 3, "damaged"},
		"export no such file":        {[]string{"export", filepath.Join(dir, "none"), "-"}, 1, "no such file"},
		"export over another":        {[]string{"export", path, cut}, 1, "is there already"},
		"export of what is no store": {[]string{"export", write("word", []byte("hello")), "-"}, 3, "damaged"},
		"import no such file":        {[]string{"import", filepath.Join(dir, "none"), filepath.Join(dir, "d.db")}, 1, "no such file"},
		"import over a store":        {[]string{"import", write("lines", []byte("{}")), path}, 1, "is there already"},
		"import of no lines":         {[]string{"import", write("nonsense", []byte("hello")), filepath.Join(dir, "e.db")}, 3, "line 1: "},
		"import of a cut archive":    {[]string{"import", write("begin", []byte(`{"archive":{"version":1}}`)), filepath.Join(dir, "f.db")}, 3, "line 2: the end is missing"},
		"import into no directory":   {[]string{"import", write("none of it", nil), filepath.Join(dir, "none", "im.db")}, 1, "no such file"},
		"check of a damaged file":    {[]string{"check", write("damaged.db", damaged)}, 3, "damaged"},
		"check of what is no store":  {[]string{"check", write("text", []byte("hello"))}, 3, "damaged"},
		"replacing a damaged store":  {[]string{"restore", "-f", write("whole", whole), write("old.db", damaged)}, 0, ""},
	} {
		status, _, log := call(nil, false, c.args...)
		if status != c.want || !strings.Contains(log, c.says) {
			t.Errorf("%s: %d, want %d: %s", name, status, c.want, log)
		}
	}
	for _, name := range []string{"a.db", "b.db", "c.db", "d.db", "e.db", "f.db"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was left", name)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*unfinished*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
