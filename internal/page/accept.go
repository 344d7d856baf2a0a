package page

import (
	"net/http"
	"strconv"
	"strings"
)

// maxAccept bounds how much of an Accept header is read; browsers send less
// than 200 bytes.
const maxAccept = 2048

// Navigation reports whether r is a browser going to a page, so that sending
// it to a sign-in page makes sense: GET or HEAD, no Authorization, no upgrade,
// and Sec-Fetch-Mode navigate into a document of its own, or, from a client
// that sends no Sec-Fetch-Mode, an Accept that prefers HTML.
func Navigation(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if len(r.Header["Authorization"]) > 0 || len(r.Header["Upgrade"]) > 0 {
		return false
	}
	mode, dest := r.Header["Sec-Fetch-Mode"], r.Header["Sec-Fetch-Dest"]
	if len(mode) == 0 {
		return PrefersHTML(r)
	}
	// A frame navigates too, and each would leave its own login attempt behind.
	return len(mode) == 1 && mode[0] == "navigate" &&
		(len(dest) == 0 || len(dest) == 1 && dest[0] == "document")
}

// PrefersHTML reports whether the Accept header of r names HTML, and ranks no
// JSON above it (RFC 9110 §12.5.1). A bare */*, as curl sends it, does not.
func PrefersHTML(r *http.Request) bool {
	html, json := 0.0, 0.0
	for _, line := range r.Header["Accept"] {
		if len(line) > maxAccept {
			line = line[:maxAccept]
		}
		for part := range strings.SplitSeq(line, ",") {
			media, params, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(media)) {
			case "text/html", "application/xhtml+xml":
				html = max(html, quality(params))
			case "application/json", "application/problem+json":
				json = max(json, quality(params))
			}
		}
	}
	return html > 0 && html >= json
}

// quality returns the q parameter among params, 1 when there is none and 0
// when it is not a number between 0 and 1.
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}

// grpcType returns the content type to answer a gRPC call with, "" when r is
// none. Trailers-only answers look alike for gRPC and for gRPC-Web.
func grpcType(r *http.Request) string {
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	media = strings.ToLower(strings.TrimSpace(media))
	base, _, _ := strings.Cut(media, "+")
	switch base {
	case "application/grpc", "application/grpc-web", "application/grpc-web-text":
		return media
	}
	return ""
}
