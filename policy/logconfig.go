package policy

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/conf"
)

// maxLogQueue bounds policy.log.queue.
const maxLogQueue = 1_000_000

// Defaults sets what absent keys mean.
func (c *LogConfig) Defaults() {
	c.Allows, c.Queue = 0.1, 10_000
	c.Mask = []string{
		"/input/user/email", "/input/user/name", "/input/credential/claims", "/input/request/query", "/input/request/body",
	}
}

// Check reports what makes no sense in it.
func (c *LogConfig) Check(r *conf.Report) {
	if !r.Has(&c.File) && !r.Has(&c.URL) && !r.Has(&c.OTLP) {
		r.Errorf(c.Pos, "policy.log names no place to record decisions in: give file, url or otlp")
	}
	if r.Has(&c.File) && c.File == "" {
		r.Errorf(&c.File, "file is empty; name a file, or - for standard output")
	}
	for _, u := range []**url.URL{&c.URL, &c.OTLP} {
		if *u == nil {
			continue
		}
		if err := checkCollector(*u); err != nil {
			r.Errorf(u, "%v", err)
		}
	}
	if c.OTLP != nil && c.OTLP.RawQuery != "" {
		r.Errorf(&c.OTLP, "otlp has a query, which OTLP does not send")
	}
	if c.Token != "" && c.URL == nil {
		r.Errorf(&c.Token, "token is sent to url, which is absent")
	}
	if !(c.Allows >= 0 && c.Allows <= 1) { // NaN is neither
		r.Errorf(&c.Allows, "allows is %v, want a share from 0 (none) to 1 (all)", c.Allows)
	}
	if c.Queue < 1 || c.Queue > maxLogQueue {
		r.Errorf(&c.Queue, "queue is %d, want 1 to %d", c.Queue, maxLogQueue)
	}
	for i := range c.Mask {
		tokens, err := ParseMask(c.Mask[i])
		if err == nil {
			err = masksSomething(tokens)
		}
		if err != nil {
			r.Errorf(&c.Mask[i], "%q %v", c.Mask[i], err)
		}
	}
}

// checkCollector refuses a place to which decisions would travel unencrypted,
// and a URL that is more than a place.
func checkCollector(u *url.URL) error {
	switch {
	case u.Host == "" || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("want a URL such as https://collector.example.com/logs")
	case u.Fragment != "":
		return errors.New("the URL has a fragment, which is sent nowhere")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("decisions name people and would travel unencrypted: use https, or http on loopback only")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// Errors of ParseMask.
var (
	errMaskRoot   = errors.New("names nothing below /input, such as /input/user/email")
	errMaskEscape = errors.New("has a ~ that is neither ~0 (for ~) nor ~1 (for /) (RFC 6901 §3)")
	errMaskText   = errors.New("is not UTF-8")
)

// Both work in one pass, so that ~01 is ~1 and not a slash.
var (
	pointerUnescape = strings.NewReplacer("~0", "~", "~1", "/")
	pointerEscape   = strings.NewReplacer("~", "~0", "/", "~1")
)

// ParseMask returns the reference tokens of a JSON pointer (RFC 6901 §4) to a
// part of the input document, unescaped and without the leading "input". It has
// at least one token.
func ParseMask(pointer string) ([]string, error) {
	rest, ok := strings.CutPrefix(pointer, "/input/")
	if !ok || rest == "" {
		return nil, errMaskRoot
	}
	if !utf8.ValidString(rest) {
		return nil, errMaskText
	}
	tokens := strings.Split(rest, "/")
	for i, token := range tokens {
		if strings.Count(token, "~") != strings.Count(token, "~0")+strings.Count(token, "~1") {
			return nil, errMaskEscape
		}
		tokens[i] = pointerUnescape.Replace(token)
	}
	return tokens, nil
}

// masksSomething returns why a mask would leave everything in the log: what it names
// is no part of a record.
func masksSomething(tokens []string) error {
	known, above := slices.Sorted(maps.Keys(recorded)), []string(nil)
	for _, token := range tokens[:min(len(tokens), 2)] {
		if slices.Contains(known, token) {
			known, above = recorded[token], append(above, token)
			continue
		}
		hint := ""
		if near := conf.Suggest(token, known); near != "" {
			hint = "; did you mean " + MaskPointer(append(above, near)) + "?"
		}
		return fmt.Errorf("names no part of what is recorded%s", hint)
	}
	return nil
}

// MaskPointer is the inverse of ParseMask.
func MaskPointer(tokens []string) string {
	var b strings.Builder
	b.WriteString("/input")
	for _, token := range tokens {
		b.WriteString("/" + pointerEscape.Replace(token))
	}
	return b.String()
}
