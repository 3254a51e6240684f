package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// weighed is what a program consists of.
type weighed struct {
	bytes             int64
	packages, modules int
}

func weigh(t *testing.T, program string) weighed {
	t.Helper()
	run := func(args ...string) string {
		cmd := exec.Command("go", args...)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go %s: %v", strings.Join(args, " "), err)
		}
		return string(out)
	}
	binary := filepath.Join(t.TempDir(), program)
	run("build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./weight/"+program)
	info, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	w := weighed{bytes: info.Size()}
	modules := map[string]bool{}
	for line := range strings.Lines(run("list", "-deps", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", "./weight/"+program)) {
		w.packages++
		_, module, _ := strings.Cut(strings.TrimSpace(line), " ")
		modules[module] = true
	}
	delete(modules, "")                                // the standard library's
	delete(modules, "example.com/h5im/examples/bench") // the program's own
	w.modules = len(modules)
	return w
}

// What importing im adds to a program that serves HTTP, beside what centrifuge
// adds: the README states the figures.
func TestWeight(t *testing.T) {
	plain, ours, peer := weigh(t, "http"), weigh(t, "im"), weigh(t, "centrifuge")
	added := func(w weighed) weighed {
		return weighed{w.bytes - plain.bytes, w.packages - plain.packages, w.modules - plain.modules}
	}
	a, b := added(ours), added(peer)
	t.Logf("net/http alone: %.1f MB, %d packages, %d modules", float64(plain.bytes)/1e6, plain.packages, plain.modules)
	t.Logf("im adds         %.1f MB, %d packages, %d modules", float64(a.bytes)/1e6, a.packages, a.modules)
	t.Logf("centrifuge adds %.1f MB, %d packages, %d modules", float64(b.bytes)/1e6, b.packages, b.modules)
	if a.bytes > b.bytes || a.packages > b.packages || a.modules > b.modules {
		t.Errorf("im adds more than centrifuge: %+v, %+v", a, b)
	}
}
