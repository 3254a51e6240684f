package wire_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"example.com/h5im/im/wire"
)

func protocol(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var sentence = regexp.MustCompile(`\[P(\d+)\]`)

func TestSentencesAreNumberedInOrder(t *testing.T) {
	for i, m := range sentence.FindAllStringSubmatch(protocol(t), -1) {
		if m[1] != strconv.Itoa(i+1) {
			t.Fatalf("%s follows P%d", m[0], i)
		}
	}
}

// Every sentence has a test that names it, and a test names none that is not there.
func TestTestsNameSentences(t *testing.T) {
	text := protocol(t)
	files, named := 0, map[string]bool{}
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, ".test.ts"):
			return nil
		}
		b, err := os.ReadFile(path)
		files++
		for _, name := range sentence.FindAllString(string(b), -1) {
			if !strings.Contains(text, name) {
				t.Errorf("%s names %s", path, name)
			}
			named[name] = true
		}
		return err
	})
	if err != nil || files < 10 {
		t.Fatal(files, err)
	}
	for _, name := range sentence.FindAllString(text, -1) {
		if !named[name] {
			t.Errorf("no test names %s", name)
		}
	}
}

func TestProtocolNamesEverything(t *testing.T) { // [P40] [P49]
	text := protocol(t)
	for _, m := range methods {
		if !strings.Contains(text, "\n### "+m.name+"\n") {
			t.Errorf("there is no section %s", m.name)
		}
	}
	for _, e := range events {
		if !strings.Contains(text, "\n| `"+e.name+"` | ") {
			t.Errorf("there is no event %s", e.name)
		}
	}
	for _, r := range wire.Reasons {
		if !strings.Contains(text, fmt.Sprintf("\n| `%s` | %d | ", r.Reason, r.Code)) {
			t.Errorf("there is no reason %s with the code %d", r.Reason, r.Code)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| -?\\d+ \\|").FindAllString(text, -1)
	if len(rows) != len(wire.Reasons) {
		t.Errorf("the text has %d reasons, the catalogue %d", len(rows), len(wire.Reasons))
	}
}
