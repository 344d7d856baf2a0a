package canon

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// The upstreams of the fuzz test share no code with the package: they decode
// with net/url and put paths together from lists of segments.

// segmentsOf splits a path, resolves dots and merges empty segments.
func segmentsOf(path string) string {
	var list []string
	parts := strings.Split(path, "/")
	for _, s := range parts {
		switch s {
		case "", ".":
		case "..":
			list = list[:max(len(list)-1, 0)]
		default:
			list = append(list, s)
		}
	}
	out := "/" + strings.Join(list, "/")
	if len(list) > 0 && parts[len(parts)-1] == "" {
		out += "/"
	}
	return out
}

// before returns s up to the first of the characters.
func before(s, chars string) string {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i]
	}
	return s
}

// eager decodes everything, takes backslashes for slashes, cuts parameters of
// each segment, what looks like a query or a fragment, and trims.
func eager(escaped string) string {
	decoded, err := url.PathUnescape(escaped)
	if err != nil {
		return "error"
	}
	decoded = before(decoded, "?#")
	parts := strings.Split(strings.ReplaceAll(decoded, `\`, "/"), "/")
	for i, s := range parts {
		parts[i] = strings.TrimFunc(before(s, ";"), unicode.IsSpace)
	}
	return segmentsOf(strings.Join(parts, "/"))
}

// cutting drops everything after the first ";", then reads like eager.
func cutting(escaped string) string {
	decoded, _ := url.PathUnescape(escaped)
	return eager(url.PathEscape(before(decoded, ";")))
}

// tomcat cuts parameters before it decodes.
func tomcat(escaped string) string {
	parts := strings.Split(escaped, "/")
	for i, s := range parts {
		parts[i] = before(s, ";")
	}
	decoded, _ := url.PathUnescape(strings.Join(parts, "/"))
	return segmentsOf(decoded)
}

// decoding decodes once and resolves dots, as most frameworks do.
func decoding(escaped string) string {
	decoded, _ := url.PathUnescape(escaped)
	return segmentsOf(decoded)
}

// strict splits first and decodes each segment on its own; a slash inside a
// segment is written as in Request.Other.
func strict(escaped string) string {
	parts := strings.Split(escaped, "/")
	for i, s := range parts {
		decoded, _ := url.PathUnescape(s)
		parts[i] = strings.ReplaceAll(decoded, "/", "%2F")
	}
	return segmentsOf(strings.Join(parts, "/"))
}

// twice decodes until it has decoded twice.
func twice(escaped string) string {
	once, _ := url.PathUnescape(escaped)
	again, err := url.PathUnescape(once)
	if err != nil {
		again = once
	}
	return segmentsOf(again)
}

// FuzzUpstreamsReadWhatPolicySaw is the global property: whatever the client
// sends and whatever server stands behind, the path that the server resolves
// is Path, or Other, and only the oddities noted make a difference.
func FuzzUpstreamsReadWhatPolicySaw(f *testing.F) {
	for _, s := range []string{
		"/", "//", "/admin/x", "/public/../admin", "/public/%2e%2e/admin", "/public/..%2fadmin", "/public%5c..%5cadmin",
		"/public/..;/admin", "/admin;x=1", "/admin/%3bx", "/a%23b/c", "/a%3fb", "/a%20", "/%20a/b", "/a%252fb", "/a%252e%252e/b",
		"/a%25%32%66b", "/100%25", "/a//b///", "/%c3%bc", "/a\xc3\xbc", "/a%00", "/a%c2%85", "/...", "/a+b?c=d", "/a%2f/%2fb",
		"/;", "/;/", "/%2f", "/%2f%2f", "/ %20", "/a%c2%a0/b", "/%25", "/%25%25", "/a%2525", "/.%20./b", "/%e2%80%a8", "/a;.", "/a#b",
	} {
		f.Add(s)
	}
	f.Fuzz(checkTarget)
}

// TestUpstreamsReadWhatPolicySaw is the same property over targets put together
// from the pieces that attacks are made of, which random bytes seldom hit.
func TestUpstreamsReadWhatPolicySaw(t *testing.T) {
	pieces := []string{
		"/", "/", "/", "//", ".", "..", "a", "admin", "%61", "%2e", "%2E", "%2f", "%2F", "%5c", ";", "%3b", "%23", "%3f",
		"%20", "%25", "2f", "2e", "41", "%c3%bc", "\xc3\xbc", "%c2%a0", "%c2", "%85", "%00", "+", "%2b", "?", "#", `\`, "%e2%80%83",
	}
	random := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for range 100_000 {
		raw := "/"
		for range 1 + random.IntN(9) {
			raw += pieces[random.IntN(len(pieces))]
		}
		checkTarget(t, raw)
		if _, err := parseTarget(raw); err == nil {
			taken++
		}
		if t.Failed() {
			return
		}
	}
	if taken < 3_000 {
		t.Errorf("only %d targets were taken, the property was hardly asked", taken)
	}
}

func checkTarget(t *testing.T, raw string) {
	got, err := parseTarget(raw)
	if err != nil {
		if got != (target{}) {
			t.Fatalf("parseTarget(%q) = %+v beside %v", raw, got, err)
		}
		return
	}
	checkForm(t, raw, got)
	readings := map[string]bool{got.path: true}
	if got.other != "" {
		// Servers merge what a literal reading keeps apart.
		readings[got.other], readings[segmentsOf(got.other)] = true, true
	}
	for name, upstream := range map[string]func(string) string{
		"eager": eager, "cutting": cutting, "tomcat": tomcat, "decoding": decoding, "strict": strict, "twice": twice,
	} {
		if resolved := upstream(got.escaped); !readings[resolved] {
			t.Errorf("parseTarget(%q): a server that reads %q (%s) resolves %q, policy saw %q or %q", raw, got.escaped, name, resolved, got.path, got.other)
		}
	}
	if got.odd&DoubleEncoding == 0 && eager(got.escaped) != got.path {
		t.Errorf("parseTarget(%q): the normalising upstream resolves %q, policy saw %q", raw, eager(got.escaped), got.path)
	}
	if decoded, err := url.PathUnescape(got.escaped); got.odd&twoReadings&^DoubleEncoding == 0 && (err != nil || decoded != got.path) {
		t.Errorf("parseTarget(%q): %q decodes to %q, %v; want %q", raw, got.escaped, decoded, err, got.path)
	}
}

// checkForm looks at what holds for every canonical target.
func checkForm(t *testing.T, raw string, got target) {
	t.Helper()
	for _, p := range []string{got.path, got.other} {
		if p == "" && got.odd&twoReadings == 0 {
			continue
		}
		if p == "" || p[0] != '/' || !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) {
			t.Errorf("parseTarget(%q) reads %q", raw, p)
		}
		for s := range strings.SplitSeq(p, "/") {
			if s == "." || s == ".." {
				t.Errorf("parseTarget(%q) reads %q, with a dot segment", raw, p)
			}
		}
	}
	if strings.Contains(got.path, "//") || got.odd&Never != 0 {
		t.Errorf("parseTarget(%q) = %q, odd %v", raw, got.path, got.odd)
	}
	for i := range len(got.escaped) {
		if c := got.escaped[i]; c <= ' ' || c >= 0x7F || strings.IndexByte("\"#<>?[\\]^`{|}+", c) >= 0 {
			t.Errorf("parseTarget(%q) forwards %q", raw, got.escaped)
		}
	}
	again, err := parseTarget(got.escaped)
	got.query, got.odd = "", got.odd&^NonASCII
	if err != nil || again != got {
		t.Errorf("parseTarget(%q) = %+v, but its own spelling gives %+v, %v", raw, got, again, err)
	}
	if path, _, _ := strings.Cut(raw, "?"); ordinary(path) {
		if slow, err := parsePath(path); err != nil || slow.path != path || slow.escaped != path || slow.odd != 0 || slow.other != "" {
			t.Errorf("parsePath(%q) = %+v, %v; the fast path says it is ordinary", path, slow, err)
		}
	}
}

func FuzzHostHasOneSpelling(f *testing.F) {
	for _, s := range []string{"app.test", "APP.test.:443", "[::1]:80", "a,b", "x@y", "a..b", "[::ffff:1.2.3.4]", ":1"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, raw string, secure bool) {
		host, ok := Host(raw, secure)
		if !ok {
			if host != "" {
				t.Errorf("Host(%q) = %q, false", raw, host)
			}
			return
		}
		if again, ok := Host(host, secure); !ok || again != host {
			t.Errorf("Host(%q) = %q, but Host(%q) = %q, %v", raw, host, host, again, ok)
		}
		if strings.ContainsAny(host, "@,/\\ #?%") || strings.ToLower(host) != host {
			t.Errorf("Host(%q) = %q", raw, host)
		}
		if u, err := url.Parse("http://" + host + "/"); err != nil || u.Host != host {
			t.Errorf("Host(%q) = %q, which is no authority: %v", raw, host, err)
		}
	})
}
