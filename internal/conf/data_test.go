package conf_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/conf"
)

func TestDataIsReadAsJSONWouldBe(t *testing.T) {
	got, err := conf.Data("d.yaml", []byte(`
tenants: &t
  acme: {limit: 10, big: 12345678901234567890, part: 1.50, live: true, note: null}
  "1": [a, "2", 3, 2026-01-01, yes, "${HOME}"]
again: *t
merged:
  <<: *t
  acme: other
`))
	if err != nil {
		t.Fatal(err)
	}
	tenants := map[string]any{
		"acme": map[string]any{
			"limit": json.Number("10"), "big": json.Number("12345678901234567890"), "part": json.Number("1.50"), "live": true, "note": nil,
		},
		"1": []any{"a", "2", json.Number("3"), "2026-01-01", "yes", "${HOME}"},
	}
	want := map[string]any{
		"tenants": tenants, "again": tenants, "merged": map[string]any{"acme": "other", "1": tenants["1"]},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Data: (-want +got)\n%s", diff)
	}
}

func TestDataIsStrict(t *testing.T) {
	bombed := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 9; i++ {
		bombed += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	for text, want := range map[string]string{
		"a: 1\nb: 2\na: 3\n": `d.yaml:3:1: key "a" is written twice`,
		"a: {b: 1, b: 2}":    "written twice",
		`{"a": 1, "a": 2}`:   "written twice",
		"a: 1\n---\nb: 2\n":  "d.yaml:2:1: a second YAML document",
		"":                   "empty",
		"# nothing\n":        "empty",
		"a: 017":             "d.yaml:1:4: a number that JSON does not know",
		"a: 0x1F":            "JSON does not know",
		"a: 1_000":           "JSON does not know",
		"a: .inf":            "JSON does not know",
		"a: .nan":            "JSON does not know",
		"a: !!str 1":         "tags are not supported",
		"a: !secret x":       "tags are not supported",
		"a: [":               "this is not YAML",
		"? [a]\n: 1":         "a key must be a single word",
		"\xff\xfea":          "UTF-16",
		"a: \xffx":           "UTF-8",
		strings.Repeat("[", 150) + strings.Repeat("]", 150): "nested more than 100 deep",
		bombed:       "more than 2000000 values",
		"a: &a [*a]": "nested more than",
	} {
		if v, err := conf.Data("d.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Data(%.40q) = %v, %v, want an error with %q", text, v, err, want)
		}
	}
}

func TestDataShowsNoValue(t *testing.T) {
	_, err := conf.Data("d.yaml", []byte("phone: *hunter2\nphone: hunter2\nphone: hunter2: x\n"))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Data = %v, want an error without the value", err)
	}
}
