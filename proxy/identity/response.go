package identity

import (
	"net/http"
	"strings"
)

// FilterResponse removes from an application's answer what would speak for
// the gateway: cookies of our names in any spelling (a planted session, or a
// sign-in loop), and headers that begin with X-Gatehouse-. All other cookies
// stay as they are.
func FilterResponse(h http.Header, owns func(name string) bool) {
	if lines, ok := h["Set-Cookie"]; ok {
		kept := lines[:0:0]
		for _, line := range lines {
			pair, _, _ := strings.Cut(line, ";")
			if !owns(cookieName(pair)) {
				kept = append(kept, line)
			}
		}
		h["Set-Cookie"] = kept
		if len(kept) == 0 {
			delete(h, "Set-Cookie")
		}
	}
	for name := range h {
		if speaksForUs(name) {
			delete(h, name)
		}
	}
}

// speaksForUs tells whether a name begins as the gateway's own headers do.
func speaksForUs(name string) bool {
	const prefix = "x-gatehouse-"
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if c, _ := foldByte(name[i]); c != prefix[i] {
			return false
		}
	}
	return true
}

// FilterSharedOrigin removes what lets an application act on all paths of its
// origin. It is for origins that the identity provider's pages share with an
// application: a service worker or a report of network errors there would see
// sign-ins, Clear-Site-Data would end them.
func FilterSharedOrigin(h http.Header) {
	for _, name := range []string{
		"Alt-Svc", "Nel", "Report-To", "Reporting-Endpoints", "Clear-Site-Data", "Service-Worker-Allowed",
	} {
		delete(h, name)
	}
}

// Private keeps shared caches from giving one person's answer to another. It
// sets Cache-Control only where the application said nothing, so that a cache
// must ask again, and through the gateway; and it adds Vary, so that what the
// application calls public is at least kept apart by credential.
func Private(h http.Header) {
	if len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = private
	}
	if len(h["Vary"]) == 0 {
		h["Vary"] = byCredential
		return
	}
	vary := strings.ToLower(strings.Join(h["Vary"], ","))
	if strings.TrimSpace(vary) == "*" {
		return
	}
	for _, name := range []string{"Cookie", "Authorization"} {
		if !hasToken(vary, strings.ToLower(name)) {
			h.Add("Vary", name)
		}
	}
}

// What Private says most of the time. Nobody writes to them: they are as long as
// their arrays, so that whoever appends gets a copy.
var (
	private      = []string{"private, no-cache"}
	byCredential = []string{"Cookie", "Authorization"}
)

// NoStore is for answers that carry a cookie of ours: whatever the application
// said, no cache may keep them.
func NoStore(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Del("Expires")
	h.Del("Pragma")
}

func hasToken(list, token string) bool {
	for t := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(t) == token {
			return true
		}
	}
	return false
}
