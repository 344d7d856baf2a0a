package conf

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

type named struct {
	Name   string            `yaml:"name"`
	Secret Secret            `yaml:"secret"`
	List   []string          `yaml:"list"`
	Map    map[string]string `yaml:"map"`
}

func TestFilesThatAreReferredToAreNamed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	text := `name: "a ${file:b/c}$${file:no}${file:/d} ${X:-y}"
secret: ${file:gone}
list: [ "$ {file:no}", "${file:b/c}", "$" ]
map: { k: "${file:" }
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path, &named{})
	if err == nil {
		t.Error("files that do not exist are no mistake")
	}
	want := []string{"/d", filepath.Join(dir, "b/c"), filepath.Join(dir, "gone")}
	if got := f.Files(); !slices.Equal(got, want) {
		t.Errorf("Files() = %q, want %q", got, want)
	}
}

func digestOf(t *testing.T, text string) [32]byte {
	t.Helper()
	f, err := Parse("a.yaml", []byte(text), &named{})
	if err != nil {
		t.Fatal(err)
	}
	before := f.Digest()
	_ = f.Problems() // which may look for excerpts
	if f.Digest() != before {
		t.Error("Digest() changes when it is asked again")
	}
	return before
}

func TestDigestIsOfWhatTheFileSays(t *testing.T) {
	const text = "name: one\nlist: [a, b]\nmap: {k: v}\n"
	for what, same := range map[string]string{
		"a comment": "# why\n" + text, "another spelling": "name: \"one\"\n\nlist:\n  - a\n  - b\nmap:\n  k: v\n",
	} {
		if digestOf(t, same) != digestOf(t, text) {
			t.Errorf("%s changes the digest", what)
		}
	}
	for what, other := range map[string]string{
		"a value": "name: two\nlist: [a, b]\nmap: {k: v}\n", "the order of a list": "name: one\nlist: [b, a]\nmap: {k: v}\n",
		"a key": "name: one\nlist: [a, b]\nmap: {l: v}\n", "an item": "name: one\nlist: [a]\nmap: {k: v}\n",
		"a reference": "name: ${FOO:-one}\nlist: [a, b]\nmap: {k: v}\n", "a key less": "name: one\nlist: [a, b]\n",
	} {
		if digestOf(t, other) == digestOf(t, text) {
			t.Errorf("%s does not change the digest", what)
		}
	}
}

func TestASecretCannotBeTriedOnTheDigest(t *testing.T) {
	if digestOf(t, "secret: hunter2") != digestOf(t, "secret: hunter3") {
		t.Error("the digest tells two secrets apart")
	}
	if digestOf(t, "name: https://eve:hunter2@example.com/") != digestOf(t, "name: https://eve:hunter3@example.com/") {
		t.Error("the digest tells two passwords in a URL apart")
	}
}
