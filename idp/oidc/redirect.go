package oidc

import (
	"net/url"
	"strconv"
	"strings"
)

// allowsRedirect tells whether got is a redirect URI the client registered.
// URIs are compared as strings, byte by byte (RFC 9700 §2.1): two parsers that
// read one URI differently are how codes reach the wrong host.
//
// The one exception is the port of a loopback address for a public client
// (RFC 8252 §7.3): a native program takes the port the system gives it.
func allowsRedirect(registered []string, public bool, got string) bool {
	if got == "" {
		return false
	}
	for _, want := range registered {
		if got == want || public && sameLoopback(want, got) {
			return true
		}
	}
	return false
}

// sameLoopback tells whether both are http URIs of one loopback address, equal
// in all but the port. `localhost` is a name, and names can be made to resolve
// elsewhere (RFC 8252 §8.3): only the two literal addresses count.
func sameLoopback(want, got string) bool {
	for _, origin := range []string{"http://127.0.0.1", "http://[::1]"} {
		w, ok := strings.CutPrefix(want, origin)
		g, ok2 := strings.CutPrefix(got, origin)
		if ok && ok2 {
			w, okW := withoutPort(w)
			g, okG := withoutPort(g)
			return okW && okG && w == g
		}
	}
	return false
}

// withoutPort cuts ":1234" off the front of what follows a host. It refuses
// anything that is neither a port, 1 to 65535 in its one spelling, nor the
// beginning of a path.
func withoutPort(rest string) (string, bool) {
	if after, ok := strings.CutPrefix(rest, ":"); ok {
		digits := 0
		for digits < len(after) && after[digits] >= '0' && after[digits] <= '9' {
			digits++
		}
		port, err := strconv.ParseUint(after[:digits], 10, 16)
		if err != nil || port == 0 || after[0] == '0' {
			return "", false
		}
		rest = after[digits:]
	}
	return rest, rest == "" || rest[0] == '/'
}

// withParams returns uri with params appended to its query. uri is a
// registered URI, so it has no fragment.
func withParams(uri string, params url.Values) string {
	encoded := params.Encode()
	switch {
	case encoded == "":
		return uri
	case !strings.Contains(uri, "?"):
		return uri + "?" + encoded
	case strings.HasSuffix(uri, "?"), strings.HasSuffix(uri, "&"):
		return uri + encoded
	}
	return uri + "&" + encoded
}
