package conf_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

// Each text holds hunter2 where a secret or a misspelt secret stands, and a
// mistake whose excerpt shows that line or the one after it.
func TestExcerptsNeverShowASecret(t *testing.T) {
	for _, text := range []string{
		"clients:\n- id: a\n  clinet_secret: hunter2\n",
		"clients: [{id: a, clinet_secret: hunter2}]\n",
		"clients: [{id: a, clinet_secret: 'it''s hunter2', foo: \"\\\"hunter2\"}]\n",
		"clients:\n- clinet_secret: |\n    hunter2\n  foo: 1\n",
		"clients:\n- clinet_secret: >-\n\n    x\n    hunter2\n- foo: 1\n",
		"clients:\n- client_secret: \"a\n    hunter2\"\n  foo: 1\n",
		"clients:\n- client_secret: 'a\n    hunter2'\n  foo: 1\n",
		"clients:\n- client_secret: a\n    hunter2\n  foo: 1\n",
		"clients:\n- {client_secret: \"a\n    hunter2\", foo: 1}\n",
		"clients:\n- {client_secret: a\n    hunter2, foo: 1}\n",
		"clients: [{client_secret: hunter2, foo: 1}]\n",
		"clients: [{client_secret: [hunter2]}]\n",
		"clients: [{client_secret: {hunter2: 1}}]\n",
		"clients: [{client_secret: {a: hunter2}}]\n",
		"clients: [{client_secret:hunter2}]\n",
		"clients: [{client_secret hunter2}]\n",
		"clients: [{foo: 1, client_secret: !hunter2 }]\n",
		"clients: [{foo: 1, client_secret: &hunter2 }]\n",
		"clients: [{foo: 1, client_secret: *hunter2 }]\n",
		"clients: [{client_secret: *hunter2}]\n",
		"clients: [{client_secret: \"hunter2}]\n",
		"clients: [{client_secret: 'hunter2}]\n",
		"clients:\n  - client_secret: a: hunter2\n",
		"clients:\n  - client_secret: @hunter2\n",
		"clients:\n  - client_secret: %hunter2\n",
		"clients:\n  - client_secret: \"\\hunter2\"\n",
		"clients:\n  - client_secret: |\n   \thunter2\n foo\n",
		"clients:\n  - client_secret: [a, hunter2\n",
		"clients:\n  - client_secret hunter2\n    foo: 1\n",
		"# hunter2\nfoo: 1\n",
		"foo: 1 # hunter2\n",
		"clients: [{client_secret: ${a hunter2}}]\n",
		"key: 'pa${ hunter2'\n",
		"key: 'pa${hunter2!}'\nfoo: 1\n",
		"key: &a hunter2\nlisten: *a\n",
		"x-key: &a hunter2\nkey: *a\nheaders: {b: *a}\nfoo: 1\n",
		"session: hunter2\n",
		"session: {idle: 1h, idel: hunter2}\n",
		"headers: {u: 'https://u:hunter2@example.com', v: [1]}\n",
		"public_url: https://u:hunter2@example.com\n",
		"public_url: https://example.com/?sig=hunter2\nfoo: 1\n",
		"public_url: https://u:hunter2?@example.com/?hunter2\n",
		"listen: https://example.com/?sig=hunter2\n",
		"listen: https://example.com/?sig=x&to=hunter2@example.com\n",
		"headers: {u: \"https://example.com/\\x3fsig=hunter2&a=?\", v: [1]}\n",
		"headers: {u: 'https://example.com/?it''s=hunter2', v: [1]}\n",
		"headers:\n  u: https://example.com/?sig=\n    hunter2\n  v: [1]\n",
		"headers:\n  u: \"https://example.com/?sig=\\\n    hunter2\"\n  v: [1]\n",
		"headers:\n  u: |-\n    https://example.com/?sig=hunter2\n  v: [1]\n",
		"headers: {u: &a https://example.com/?sig=hunter2, v: [1]}\n",
		"headers: {https://example.com/?sig=hunter2: [1]}\n",
		"trusted: ['https://example.com/?sig=hunter2', 1]\n",
		"clients:\n- client_secret: hunter2\n  client_secret: hunter2\n",
		"client_secret: hunter2\n---\nkey: hunter2\n",
		"key: hunter2\n--- hunter2\n",
		"clients:\n- client_secret: |2-\n    hunter2\n# hunter2\n- foo: 1\n",
	} {
		_, _, err := parse(text)
		switch {
		case err == nil:
			t.Errorf("Parse(%q) found nothing wrong", text)
		case strings.Contains(err.Error(), "hunter2"):
			t.Errorf("Parse(%q) tells the secret:\n%v", text, err)
		}
	}
}

func TestTheAddressBeforeAQueryStaysReadable(t *testing.T) {
	_, _, err := parse("listen: https://example.com/b?sig=hunter2\nheaders: {u: 'https://example.com/?k=hunter2', v: [1], w: 'a?b'}\n")
	for _, want := range []string{
		`want a whole number, got "https://example.com/b?***"`,
		"    1 | listen: https://example.com/b?***\n      |         ^^^^^^^^^^^^^^^^^^^^^^^^^\n",
		"    2 | headers: {u: 'https://example.com/?***, v: [***], w: 'a?b'}",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got:\n%v\nwant in it:\n%s", err, want)
		}
	}
}

