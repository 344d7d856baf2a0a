package identity

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// spellings returns name as servers with CGI-like rules would fold it back.
func spellings(name string) []string {
	return []string{
		name, strings.ToUpper(name), http.CanonicalHeaderKey(name), strings.ReplaceAll(name, "-", "_"),
		strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "_", 1), strings.ReplaceAll(strings.ToUpper(name), "-", "_"),
		strings.ReplaceAll(name, "-", "~"), strings.ReplaceAll(name, "-", "'"),
	}
}

// dialects are the headers that applications are known to trust.
var dialects = []string{
	"X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username",
	"X-Forwarded-Access-Token", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port",
	"X-Forwarded-Prefix", "X-Forwarded-Uri", "X-Forwarded-Client-Cert", "X-Forwarded-Groups-Truncated", "Forwarded",
	"X-Real-Ip", "X-Original-Url", "X-Original-Uri", "X-Original-Host", "X-Original-Method", "X-Rewrite-Url",
	"X-Envoy-Original-Path", "X-Envoy-External-Address", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip",
	"Cf-Connecting-Ip", "Cf-Access-Jwt-Assertion", "Cf-Access-Authenticated-User-Email", "X-Http-Method-Override",
	"X-Http-Method", "X-Method-Override", "Proxy", "Proxy-Authorization", "X-Middleware-Subrequest",
	"X-Auth-Request-User", "X-Auth-Request-Redirect", "X-Auth-Username", "X-Auth-Token", "X-Auth-Expiresin", "Gap-Signature", "Gap-Auth",
	"Remote-User", "Remote-Groups", "Remote-Name", "Remote-Email", "Remote-User-Group", "X-Remote-User",
	"X-Authentik-Username", "X-Authentik-Jwt", "X-Authentik-Meta-Jwks", "X-Webauth-User", "X-Webauth-Role",
	"X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Accesstoken", "X-Goog-Iap-Jwt-Assertion",
	"X-Goog-Authenticated-User-Email", "X-Goog-Authenticated-User-Id", "X-Pomerium-Jwt-Assertion", "X-Pomerium-Claim-Email",
	"X-Ms-Client-Principal", "X-Ms-Client-Principal-Name", "X-Ms-Token-Aad-Access-Token", "Tailscale-User-Login",
	"X-Proxy-User", "X-Proxy-Roles", "X-Forwarded-Login", "X-Forwarded-Displayname", "Kubeflow-Userid", "Kubeflow-Groups",
	"X-Scope-Orgid", "Ssl-Client-Cert", "Ssl-Client-S-Dn", "X-Ssl-Client-Dn", "Client-Cert", "X-Client-Cert", "X-Vouch-User",
	"X-Userinfo", "X-Consumer-Username", "X-Credential-Identifier", "Sm-User", "Iv-User", "Oidc-Claim-Sub", "X-Gatehouse-Assertion",
	"X-Accel-Mapping", "X-Sendfile-Type", "X-Arr-Clientcert",
}

func TestStripKnowsAllDialectsInAnySpelling(t *testing.T) {
	s := NewStripper()
	for _, name := range dialects {
		for _, spelling := range spellings(name) {
			if !s.Strips(spelling) {
				t.Errorf("%s passes", spelling)
			}
		}
	}
}

func TestStripLeavesOrdinaryHeaders(t *testing.T) {
	s := NewStripper()
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Authorization", "Cookie", "Content-Type", "Content-Length", "User-Agent", "Host",
		"X-Requested-With", "X-Csrf-Token", "X-Request-Id", "Traceparent", "Tracestate", "Baggage", "If-None-Match",
		"Sec-Fetch-Mode", "Sec-Websocket-Key", "X-Api-Key", "Api_key", "X-Forward", "Grpc-Timeout", "Te", "Idempotency-Key",
		"X-Amz-Date", "X-Amzn-Trace-Id", "Remote", "Cf", "X", "", "-", "X-", strings.Repeat("X-", 4000),
	} {
		if s.Strips(name) {
			t.Errorf("%s is stripped", name)
		}
	}
	for _, name := range []string{"Content_Length", "content.type", "Transfer_Encoding"} {
		if !s.Strips(name) {
			t.Errorf("%s passes; a CGI-like server takes it for the real one", name)
		}
	}
}

func TestStripTakesConfiguredNames(t *testing.T) {
	f, err := parseField("X-Team", "groups")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Headers{fields: []field{f}}.Compile(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	none, err := NewPreset(t, "none").Compile(nil, "")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{
		"X-Team": {"a", "b"}, "X_team": {"a"}, "x.TEAM": {"a"}, "X-Team-Truncated": {"true"}, "X-Teams": {"kept"},
		strings.Repeat("X-Forwarded-", 20): {"long"},
	}
	NewStripper(none, plan).Strip(h)
	if len(h) != 1 || h.Get("X-Teams") != "kept" {
		t.Errorf("left %v, want X-Teams alone", h)
	}
}

func NewPreset(t *testing.T, name string) Headers {
	t.Helper()
	h, err := Preset(name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestStripDoesNotAllocate(t *testing.T) {
	s := NewStripper()
	names := []string{"Accept", "Sec-Fetch-Mode", "X_Forwarded_User", "Content-Type", "If-None-Match"}
	if n := testing.AllocsPerRun(100, func() {
		for _, name := range names {
			s.Strips(name)
		}
	}); n > 0 {
		t.Errorf("Strips allocates %.0f times", n)
	}
}

func TestNamesAreFolded(t *testing.T) {
	for _, list := range [][]string{families, exact, framing, reserved} {
		for _, name := range list {
			if fold(name) != name {
				t.Errorf("%q stands in a list unfolded, so it never matches", name)
			}
		}
	}
	for _, f := range families {
		if !strings.HasSuffix(f, "-") || slices.Contains(exact, f) {
			t.Errorf("family %q does not end at a dash", f)
		}
	}
}

func FuzzStripFoldsLikeAServer(f *testing.F) {
	for _, name := range dialects {
		f.Add(name)
	}
	s := NewStripper()
	f.Fuzz(func(t *testing.T, name string) {
		// Whatever a CGI-like server reads as a known name must not pass.
		cgi := strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				return r
			}
			return '-'
		}, strings.ToLower(name))
		for _, known := range dialects {
			if strings.EqualFold(cgi, known) && !isASCII(name) {
				return // not a header name at all
			}
			if strings.EqualFold(cgi, known) && !s.Strips(name) {
				t.Errorf("%q passes for %s", name, known)
			}
		}
	})
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
