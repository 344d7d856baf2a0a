package e2e

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestExplainNamesRouteRuleDecisionAndWhatWouldChangeIt(t *testing.T) {
	data := t.TempDir()
	d := startDemo(t, "--data", data)
	config := filepath.Join(data, "gatehouse.yaml")
	line := 0
	for i, l := range strings.Split(readFile(t, config), "\n") {
		if strings.Contains(l, "allow: { groups: [admins] }") {
			line = i + 1
		}
	}
	out, stderr, code := command(t, nil, "explain", "--config", config, "--as", "bob", "GET", d.url+"/admin/")
	if code != 0 {
		t.Fatalf("explain exits %d: %s%s", code, out, stderr)
	}
	for what, want := range map[string]*regexp.Regexp{
		"the route":            regexp.MustCompile(`\badmin\b`),
		"the rule's line":      regexp.MustCompile(`gatehouse\.yaml:` + strconv.Itoa(line) + `\b`),
		"the decision":         regexp.MustCompile(`(?i)\bden(y|ied)\b|403`),
		"what would change it": regexp.MustCompile(`\badmins\b`),
		"what bob has":         regexp.MustCompile(`\bstaff\b`),
	} {
		if !want.MatchString(out) {
			t.Errorf("explain does not name %s (%s):\n%s", what, want, out)
		}
	}
	for args, want := range map[string]string{
		"--as alice GET /admin/":          `(?i)\ballow`,
		"--as alice@example.com GET /":    `(?i)\ballow`,
		"GET /public/x":                   `(?i)\ballow`,
		"GET /admin/":                     `(?i)sign.in|401|302`,
		"--as bob GET /api/orders/7":      `orders\.read`,
		"--as bob --output json GET /ws":  `(?i)"the-rest"`,
		"--as bob GET /_gatehouse/x":      `(?i)gatehouse`,
		"--as bob GET //public/../admin/": `(?i)400|refuse|deny|canonical`,
	} {
		out, stderr, _ := command(t, nil, append([]string{"explain", "--config", config}, strings.Fields(args)...)...)
		if !regexp.MustCompile(want).MatchString(out + stderr) {
			t.Errorf("explain %s does not say %s:\n%s%s", args, want, out, stderr)
		}
	}
}
