package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestMachineTokenReadsTheAPI(t *testing.T) {
	d := sharedDemo(t)
	token := d.token(t, "orders.read")
	a := ask(t, http.MethodGet, d.url+"/api/orders/7", "Authorization", "Bearer "+token)
	s := a.seen(t)
	if s.Method != "GET" || s.Path != "/api/orders/7" || !a.contains(`"id": "7"`) {
		t.Errorf("application saw %s %s: %s", s.Method, s.Path, a.body)
	}
	if a.contains(token) {
		t.Error("the application is given the token")
	}
	for name := range s.Headers {
		if strings.HasPrefix(name, "X-Forwarded-User") || name == "X-Forwarded-Email" {
			t.Errorf("a machine has the header of a person: %s: %q", name, s.Headers[name])
		}
	}
}

func TestTokenWithoutTheScopeIsRefused(t *testing.T) {
	d := sharedDemo(t)
	a := ask(t, http.MethodGet, d.url+"/api/orders/7", "Authorization", "Bearer "+d.token(t, "orders.write"))
	if a.status != http.StatusForbidden {
		t.Errorf("GET /api/orders/7 with orders.write = %d, want 403", a.status)
	}
	if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="insufficient_scope"`) {
		t.Errorf("WWW-Authenticate = %q, want insufficient_scope (RFC 6750 §3.1)", got)
	}
}

func TestMachineTokenOpensNothingForPeople(t *testing.T) {
	d := sharedDemo(t)
	token := d.token(t, "orders.read", "orders.write")
	for _, path := range []string{"/", "/headers", "/admin/", "/ws", "/events", "/api/other"} {
		a := ask(t, http.MethodGet, d.url+path, "Authorization", "Bearer "+token)
		if a.status != http.StatusForbidden && a.status != http.StatusUnauthorized {
			t.Errorf("GET %s with a machine token = %d, want 403 or 401", path, a.status)
		}
		if a.contains("demo application") || a.contains(`"headers"`) {
			t.Errorf("GET %s with a machine token reaches the application", path)
		}
	}
}

func TestDemoTokenGivesOnlyWhatOrdersJobMayHave(t *testing.T) {
	d := sharedDemo(t)
	env := []string{"XDG_CACHE_HOME=" + d.cache, "GATEHOUSE_DEMO_ADDR=" + d.url}
	for _, scopes := range [][]string{{"openid"}, {"orders.delete"}, {"aws.cognito.signin.user.admin"}, {"orders.read", "admin"}} {
		stdout, stderr, code := command(t, env, append([]string{"demo", "token"}, scopes...)...)
		if code == 0 || strings.Count(stdout, ".") >= 2 {
			t.Errorf("demo token %v exits %d and prints %q, want an error", scopes, code, stdout)
		}
		if strings.TrimSpace(stderr) == "" {
			t.Errorf("demo token %v says nothing of what is wrong", scopes)
		}
	}
	if _, stderr, code := command(t, []string{"XDG_CACHE_HOME=" + t.TempDir()}, "demo", "token", "orders.read"); code != 3 {
		t.Errorf("demo token without a demo exits %d (%s), want 3", code, stderr)
	}
}

func TestBadBearerIs401NeverARedirectNeverReplacedByACookie(t *testing.T) {
	d := sharedDemo(t)
	good := d.token(t, "orders.read")
	alice := newVisitor(t, d.url)
	alice.signIn("alice", demoPassword, "/")
	cookie := alice.session()
	if cookie == "" {
		t.Fatalf("alice has no session cookie: %q", alice.cookies())
	}
	for name, token := range spoiled(t, good) {
		for _, path := range []string{"/api/orders/7", "/", "/admin/"} {
			for _, with := range []string{"", cookie} {
				pairs := append([]string{"Authorization", "Bearer " + token}, navigation...)
				if with != "" {
					pairs = append(pairs, "Cookie", with)
				}
				a := ask(t, http.MethodGet, d.url+path, pairs...)
				if a.status != http.StatusUnauthorized {
					t.Errorf("%s at %s (cookie: %v) = %d, want 401", name, path, with != "", a.status)
				}
				if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
					t.Errorf("%s at %s: WWW-Authenticate = %q, want invalid_token", name, path, got)
				}
			}
		}
	}
}

// spoiled makes tokens that must all be refused out of a good one.
func spoiled(t *testing.T, good string) map[string]string {
	t.Helper()
	part := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	claims := map[string]any{}
	raw, err := base64.RawURLEncoding.DecodeString(part[1])
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		t.Fatalf("payload of %q: %v", good, err)
	}
	claims["username"], claims["cognito:groups"] = "alice", []string{"admins"}
	forged, _ := json.Marshal(claims)
	last := good[len(good)-1]
	// The last character of an RS256 or ES256 signature carries unused bits: a
	// lax decoder takes several spellings for one signature.
	other := string(good[:len(good)-1]) + string(rune(last+1))
	return map[string]string{
		"no token":          "",
		"no JWT":            "x",
		"truncated":         good[:len(good)-4],
		"extended":          good + "AAAA",
		"padded":            good + "=",
		"other last letter": other,
		"other payload":     part[0] + "." + encode(forged) + "." + part[2],
		"alg none":          encode([]byte(`{"alg":"none"}`)) + "." + encode(forged) + ".",
		"alg HS256":         encode([]byte(`{"alg":"HS256"}`)) + "." + encode(forged) + "." + part[2],
		"no signature":      part[0] + "." + part[1] + ".",
		"two parts":         part[0] + "." + part[1],
		"four parts":        good + "." + part[2],
	}
}

func TestTwoAuthorizationLinesAreRefused(t *testing.T) {
	d := sharedDemo(t)
	good := d.token(t, "orders.read")
	a := ask(t, http.MethodGet, d.url+"/api/orders/7", "Authorization", "Bearer "+good, "Authorization", "Bearer "+good)
	if a.status != http.StatusBadRequest {
		t.Errorf("two Authorization lines = %d, want 400", a.status)
	}
}
