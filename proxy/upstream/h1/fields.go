package h1

import (
	"net/http"
	"net/textproto"
	"strings"
)

// special are fields that say something about the exchange itself.
type special uint8

const (
	contentLength special = 1 << iota
	transferEncoding
	connectionField
	trailer
	pragma
	challenge
)

func specialOf(name string) special {
	switch name {
	case "Content-Length":
		return contentLength
	case "Transfer-Encoding":
		return transferEncoding
	case "Connection":
		return connectionField
	case "Trailer":
		return trailer
	case "Pragma":
		return pragma
	case "Www-Authenticate", "Proxy-Authenticate":
		return challenge
	}
	return 0
}

// parseFields reads the lines of a head or of trailers, each with its CRLF.
// Names and values are parts of text: it is copied once, not once a field.
// spare is used for the values if it is long enough.
func parseFields(text string, spare []string) (http.Header, special, error) {
	n := strings.Count(text, "\n")
	if n > len(spare) {
		spare = make([]string, n)
	}
	h := make(http.Header, n)
	var seen special
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\r\n")
		colon := strings.IndexByte(line, ':')
		if colon < 0 {
			return nil, 0, errField
		}
		name, ok := canonical(line[:colon])
		value := trim(line[colon+1:])
		if !ok || !isValue(value) {
			return nil, 0, errField
		}
		seen |= specialOf(name)
		if had := h[name]; had != nil {
			h[name] = append(had, value)
			continue
		}
		spare[0] = value
		h[name], spare = spare[:1:1], spare[1:]
	}
	return h, seen, nil
}

// canonical returns name in the spelling of http.Header; false if it is no
// token. Most servers spell it so already.
func canonical(name string) (string, bool) {
	if !isToken(name) {
		return "", false
	}
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && 'a' <= c && c <= 'z' || !upper && 'A' <= c && c <= 'Z' {
			return textproto.CanonicalMIMEHeaderKey(name), true
		}
		upper = c == '-'
	}
	return name, true
}
