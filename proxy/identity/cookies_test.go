package identity

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// owns is how a site judges cookie names: its own prefix, in any case.
func owns(name string) bool {
	return strings.HasPrefix(strings.ToLower(strings.TrimSpace(name)), "__host-gatehouse")
}

func TestOnlyOurCookiesAreStripped(t *testing.T) {
	for in, want := range map[string]string{
		"__Host-gatehouse=x":                           "",
		"a=1; b=2":                                     "a=1; b=2",
		"a=1;b=2 ;  c=\"x y\"; =d; e":                  "a=1;b=2 ;  c=\"x y\"; =d; e",
		"__Host-gatehouse=x; a=1; b=2":                 "a=1; b=2",
		"a=1; __Host-gatehouse=x; b=2":                 "a=1; b=2",
		"a=1; b=2; __Host-gatehouse-1=x":               "a=1; b=2",
		"a=1;__Host-gatehouse=x;b=\"q;r\"":             "a=1;b=\"q;r\"",
		"a=1; __host-GATEHOUSE=x":                      "a=1",
		"a=1; \u2000__Host-gatehouse=evil":             "a=1",
		"a=1; \x85__Host-gatehouse=evil":               "a=1",
		"a=1; \xa0__Host-gatehouse\xa0=evil":           "a=1",
		"$Version=1; __Host-gatehouse=\"x; y\"":        "$Version=1; y\"",
		"=__Host-gatehouse=evil; a=1":                  "a=1",
		"= \"__Host-gatehouse\"=evil; a=1":             "a=1",
		"__Host-gatehouse; a=1":                        "a=1",
		"__Host-gatehouse-login-0a1b2c3d=y; x=__Host-": "x=__Host-",
		"my__Host-gatehouse=1":                         "my__Host-gatehouse=1",
		"":                                             "",
	} {
		h := http.Header{"Cookie": {in}}
		StripCookies(h, owns)
		if got := strings.Join(h["Cookie"], "|"); got != want {
			t.Errorf("StripCookies(%q) = %q, want %q", in, got, want)
		}
		if _, there := h["Cookie"]; there && want == "" {
			t.Errorf("StripCookies(%q) left an empty Cookie header", in)
		}
	}
}

func TestCookieLinesStayApart(t *testing.T) {
	h := http.Header{"Cookie": {"a=1; b=2", "__Host-gatehouse=x", "c=3"}}
	StripCookies(h, owns)
	if want := []string{"a=1; b=2", "c=3"}; !slices.Equal(h["Cookie"], want) {
		t.Errorf("lines %q, want %q", h["Cookie"], want)
	}
}

func FuzzStripCookies(f *testing.F) {
	f.Add("a=1; __Host-gatehouse=x; b=2")
	f.Add("=__Host-gatehouse=x;;\"__Host-gatehouse=y\"")
	f.Fuzz(func(t *testing.T, line string) {
		r := &http.Request{Header: http.Header{"Cookie": {line}}}
		before := r.Cookies()
		StripCookies(r.Header, owns)
		after := r.Cookies()
		for _, c := range after {
			if owns(c.Name) {
				t.Fatalf("%q still carries %s", line, c.Name)
			}
		}
		before = slices.DeleteFunc(before, func(c *http.Cookie) bool { return owns(c.Name) })
		if len(before) != len(after) {
			t.Fatalf("%q: %d cookies of others became %d", line, len(before), len(after))
		}
		for i := range after {
			if before[i].String() != after[i].String() {
				t.Fatalf("%q: cookie %s became %s", line, before[i], after[i])
			}
		}
	})
}
