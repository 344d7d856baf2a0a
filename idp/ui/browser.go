package ui

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/opaque"
)

// maxFlows is how many sign-in pages one browser may have open. More cookies
// than this would end in requests too large to answer, so the oldest go.
const maxFlows = 16

// nameLength is how much of a flow's id is part of its cookie's name.
const nameLength = 8

// NewBrowserSecret returns 128 random bits, base64url: what tells the browser
// that begins a flow from all others. It says nothing of who sits before it.
func NewBrowserSecret() string { return opaque.New(16) }

// RememberFlow gives the browser the secret of a flow, in a cookie of the
// flow's own: tabs that begin at once in a fresh browser would overwrite one
// they had to share. The oldest make room for the newest.
func (p *Pages) RememberFlow(w http.ResponseWriter, r *http.Request, flow, secret string) {
	p.remember(w, r, flow, secret, p.deps.FlowLifetime)
}

// remember is RememberFlow for an id and a time of the caller's.
func (p *Pages) remember(w http.ResponseWriter, r *http.Request, id, secret string, lifetime time.Duration) {
	for _, name := range p.surplus(r) {
		p.set(w, name, "", -1)
	}
	value := strconv.FormatInt(p.deps.Now().Unix(), 36) + "." + secret
	p.set(w, p.cookieName(id), value, int(lifetime/time.Second))
}

// BrowserSecret returns the secret of the browser for a flow, "" if it has none.
func (p *Pages) BrowserSecret(r *http.Request, flow string) string {
	found := r.CookiesNamed(p.cookieName(flow))
	if len(found) != 1 {
		return ""
	}
	_, secret, _ := strings.Cut(found[0].Value, ".")
	return secret
}

func (p *Pages) cookieName(flow string) string {
	return p.cookie.Name + "-" + flow[:min(len(flow), nameLength)]
}

// surplus returns the names of the flow cookies that make room for one more.
func (p *Pages) surplus(r *http.Request) []string {
	type aged struct {
		name string
		born int64
	}
	var all []aged
	for _, c := range r.Cookies() {
		suffix, ok := strings.CutPrefix(c.Name, p.cookie.Name+"-")
		if !ok || len(suffix) != nameLength {
			continue
		}
		// An age that cannot be read is 0: the oldest of all.
		text, _, _ := strings.Cut(c.Value, ".")
		born, _ := strconv.ParseInt(text, 36, 64)
		all = append(all, aged{c.Name, born})
	}
	if len(all) < maxFlows {
		return nil
	}
	slices.SortStableFunc(all, func(a, b aged) int { return cmp.Compare(a.born, b.born) })
	var names []string
	for _, c := range all[:len(all)-maxFlows+1] {
		names = append(names, c.name)
	}
	return names
}

func (p *Pages) set(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: p.cookie.Path, MaxAge: maxAge,
		Secure: p.cookie.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