func TestReferencesStayReadable(t *testing.T) {
	_, _, err := parse("key: ${GATEHOUSE_TEST_UNSET}\n")
	want := `gatehouse.yaml:1:6: environment variable GATEHOUSE_TEST_UNSET is not set (used by key)
    1 | key: ${GATEHOUSE_TEST_UNSET}
      |      ^^^^^^^^^^^^^^^^^^^^^^^

1 error`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestExpandedValuesAreNotTold(t *testing.T) {
	t.Setenv("GATEHOUSE_TEST_PORT", "hunter2")
	wrong(t, "listen: ${GATEHOUSE_TEST_PORT}", `1:9: listen: want a whole number, got "${GATEHOUSE_TEST_PORT}"`)
}

func TestReferences(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GATEHOUSE_TEST_A", "a b: {c}")
	t.Setenv("GATEHOUSE_TEST_EMPTY", "")
	t.Setenv("GATEHOUSE_TEST_LOOP", "${GATEHOUSE_TEST_A}")
	write(t, dir, "plain", "from file\n")
	write(t, dir, "two", "two\r\n\n")
	write(t, dir, "none", "no break")
	for text, want := range map[string]string{
		"${GATEHOUSE_TEST_A}":                  "a b: {c}",
		"x${GATEHOUSE_TEST_A}y":                "xa b: {c}y",
		"${GATEHOUSE_TEST_EMPTY}":              "",
		"${GATEHOUSE_TEST_EMPTY:-d}":           "d",
		"${GATEHOUSE_TEST_UNSET:-http://a:1/}": "http://a:1/",
		"${GATEHOUSE_TEST_UNSET:-}":            "",
		"${GATEHOUSE_TEST_LOOP}":               "${GATEHOUSE_TEST_A}",
		"$${GATEHOUSE_TEST_A} $5 $":            "${GATEHOUSE_TEST_A} $5 $",
		"${file:plain}":                        "from file",
		"${file:" + dir + "/two}":              "two\r\n",
		"${file:none}":                         "no break",
	} {
		var h house
		_, err := conf.Parse(filepath.Join(dir, "gatehouse.yaml"), []byte("key: '"+text+"'\n"), &h)
		if err != nil || h.Key.Reveal() != want {
			t.Errorf("%s = %q, %v, want %q", text, h.Key.Reveal(), err, want)
		}
	}
}

func TestBrokenReferences(t *testing.T) {
	const must = "${…} must hold NAME, NAME:-default or file:/path; write $$ for a dollar sign (used by key)"
	wrong(t, "key: ${GATEHOUSE_TEST_UNSET}", "1:6: environment variable GATEHOUSE_TEST_UNSET is not set (used by key)")
	wrong(t, "key: ${file:/nowhere/at-all}", "1:6: cannot read /nowhere/at-all: no such file or directory (used by key)")
	wrong(t, "key: ${file:/}", "1:6: cannot read /: it is a folder (used by key)")
	wrong(t, "key: ${file:/dev/zero}", "1:6: cannot read /dev/zero: it is not a regular file (used by key)")
	wrong(t, "key: ${file:}", "1:6: ${file:} names no file (used by key)")
	wrong(t, "key: ${a b}", "1:6: "+must)
	wrong(t, "key: ${}", "1:6: "+must)
	wrong(t, "key: a${b", `1:6: key: "${" without "}"; write $$ for a dollar sign`)
}

func TestUnquotedBracesInFlow(t *testing.T) {
	const say = "values with braces must be quoted inside { } and [ ]"
	wrong(t, "clients: [{id: a, client_secret: ${SECRET}}]\n", "1:34: "+say)
	wrong(t, "listen: 1\nclients:\n- { id: a,\n    client_secret: ${file:/run/secrets/a} }\n", "4:20: "+say)
	wrong(t, "trusted: [10.0.0.0/8, ${NET}]\n", "1:23: "+say)
}

func TestSyntaxErrorsHaveAPlace(t *testing.T) {
	for text, want := range map[string]string{
		"listen: 1\nkey: a: b\n":                      "2:7",
		"listen: 1\n\tkey: a\n":                       "2:1",
		"listen: 1\nkey: \"open\nlevel: a\nport: 1\n": "2:6",
		"clients:\n  - id: a\n client_secret: b\n":    "3:2",
		"clients: [{id: a}\nlisten: 1\n":              "1:10",
		"listen: 1\nkey: @a\n":                        "2:6",
		"listen: 1\nlevel: \x01\n":                    "2:8",
		"listen: 1\nlevel: \xff\xfe\n":                "2:8",
		"listen: 1\nkey: *nowhere\n":                  "2:6",
		"listen: 1\n---\na: b: c\n":                   "3:5",
	} {
		_, _, err := parse(text)
		if err == nil || !strings.HasPrefix(err.Error(), "gatehouse.yaml:"+want+": this is not YAML: ") ||
			!strings.Contains(err.Error(), "^") {
			t.Errorf("Parse(%q) = %v, want an excerpt at %s", text, err, want)
		}
	}
}

func TestSecretsPrintAsStars(t *testing.T) {
	s := conf.Secret("hunter2")
	j, err := json.Marshal(map[string]any{"a": s, "b": []conf.Secret{s}})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", s, "in", struct{ S conf.Secret }{s})
	out := string(j) + log.String() + fmt.Sprintf("%v %s %q %x %#v %+v %d %v", s, s, s, s, s, s, s, client{Secret: s})
	if strings.Contains(out, "hunter2") || strings.Contains(out, "68756e") {
		t.Errorf("a secret is printed: %s", out)
	}
	if s.Reveal() != "hunter2" || conf.Secret("").String() != "" {
		t.Error("Reveal must return the value, and an empty secret prints nothing")
	}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
