package body

import (
	"mime"
	"net/http"
	"strings"
)

// announced tells whether the headers say that the body is JSON in UTF-8 and
// nothing else: one Content-Type of application/json or of a type that ends in
// +json (RFC 6839 §3.1), and no content coding (RFC 9110 §8.4). A header that
// some application takes for one of the two is doubt enough.
func announced(h http.Header) bool {
	types := h["Content-Type"]
	if len(types) != 1 {
		return false
	}
	for name, lines := range h {
		if len(name) != len("Content-Type") && len(name) != len("Content-Encoding") {
			continue
		}
		switch strings.ToLower(plainer.Replace(name)) {
		case "content-type":
			if name != "Content-Type" {
				return false
			}
		case "content-encoding":
			for _, coding := range lines {
				if name != "Content-Encoding" || !strings.EqualFold(strings.TrimSpace(coding), "identity") {
					return false
				}
			}
		}
	}
	kind, parameters, err := mime.ParseMediaType(types[0])
	if err != nil {
		return false
	}
	if charset, given := parameters["charset"]; given && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	return kind == "application/json" || strings.Contains(kind, "/") && strings.HasSuffix(kind, "+json")
}

// plainer undoes what gateways to applications do to names of headers.
var plainer = strings.NewReplacer("_", "-", ".", "-")
