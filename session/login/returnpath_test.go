package login

import (
	"net/url"
	"strings"
	"testing"
)

func TestReturnPath(t *testing.T) {
	for _, s := range []string{
		"", "x", "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "/\\/evil.test", "https://evil.test", "HTTPS:evil.test", "//app.example.com/",
		"https://app.example.com/x", "javascript:alert(1)", "data:text/html,x", "/\t/evil.test", "/\n/evil.test", "/\v/evil.test", "/\r/evil.test", "/\x00/evil",
		"/%09/evil.test", "/%0a/evil.test", "/%0b/evil", "/%0d/evil.test", "/%0D%0ASet-Cookie:x", "/%5cevil.test", "/%5Cevil.test", "/%255cevil.test",
		"/%2f/evil.test", "/%2fevil.test", "/%252fevil.test", "/./\\evil.test", "/.//evil.test", "/./../../\\evil.test", "/..//evil.test", "/../evil", "/a/../..//evil",
		"/%2e%2e/evil", "/%2e/%2e//evil", "/a/%2e%2e%2f%2fevil", "/.", "/..", "/a//b", "/a/..;/evil", "/a/;/..;x/evil", " /x", "/ x", "/x#frag", "/ä", "/\u2028", "/x?\r\nLocation: //evil",
		"/x?a=b#//evil", "/%", "/%zz", "/%e", CallbackPath, CallbackPath + "?code=x", SignInPath, SignedOutPath, "/%5fgatehouse/sign-in", "/_GATEHOUSE/sign-out/", "?x=//evil", "/" + strings.Repeat("x", 2048),
		"/\x7f", "/x\u00a0", "@evil.test", "/\u3000/evil.test", "http:/\\evil", "/\\\\evil", "/%00", "/%25%35%63evil", "*",
		"/_gatehouse", "/_gatehouse/", "/_gatehouse?x", "/_gatehouse/me.json", "/_gatehouse/health", "/_gatehouse/idp/oauth2/authorize?x=y", "/_gatehouse/auth", "/_gatehouse/me/",
		"/_gatehouse/me/x", "/_gatehouse/ME", "/_Gatehouse/me", "/%5Fgatehouse/me", "/%255fgatehouse/me", "/_gatehouse/%6de", "/_gatehouse%2fme", "/_gatehouse%252fidp", "/_gatehouse/me%2f..",
		"/_gatehouse;x/sign-in", "/_gatehouse/sign-in;x", "/_gatehouse/me;x", "/_%67atehouse/idp", "/_GATEHOUSE/IDP", "/_gatehouse;x", CallbackPath + ";x", "/OAuth2/IDPResponse/?code=x", "/oauth2;x/idpresponse",
	} {
		if got := ReturnPath(s); got != "/" {
			t.Errorf("ReturnPath(%q) = %q, want /", s, got)
		}
	}
	for _, s := range []string{
		"/", "/a", "/a/", "/a/b.html?x=1&y=%2F%2Fevil", "/?rd=https://evil.test/", "/a%20b", "/%C3%A4", "/a;v=1", "/..a/b..", "/x?a\\b", "/x?", "/a:b@c", "/_gatehouse/me", "/_gatehouse/me?x=1", "/_gatehouses", "/a/_gatehouse/idp", "/oauth2/idpresponses", "/~x/!$&'()*+,=",
		"/" + strings.Repeat("x", 2047),
	} {
		if got := ReturnPath(s); got != s {
			t.Errorf("ReturnPath(%.60q) = %.60q", s, got)
		}
	}
}

func FuzzReturnPath(f *testing.F) {
	f.Add("/%2f\\evil?x#y")
	f.Fuzz(func(t *testing.T, s string) {
		got := ReturnPath(s)
		base, _ := url.Parse("https://app.example.com/dir/page")
		u, err := base.Parse(got)
		if err != nil || u.Host != "app.example.com" || u.Scheme != "https" || strings.ContainsAny(got, "\r\n\t ") {
			t.Errorf("%q leads to %v", s, u)
		}
	})
}
