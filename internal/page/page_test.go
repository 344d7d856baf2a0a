package page

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

// browser returns the request of a browser that goes to target.
func browser(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	return r
}

func write(r *http.Request, f Refusal) *http.Response {
	w := httptest.NewRecorder()
	Write(w, r, f)
	return w.Result()
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// refusals are one of each kind that the gateway sends.
var refusals = map[string]Refusal{
	"no_route": {Status: 404, Code: "no_route", Text: "There is nothing at this address.", RequestID: "01J8"},
	"sign_in": {
		Status: 401, Code: "sign_in_required", Title: "Please sign in", Text: "This page is for people who are signed in.",
		RequestID: "01J8", LoginURL: "/_gatehouse/sign-in?return_to=%2Fa%3Fb%3D1", Challenge: "Bearer",
	},
	"denied": {
		Status: 403, Code: "group_missing", Title: "You may not see this page", Text: "Ask whoever runs it if you need to.",
		RequestID: "01J8", SignOutURL: "/_gatehouse/sign-out", User: `bob "<b>" O'Hara`,
	},
	"down": {Status: 502, Code: "upstream_down", Text: "The application does not answer. Try again in a moment.", RequestID: "01J8"},
	"busy": {Status: 503, Code: "issuer_down", RetryAfter: 1500 * time.Millisecond},
}

func TestGolden(t *testing.T) {
	api := httptest.NewRequest("GET", "/", nil)
	for name, f := range refusals {
		for suffix, r := range map[string]*http.Request{".html": browser("GET", "/"), ".json": api} {
			got := body(t, write(r, f))
			file := filepath.Join("testdata", name+suffix)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs; run go test -update and read the change:\n%s", file, got)
			}
		}
	}
}

func TestPagesAreAccessible(t *testing.T) {
	for name, f := range refusals {
		html := body(t, write(browser("GET", "/"), f))
		for _, once := range []string{"<h1>", "<main>", `<html lang="en" dir="ltr">`, "<title>", `name="viewport" content="width=device-width, initial-scale=1"`} {
			if strings.Count(html, once) != 1 {
				t.Errorf("%s has %d times %s, want one", name, strings.Count(html, once), once)
			}
		}
		for _, never := range []string{"<script", "onclick", "style=", "http://", "https://", "<b>"} {
			if strings.Contains(html, never) {
				t.Errorf("%s contains %s", name, never)
			}
		}
		if len(html) > 8<<10 {
			t.Errorf("%s has %d bytes", name, len(html))
		}
	}
}

func TestColoursHaveContrast(t *testing.T) {
	themes := strings.SplitN(style, "prefers-color-scheme:dark", 2)
	for i, theme := range themes {
		colour := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+):#([0-9a-f]+)`).FindAllStringSubmatch(theme, -1) {
			if _, ok := colour[m[1]]; !ok {
				colour[m[1]] = luminance(t, m[2])
			}
		}
		for _, pair := range [][2]string{
			{"text", "bg"}, {"text", "card"}, {"muted", "card"}, {"accent", "card"}, {"accent", "bg"}, {"on-accent", "accent"}, {"bad", "card"},
		} {
			a, b := colour[pair[0]], colour[pair[1]]
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("theme %d: %s on %s has contrast %.1f, want 4.5 (WCAG 1.4.3)", i, pair[0], pair[1], ratio)
			}
		}
		if a, b := colour["line"], colour["card"]; (max(a, b)+0.05)/(min(a, b)+0.05) < 3 {
			t.Errorf("theme %d: borders of inputs have contrast below 3 (WCAG 1.4.11)", i)
		}
	}
}

func TestStyleIsAllowedByThePolicy(t *testing.T) {
	res := write(browser("GET", "/"), refusals["denied"])
	html := body(t, res)
	inline := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(html)
	if inline == nil {
		t.Fatal("no style on the page")
	}
	sum := sha256.Sum256([]byte(inline[1]))
	want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	csp := res.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, want) {
		t.Errorf("policy %s does not allow the style of the page, %s", csp, want)
	}
	for _, d := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
		if !strings.Contains(csp, d) {
			t.Errorf("policy %s lacks %s", csp, d)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
		t.Errorf("policy %s allows scripts", csp)
	}
}

func TestHeadersOfARefusal(t *testing.T) {
	w := httptest.NewRecorder()
	for name, v := range map[string]string{
		"Content-Length": "999", "Content-Encoding": "gzip", "ETag": `"x"`, "Cache-Control": "public", "X-Kept": "1",
		"WWW-Authenticate": "Basic realm=app", "Trailer": "X",
	} {
		w.Header().Set(name, v)
	}
	Write(w, httptest.NewRequest("GET", "/", nil), Refusal{Status: 503, RetryAfter: 1500 * time.Millisecond, Challenge: "Bearer"})
	h := w.Result().Header
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Retry-After": "2", "Www-Authenticate": "Bearer",
		"Content-Encoding": "", "Etag": "", "Trailer": "", "X-Kept": "1", "Referrer-Policy": "same-origin",
		"Content-Type": "application/problem+json", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(h.Get("Vary"), "Accept") {
		t.Errorf("Vary = %q, want Accept in it", h.Get("Vary"))
	}
}

