package login

import (
	"net/url"
	"strings"
)

// maxReturn is the longest page address that survives a sign-in, in bytes.
const maxReturn = 2048

// ReturnPath returns where the browser goes after signing in: s itself when it
// can only mean a page of this host, else "/". Accepted is an absolute path
// with an optional query, in ASCII, of at most 2,048 bytes. Refused is what
// some browser, proxy or framework might read as another host: "//", "\",
// control characters and dot segments, percent-encoded or not; and in any
// spelling what is ours under /_gatehouse/ but MePath, and the callback: steps
// of signing in and out would go round in circles, or end what just began.
func ReturnPath(s string) string {
	if len(s) == 0 || len(s) > maxReturn || s[0] != '/' {
		return "/"
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '#' {
			return "/"
		}
	}
	path, query, _ := strings.Cut(s, "?")
	decoded := path
	// Twice: what is decoded once more behind us must be harmless too.
	for range 2 {
		if !plainPath(decoded) {
			return "/"
		}
		next, err := url.PathUnescape(decoded)
		if err != nil {
			return "/"
		}
		decoded = next
	}
	if !plainPath(decoded) || path != MePath && ours(decoded) {
		return "/"
	}
	if u, err := url.Parse(s); err != nil || u.IsAbs() || u.Host != "" || u.User != nil || u.RawQuery != query {
		return "/"
	}
	return s
}

// plainPath tells whether a path, decoded so far, stays on this host.
func plainPath(path string) bool {
	if strings.HasPrefix(path, "//") || strings.Contains(path, "\\") {
		return false
	}
	for i := range len(path) {
		if path[i] < ' ' || path[i] == 0x7f {
			return false
		}
	}
	// A segment "..;x" is ".." to some application servers.
	for segment := range strings.SplitSeq(path, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			return false
		}
	}
	return !strings.Contains(path, "//")
}

// ours tells whether a decoded path is the gateway's own, in any case and with
// parameters after any segment, which some servers drop.
func ours(path string) bool {
	var segments []string
	for segment := range strings.SplitSeq(strings.ToLower(path), "/") {
		segment, _, _ = strings.Cut(segment, ";")
		segments = append(segments, segment)
	}
	path = strings.TrimSuffix(strings.Join(segments, "/"), "/")
	return path == CallbackPath || path+"/" == ownPrefix || strings.HasPrefix(path, ownPrefix)
}
