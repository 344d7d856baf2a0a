package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// marker stands in every forged header; whatever shows it has believed one.
const marker = "forged-7f3a9c"

// identityHeaders are names that some application believes, and names that
// steer one.
var identityHeaders = []string{
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username",
	"X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Accesstoken",
	"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Uri",
	"Forwarded", "X-Real-Ip", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override",
}

// spellings are other ways to write a header name that an application may
// take for the same.
func spellings(name string) []string {
	under := strings.ReplaceAll(name, "-", "_")
	half := strings.Replace(name, "-", "_", 1)
	return []string{
		name, strings.ToLower(name), strings.ToUpper(name),
		under, strings.ToLower(under), strings.ToUpper(under),
		half, strings.ReplaceAll(name, "-", "."), strings.Replace(under, "_", ".", 1),
	}
}

// credential is one way to ask, and a path it may ask for.
type credential struct{ name, path, header string }

func credentials(t *testing.T, d *demo) []credential {
	t.Helper()
	alice := newVisitor(t, d.url)
	alice.signIn("alice", demoPassword, "/")
	return []credential{
		{"nobody", "/public/x", ""},
		{"alice", "/headers", "Cookie: " + alice.cookies() + "\r\n"},
		{"orders-job", "/api/orders/7", "Authorization: Bearer " + d.token(t, "orders.read") + "\r\n"},
	}
}

func request(d *demo, who credential, lines string) string {
	return fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s%s\r\n",
		who.path, strings.TrimPrefix(d.url, "http://"), who.header, lines)
}

func TestForgedHeadersNeverReachTheApplication(t *testing.T) {
	d := sharedDemo(t)
	for _, who := range credentials(t, d) {
		// Without this the test could not fail: the application does show headers.
		if a := rawAsk(t, d.port, request(d, who, "X-Ordinary: "+marker+"\r\n")); a.status != 200 || !a.contains(marker) {
			t.Fatalf("%s: an ordinary header does not reach the application (%d)\n%s", who.name, a.status, a.body)
		}
		for _, name := range identityHeaders {
			for _, spelling := range spellings(name) {
				a := rawAsk(t, d.port, request(d, who, spelling+": "+marker+"\r\n"))
				if a.contains(marker) {
					t.Errorf("%s: %s reaches the application", who.name, spelling)
				}
				if a.status != http.StatusOK && a.status != http.StatusBadRequest {
					t.Errorf("%s with %s = %d, want 200 without it or 400", who.name, spelling, a.status)
				}
			}
		}
	}
}

func TestForgedHeadersInOddPlacesNeverReachTheApplication(t *testing.T) {
	d := sharedDemo(t)
	for _, who := range credentials(t, d) {
		for name, lines := range map[string]string{
			"twice":                "X-Forwarded-User: " + marker + "\r\nx-forwarded-user: " + marker + "\r\n",
			"named in Connection":  "Connection: close, X-Forwarded-User, X-Forwarded-Groups\r\nX-Forwarded-User: " + marker + "\r\n",
			"tab before the value": "X-Forwarded-User:\t" + marker + "\r\n",
			"comma in the value":   "X-Forwarded-Groups: a, " + marker + "\r\n",
			"cookie of our name":   "Cookie: gatehouse-" + fmt.Sprint(d.port) + "-sso=" + marker + "\r\n",
		} {
			if a := rawAsk(t, d.port, request(d, who, lines)); a.contains(marker) {
				t.Errorf("%s, header %s: it reaches the application", who.name, name)
			}
		}
	}
}

func TestConnectionCannotRemoveOurHeaders(t *testing.T) {
	d := sharedDemo(t)
	alice := newVisitor(t, d.url)
	alice.signIn("alice", demoPassword, "/")
	who := credential{"alice", "/headers", "Cookie: " + alice.cookies() + "\r\n"}
	for _, lines := range []string{
		"Connection: X-Forwarded-User, X-Forwarded-Groups\r\n",
		"Connection: x-forwarded-user\r\nConnection: X-Forwarded-For,\tcookie\r\n",
	} {
		s := rawAsk(t, d.port, request(d, who, lines)).seen(t)
		if got := s.Headers["X-Forwarded-User"]; len(got) != 1 || got[0] != "alice" {
			t.Errorf("with %q the application is told X-Forwarded-User %q, want alice", lines, got)
		}
	}
}

func TestTrailersNeverReachTheApplication(t *testing.T) {
	d := sharedDemo(t)
	alice := newVisitor(t, d.url)
	alice.signIn("alice", demoPassword, "/")
	a := rawAsk(t, d.port, fmt.Sprintf("POST /headers HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nOrigin: %s\r\nCookie: %s\r\n"+
		"Transfer-Encoding: chunked\r\nTrailer: X-Forwarded-Groups\r\n\r\n1\r\na\r\n0\r\nX-Forwarded-Groups: %s\r\n\r\n",
		strings.TrimPrefix(d.url, "http://"), d.url, alice.cookies(), marker))
	if a.status != http.StatusOK && a.status != http.StatusBadRequest {
		t.Errorf("POST with a trailer = %d, want 200 or 400\n%s", a.status, a.body)
	}
	if a.contains(marker) || a.contains(`"Trailer"`) {
		t.Errorf("a trailer reaches the application:\n%s", a.body)
	}
}

func TestPathsAreDecidedAsTheyAreForwarded(t *testing.T) {
	d := sharedDemo(t)
	bob := newVisitor(t, d.url)
	bob.signIn("bob", demoPassword, "/")
	for _, target := range []string{
		"/public/../admin/", "/public/%2e%2e/admin/", "/public/..%2fadmin/", "/public/..%5cadmin/", `/public/..\admin/`,
		"/public/..;/admin/", "/admin;x/", "/admin%2f", "//admin/", "/./admin/", "/x/../admin/", "/admin%00/", "/admin/%20",
		"/%61dmin/", "/admin#/public/", "/admin/..%252f", "/public//../admin/", "http://evil.example/admin/",
	} {
		a := rawAsk(t, d.port, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nCookie: %s\r\n\r\n",
			target, strings.TrimPrefix(d.url, "http://"), bob.cookies()))
		if a.status == http.StatusOK || a.contains("administrators&#39; page") {
			t.Errorf("bob asks for %s: %d, want a refusal\n%s", target, a.status, a.body)
		}
	}
}
