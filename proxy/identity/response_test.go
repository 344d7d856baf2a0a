package identity

import (
	"net/http"
	"slices"
	"testing"
)

func TestResponseCannotSpeakForTheGateway(t *testing.T) {
	h := http.Header{
		"Set-Cookie": {
			"theirs=1; Path=/", "__Host-gatehouse=evil; Path=/", " __host-Gatehouse-1 = evil", "\"__Host-gatehouse\"=x",
			"=__Host-gatehouse=x", "__Host-gatehouse", "\u2003__Host-gatehouse-sso=x", "other=__Host-gatehouse",
		},
		"X-Gatehouse-Intercepted": {"1"}, "X_gatehouse_decision": {"allow"}, "X-App": {"1"},
		"Alt-Svc": {"h3=\":443\""}, "Nel": {"{}"},
	}
	FilterResponse(h, owns)
	if want := []string{"theirs=1; Path=/", "other=__Host-gatehouse"}; !slices.Equal(h["Set-Cookie"], want) {
		t.Errorf("Set-Cookie = %q, want %q", h["Set-Cookie"], want)
	}
	if len(h) != 4 || h.Get("X-App") != "1" || h.Get("Alt-Svc") == "" {
		t.Errorf("left %v, want Set-Cookie, X-App, Alt-Svc and Nel", h)
	}
	FilterSharedOrigin(h)
	if len(h) != 2 {
		t.Errorf("on a shared origin left %v, want Set-Cookie and X-App", h)
	}
	only := http.Header{"Set-Cookie": {"__Host-gatehouse=evil"}}
	if FilterResponse(only, owns); len(only) != 0 {
		t.Errorf("left %v, want nothing", only)
	}
}

func TestPrivateAnswersStayPrivate(t *testing.T) {
	for name, c := range map[string]struct{ in, want http.Header }{
		"silent":  {http.Header{}, http.Header{"Cache-Control": {"private, no-cache"}, "Vary": {"Cookie", "Authorization"}}},
		"expires": {http.Header{"Expires": {"x"}}, http.Header{"Expires": {"x"}, "Cache-Control": {"private, no-cache"}, "Vary": {"Cookie", "Authorization"}}},
		"public": {
			http.Header{"Cache-Control": {"public, max-age=60"}, "Vary": {"Accept-Encoding, cookie"}},
			http.Header{"Cache-Control": {"public, max-age=60"}, "Vary": {"Accept-Encoding, cookie", "Authorization"}},
		},
		"never alike": {http.Header{"Cache-Control": {"no-store"}, "Vary": {"*"}}, http.Header{"Cache-Control": {"no-store"}, "Vary": {"*"}}},
	} {
		Private(c.in)
		if len(c.in) != len(c.want) {
			t.Errorf("%s: %v, want %v", name, c.in, c.want)
		}
		for k, v := range c.want {
			if !slices.Equal(c.in[k], v) {
				t.Errorf("%s: %s = %q, want %q", name, k, c.in[k], v)
			}
		}
	}
	h := http.Header{"Cache-Control": {"public, max-age=60"}, "Expires": {"x"}}
	if NoStore(h); h.Get("Cache-Control") != "no-store" || h.Get("Expires") != "" {
		t.Errorf("NoStore left %v", h)
	}
}
