package admin

import (
	"net/url"
	"strings"
)

// match reports whether path, as the client sent it, is the one that pattern
// describes, and returns what stands for its braces, decoded. There is one
// spelling of each path: no empty segment, and no slash at the end.
func match(pattern, path string) ([]string, bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	var segments []string
	for i, w := range want {
		if !strings.HasPrefix(w, "{") {
			if w != got[i] {
				return nil, false
			}
			continue
		}
		text, err := url.PathUnescape(got[i])
		if err != nil || text == "" {
			return nil, false
		}
		segments = append(segments, text)
	}
	return segments, true
}
