package gatehouse_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// reasonTypes are the types whose constants are words of gatehouse.reason, and
// the folders that hold them.
var reasonTypes = []struct{ pkg, name string }{
	{"proxy", "Reason"},
	{"policy", "Reason"},
	{"proxy/upstream", "Class"},
}

// constantsOf returns the values of the constants that a file gives a type by
// name.
func constantsOf(t *testing.T, file *ast.File, name string) []string {
	t.Helper()
	var words []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		of, ok := spec.Type.(*ast.Ident)
		if !ok || of.Name != name {
			return true
		}
		for _, v := range spec.Values {
			lit, ok := v.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				continue // it is a variable, or another's word
			}
			word, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			words = append(words, word)
		}
		return true
	})
	return words
}

// reasonsOf reads the sources of a package.
func reasonsOf(t *testing.T, pkg, name string) []string {
	t.Helper()
	entries, err := os.ReadDir(pkg)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), pkg+"/"+e.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, constantsOf(t, file, name)...)
	}
	if len(words) == 0 {
		t.Fatalf("%s has no constant of type %s, so this test reads it wrongly", pkg, name)
	}
	return words
}

// The list of reasons is closed: who reads the log finds each word on the page for
// operators, and no word there is stale.
func TestEveryReasonIsDocumented(t *testing.T) {
	text, err := os.ReadFile("docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Reasons\n")
	section, _, _ = strings.Cut(section, "\n## ")
	told := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(section, -1) {
		told[m[1]] = true
	}
	have := map[string]bool{}
	for _, r := range reasonTypes {
		for _, word := range reasonsOf(t, r.pkg, r.name) {
			have[word] = true
		}
	}
	for _, word := range slices.Sorted(maps.Keys(have)) {
		if !told[word] {
			t.Errorf("docs/operating.md does not list the reason %s", word)
		}
	}
	for _, word := range slices.Sorted(maps.Keys(told)) {
		if !have[word] {
			t.Errorf("docs/operating.md lists the reason %s, which nothing has", word)
		}
	}
}
