package mounts

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the recipes into the READMEs")

// recipes are what the READMEs show, by the declarations of a file.
var recipes = []struct {
	title, file string
	decls       []string // none: the whole file
}{
	{"net/http", "servemux.go", []string{"onServeMux"}},
	{"chi", "chi.go", []string{"onChi"}},
	{"gin", "gin.go", []string{"onGin"}},
	{"echo v4", "echo4.go", []string{"onEcho4"}},
	{"echo v5", "echo5.go", []string{"onEcho5"}},
	{"scs", "scs.go", []string{"scsAuth", "onSCS"}},
	{"otelhttp", "otel.go", []string{"onOtel"}},
	{"gzhttp", "gzip.go", []string{"onGzip"}},
	{"http.CrossOriginProtection", "crossorigin.go", []string{"onCrossOriginProtection"}},
	{"http.ResponseWriter", "middleware.go", []string{"recorder", "Unwrap"}},
	{"nginx", "nginx.conf", nil},
}

const (
	longest = 15 // lines of a recipe
	begin   = "<!-- recipes: go test ./examples/mounts -update -->\n"
	end     = "<!-- end of the recipes -->"
)

// source returns declarations of a file as they stand there.
func source(t *testing.T, file string, decls []string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if decls == nil {
		return string(b)
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, b, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, name := range decls {
		for _, d := range parsed.Decls {
			from := d.Pos()
			var doc *ast.CommentGroup
			switch d := d.(type) {
			case *ast.FuncDecl:
				if doc = d.Doc; d.Name.Name != name {
					continue
				}
			case *ast.GenDecl:
				spec, ok := d.Specs[0].(*ast.TypeSpec)
				if doc = d.Doc; !ok || spec.Name.Name != name {
					continue
				}
			}
			if doc != nil {
				from = doc.Pos()
			}
			out = append(out, string(b[files.Position(from).Offset:files.Position(d.End()).Offset])+"\n")
		}
	}
	if len(out) != len(decls) {
		t.Fatalf("%s has not all of %v", file, decls)
	}
	return strings.Join(out, "\n")
}

// The recipes of the READMEs are those that the tests have tried.
func TestRecipesOfTheREADMEs(t *testing.T) {
	var want strings.Builder
	for _, r := range recipes {
		code := source(t, r.file, r.decls)
		if n := strings.Count(code, "\n"); n > longest {
			t.Errorf("the recipe for %s has %d lines", r.title, n)
		}
		language := "go"
		if r.decls == nil {
			language = "nginx"
		}
		fmt.Fprintf(&want, "<details><summary>%s</summary>\n\n```%s\n%s```\n\n</details>\n\n", r.title, language, code)
	}
	for _, file := range []string{"../../README.md", "../../README.zh-CN.md"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, found := strings.Cut(string(b), begin)
		got, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			t.Errorf("%s has no place for the recipes", file)
			continue
		}
		if *update {
			if err := os.WriteFile(file, []byte(before+begin+want.String()+end+after), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if got != want.String() {
			t.Errorf("%s shows other recipes: go test -update writes them", file)
		}
	}
}