func TestProblemIsJSON(t *testing.T) {
	res := write(httptest.NewRequest("GET", "/", nil), Refusal{Status: 401, Code: "sign_in_required", Text: "</script><b>\"", LoginURL: "/x?a=1&b=2"})
	text := body(t, res)
	var p map[string]any
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if p["login_url"] != "/x?a=1&b=2" || p["status"] != 401.0 || p["code"] != "sign_in_required" || p["title"] != "Unauthorized" {
		t.Errorf("problem = %v", p)
	}
	if strings.Contains(text, "<") {
		t.Errorf("%s could be taken for HTML", text)
	}
}

func TestLinksCannotBeScripts(t *testing.T) {
	html := body(t, write(browser("GET", "/"), Refusal{Status: 403, LoginURL: "javascript:alert(1)", SignOutURL: `"><script>`, User: "x"}))
	if strings.Contains(html, "javascript:") || strings.Contains(html, "<script") {
		t.Errorf("page %s", html)
	}
}

func TestOddStatusIsAnError(t *testing.T) {
	for _, status := range []int{0, 200, 302, 399, 600, -1} {
		if res := write(browser("GET", "/"), Refusal{Status: status}); res.StatusCode != 500 {
			t.Errorf("status %d was sent as %d, want 500", status, res.StatusCode)
		}
	}
}

func TestGRPC(t *testing.T) {
	for status, want := range map[int]string{
		400: "3", 401: "16", 403: "7", 404: "12", 413: "8", 429: "8", 500: "13", 502: "14", 503: "14", 504: "4", 418: "2",
	} {
		r := httptest.NewRequest("POST", "/orders.Orders/Get", nil)
		r.Header.Set("Content-Type", "application/grpc+proto")
		res := write(r, Refusal{Status: status, Code: "länge", RequestID: "01J8"})
		if res.StatusCode != 200 || res.Header.Get("Grpc-Status") != want || body(t, res) != "" {
			t.Errorf("%d: status %d, grpc-status %s, want 200 and %s without a body", status, res.StatusCode, res.Header.Get("Grpc-Status"), want)
		}
		if m := res.Header.Get("Grpc-Message"); m != "l%C3%A4nge (request 01J8)" {
			t.Errorf("grpc-message %q", m)
		}
		if ct := res.Header.Get("Content-Type"); ct != "application/grpc+proto" {
			t.Errorf("content type %q", ct)
		}
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Content-Type", "application/grpcish")
	if res := write(r, Refusal{Status: 403}); res.StatusCode != 403 {
		t.Errorf("application/grpcish was taken for gRPC")
	}
}

func TestNavigation(t *testing.T) {
	html := "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, c := range []struct {
		method, headers string
		want            bool
	}{
		{"GET", "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document|Accept: " + html, true},
		{"HEAD", "Sec-Fetch-Mode: navigate", true},
		{"GET", "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: iframe", false},
		{"GET", "Sec-Fetch-Mode: cors|Accept: " + html, false},
		{"GET", "Sec-Fetch-Mode: navigate|Sec-Fetch-Mode: cors", false},
		{"POST", "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document", false},
		{"GET", "Accept: " + html, true},
		{"GET", "Accept: " + html + "|Authorization: Bearer x", false},
		{"GET", "Accept: " + html + "|Upgrade: websocket", false},
		{"GET", "Accept: */*", false},
		{"GET", "", false},
		{"GET", "Accept: application/json", false},
		{"GET", "Accept: application/json, text/html;q=0.5", false},
		{"GET", "Accept: application/json;q=0.4, TEXT/HTML;q=0.5", true},
		{"GET", "Accept: text/html;q=0", false},
		{"GET", "Accept: text/html;q=NaN", false},
		{"GET", "Accept: text/html;q=2", false},
		{"OPTIONS", "Accept: " + html, false},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		for line := range strings.SplitSeq(c.headers, "|") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				r.Header.Add(name, value)
			}
		}
		if got := Navigation(r); got != c.want {
			t.Errorf("Navigation(%s %s) = %t, want %t", c.method, c.headers, got, c.want)
		}
	}
}

func TestSecurityHeadersNameTheEndOfAForm(t *testing.T) {
	h := http.Header{}
	SecurityHeaders(h, "https://app.example.com")
	if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://app.example.com;") ||
		!strings.Contains(csp, "script-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %s", csp)
	}
}

func TestHeadHasNoBodyButItsLength(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { Write(w, r, refusals["no_route"]) }))
	defer s.Close()
	res, err := http.Head(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 404 || res.ContentLength <= 0 {
		t.Errorf("status %d, length %d", res.StatusCode, res.ContentLength)
	}
}
