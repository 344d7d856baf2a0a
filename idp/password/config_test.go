package password_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/idp/password"
	"gatehouse/internal/conf"
)

func TestConfigSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"min_length: 7":            "min_length must be 8 to 256",
		"min_length: 257":          "min_length must be 8 to 256",
		"require: [upper, number]": `"number", want upper, lower, digit or symbol`,
		"require: [upper, upper]":  "upper stands here twice",
		"strength: 5":              "strength must be 0 (off) to 4",
		"history: 25":              "history must be 0 to 24",
		"temporary_ttl: 30m":       "want 1h to 365d",
		"queue: -1":                "must not be negative",
		"breached: { range_url: http://example.com }":         "must begin with https://",
		"breached: { range_url: https://u:p@example.com }":    "range_url",
		"breached: { range_url: 'https://example.com/?a=b' }": "range_url",
		"breached: { filter: f, at: [login] }":                "want sign_up, change or sign_in",
		"breached: { filter: f, at: [change, change] }":       "change stands here twice",
		"breached: { filter: f, action: warn }":               "want block, require_change or report",
		"breached: { filter: f, min_count: 0 }":               "at least 1",
	} {
		var c struct {
			Password password.Config `yaml:"password"`
		}
		_, err := conf.Parse("test.yaml", []byte("password: { "+text+" }\n"), &c)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %q in it", text, err, want)
		}
	}
}

func TestConfigTakesWhatIsRight(t *testing.T) {
	var c struct {
		Password password.Config `yaml:"password"`
	}
	const text = `
password:
  min_length: 12
  require: [upper, lower, digit, symbol]
  strength: 0
  history: 24
  temporary_ttl: 1h
  breached: { filter: breach.filter, range_url: "http://127.0.0.1:9/range", at: [sign_in], action: report, min_count: 5 }
`
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "breach.filter"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := conf.Parse(filepath.Join(dir, "test.yaml"), []byte(text), &c)
	if err != nil {
		t.Fatal(err)
	}
	if w := f.Problems().Warnings(); len(w) != 0 {
		t.Errorf("warnings = %v", w)
	}
	if got := c.Password.Breached.Filter; got != filepath.Join(dir, "breach.filter") {
		t.Errorf("filter = %q", got)
	}
}

func TestConfigWarnsOfAChangeThatNobodyIsAskedFor(t *testing.T) {
	for at, warned := range map[string]bool{"[sign_up, change]": true, "[sign_up, change, sign_in]": false} {
		var c struct {
			Password password.Config `yaml:"password"`
		}
		text := "password: { breached: { range_url: 'https://range.example.com/', action: require_change, at: " + at + " } }\n"
		f, err := conf.Parse("test.yaml", []byte(text), &c)
		if err != nil {
			t.Fatal(err)
		}
		w := f.Problems().Warnings()
		if warned && (len(w) != 1 || !strings.Contains(w[0].String(), "at does not name sign_in")) || !warned && len(w) != 0 {
			t.Errorf("at %s: warnings = %v", at, w)
		}
	}
}

func TestConfigWarnsOfALookUpWithoutAList(t *testing.T) {
	var c struct {
		Password password.Config `yaml:"password"`
	}
	f, err := conf.Parse("test.yaml", []byte("password: { breached: { action: block } }\n"), &c)
	if err != nil {
		t.Fatal(err)
	}
	if w := f.Problems().Warnings(); len(w) != 1 || !strings.Contains(w[0].String(), "neither filter nor range_url") {
		t.Errorf("warnings = %v, want one that nothing is looked up", w)
	}
}
