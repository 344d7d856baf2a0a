package policy_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/conf"
	"gatehouse/policy"
	"gatehouse/proxy"
)

// manual is docs/policy.md.
func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// config is the configuration as far as routes and rules go.
type config struct {
	proxy.Config `yaml:",inline"`
	Policy       policy.Config `yaml:"policy"`
}

// load reads routes as gatehouse does, and compiles their rules beside the
// operators' modules in dir.
func load(t *testing.T, dir, routes string) *policy.Policy {
	t.Helper()
	text := "public_url: https://app.example.com\nlisten: 8080\nupstreams: { app: http://127.0.0.1:3000 }\n" +
		"policy: { custom: [rego] }\n" + routes
	var c config
	if _, err := conf.Parse(filepath.Join(dir, "gatehouse.yaml"), []byte(text), &c); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	p, err := policy.Compile(context.Background(), c.Policy, c.Rules())
	if err != nil {
		t.Fatalf("Compile: %v\n%s", err, text)
	}
	return p
}

// blocks returns the code blocks of a language.
func blocks(text, language string) []string {
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}

// modules writes the manual's Rego, and a rule that its table names, into dir.
func modules(t *testing.T, dir, text string) {
	t.Helper()
	for i, module := range append(blocks(text, "rego"), "package orders\n\nallow if input.user\n") {
		name := filepath.Join(dir, "rego", string(rune('a'+i))+".rego")
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(module), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExamplesOfTheManualAreRules(t *testing.T) {
	text, dir := manual(t), t.TempDir()
	modules(t, dir, text)
	examples := blocks(text, "yaml")
	for _, routes := range examples {
		load(t, dir, routes)
	}
	if len(examples) < 4 {
		t.Errorf("the manual has %d examples, want at least 4", len(examples))
	}
}

func TestConditionsOfTheManualAreRules(t *testing.T) {
	text, dir := manual(t), t.TempDir()
	modules(t, dir, text)
	var keys []string
	for _, m := range regexp.MustCompile("(?m)^\\| `({ ([a-z_]+):.*?})` \\|").FindAllStringSubmatch(text, -1) {
		load(t, dir, "routes: [{ name: it, match: { path: /** }, allow: "+m[1]+" }]\n")
		keys = append(keys, m[2])
	}
	want := []string{
		"groups", "scopes", "users", "clients", "email_domains", "claims", "ip", "time", "method", "any_of", "all_of", "not", "opa",
	}
	if keys = slices.Compact(keys); !slices.Equal(keys, want) {
		t.Errorf("the manual shows the conditions %q, want %q", keys, want)
	}
}

func TestTheManualListsEveryReason(t *testing.T) {
	_, reasons, _ := strings.Cut(manual(t), "## Reasons")
	var listed []policy.Reason
	for _, line := range strings.Split(reasons, "\n") {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "|"), "|")
		for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(first, -1) {
			if strings.HasPrefix(line, "|") {
				listed = append(listed, policy.Reason(m[1]))
			}
		}
	}
	want := policy.Reasons()
	slices.Sort(listed)
	slices.Sort(want)
	if !slices.Equal(listed, want) {
		t.Errorf("the manual lists the reasons\n%q, want\n%q", listed, want)
	}
}
