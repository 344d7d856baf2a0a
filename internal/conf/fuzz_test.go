package conf_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/conf"
	"gopkg.in/yaml.v3"
)

// FuzzParse feeds arbitrary text: nothing panics, every mistake has a place
// inside the file, and no value below a secret or unknown key is told.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"clients: [{id: a, clinet_secret: hunter2hunter2, foo: 'x'}]\n",
		"clients:\n- client_secret: |\n    hunter2hunter2\n  foo: 1\n- bar: {a: correcthorse}\n",
		"key: &a hunter2hunter2\nlisten: *a\nroutes: [{name: r, allow: {any_of: [anyone]}}]\n",
		"key: \"open hunter2hunter2\nlisten: 1\n",
		"session: {idle: ${A}, max_cookie: '${file:x}'}\nx: <<\n",
		"\ufeffkey: 'a\r\n  hunter2hunter2'\r\nlisen: \u2028 1\n",
		"a: b: *c\n--- x\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		// A reference names where a secret is kept; its name may be told. And
		// what it reads depends on the machine.
		if strings.Contains(text, "${") {
			text = strings.ReplaceAll(text, "${", "{")
		}
		var h house
		_, err := conf.Parse("gatehouse.yaml", []byte(text), &h)
		if err == nil {
			return
		}
		var p *conf.Problems
		if !errors.As(err, &p) {
			t.Fatalf("Parse(%q) = %v, want *Problems", text, err)
		}
		for _, e := range p.Errors() {
			if e.Pos.Line > strings.Count(text, "\n")+strings.Count(text, "\r")+strings.Count(text, "\u2028")+
				strings.Count(text, "\u2029")+strings.Count(text, "\u0085")+1 {
				t.Errorf("Parse(%q): line %d is not in the file", text, e.Pos.Line)
			}
		}
		for _, s := range secretsOf(text) {
			if strings.Contains(err.Error(), s) {
				t.Errorf("Parse(%q) tells %q:\n%v", text, s, err)
			}
		}
	})
}

var longWord = regexp.MustCompile(`[A-Za-z0-9]{10,}`)

// secretsOf returns the long words of text that stand nowhere but below a
// secret or an unknown key; of a text that is not YAML, all long words that
// are no key.
func secretsOf(text string) []string {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return unique(text, longWord.FindAllString(text, -1))
	}
	var words []string
	var walk func(n *yaml.Node, under bool)
	walk = func(n *yaml.Node, under bool) {
		if under && n.Kind == yaml.ScalarNode {
			words = append(words, longWord.FindAllString(n.Value, -1)...)
		}
		for i, c := range n.Content {
			inside := under
			if n.Kind == yaml.MappingNode && i%2 == 1 {
				key := n.Content[i-1].Value
				inside = under || key == "key" || key == "client_secret" || key == "clinet_secret" || key == "foo"
			}
			walk(c, inside)
		}
	}
	walk(&root, false)
	return unique(text, words)
}

// schemaWords are keys of house, and words of the messages about syntax.
const schemaWords = "public_url listen ratio port debug address trusted session idle max_cookie clients id client_secret " +
	"providers headers claims routes name match path websocket allow groups any_of not key level gatehouse indentation " +
	"differently neighbours characters supported UNSET"

func unique(text string, words []string) []string {
	var out []string
	for _, w := range words {
		if strings.Count(text, w) == 1 && !strings.Contains(schemaWords, w) {
			out = append(out, w)
		}
	}
	return out
}
