package proxy

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/page"
	"gatehouse/policy"
	"gatehouse/proxy/canon"
	"gatehouse/session"
)

// unauthenticated refuses somebody unknown in the form the route asks for.
func (g *Gate) unauthenticated(r *http.Request, rt *compiled, v *Verdict) {
	v.SignIn = rt.session
	if rt.session && rt.redirects(r, v.Request) {
		v.begin(r, g.parts.SignIn, Attempt{ReturnTo: returnPath(v.Request), Require: rt.Require})
	}
}

// stepUp refuses somebody known who must sign in again, in the form the route
// asks for. A bearer can only be told: its client gets another token.
func (g *Gate) stepUp(r *http.Request, rt *compiled, v *Verdict) {
	if v.Identity == nil || v.Identity.Credential != session.Cookie {
		return
	}
	v.SignIn = true
	if rt.redirects(r, v.Request) {
		v.begin(r, g.parts.SignIn, Attempt{ReturnTo: returnPath(v.Request), Require: v.decision.Require, Identity: v.Identity})
	}
}

// redirects tells whether the route sends whoever must sign in there at once.
func (rt *compiled) redirects(r *http.Request, c canon.Request) bool {
	switch {
	case c.Websocket:
		return false
	case rt.OnUnauthenticated == Auto:
		return page.Navigation(r)
	case rt.OnUnauthenticated == Authenticate:
		return c.Method == http.MethodGet || c.Method == http.MethodHead
	}
	return false
}

// begin turns v into a redirect to sign in, or 503 while the issuer is down.
func (v *Verdict) begin(r *http.Request, to SignIn, a Attempt) {
	location, cookies, err := to.Begin(r.Context(), *v.Site, r, a)
	if err != nil {
		v.refuse(http.StatusServiceUnavailable, ReasonIssuerDown)
		return
	}
	v.Action, v.Status, v.Location = Redirect, http.StatusFound, location
	v.Cookies = append(v.Cookies, cookies...)
}

// returnPath is the page first asked for, with its query.
func returnPath(c canon.Request) string {
	if c.RawQuery == "" {
		return c.EscapedPath
	}
	return c.EscapedPath + "?" + c.RawQuery
}

// loginURL is where the person of a refused request signs in, as the route asks
// for, and comes back.
func (g *Gate) loginURL(v *Verdict) string {
	q := url.Values{paramReturn: {returnPath(v.Request)}}
	if v.Route >= 0 && g.routes[v.Route].Require != nil {
		q.Set(paramStepUp, g.routes[v.Route].Name)
	}
	return v.Site.Origin + pathSignIn + "?" + q.Encode()
}

// Parameters of the page that begins a sign-in: the path to come back to, and
// the name of the route whose `require` is to be met.
const (
	paramReturn = "rd"
	paramStepUp = "step_up"
)

// attempt is what a request for the sign-in page asks for. Whoever is signed in
// and names a route that requires more steps up as themselves; ok is false
// while it cannot be known who that is.
func (g *Gate) attempt(r *http.Request, v *Verdict) (a Attempt, ok bool) {
	q := r.URL.Query()
	a.ReturnTo = q.Get(paramReturn)
	if a.Require = g.requireOf(q.Get(paramStepUp)); a.Require == nil {
		return a, true
	}
	if s := g.current(r, v); s != nil {
		a.Identity = s.Identity()
	} else if v.Status == http.StatusServiceUnavailable {
		return a, false
	}
	return a, true
}

// requireOf returns what the route of that name requires, nil for nothing and
// for no route.
func (g *Gate) requireOf(name string) *policy.Require {
	for i := range g.routes {
		if g.routes[i].Name == name {
			return g.routes[i].Require
		}
	}
	return nil
}

// refedsMFA is the class of authentication with a second factor (REFEDS MFA
// Profile 1.2 §3): what a token is asked for when any second factor will do.
const refedsMFA = "https://refeds.org/profile/mfa"

// stepUpChallenge says how a token must have come about (RFC 9470 §3).
func stepUpChallenge(d *policy.Decision) string {
	var b strings.Builder
	b.WriteString(`Bearer error="insufficient_user_authentication", error_description="` + stepUpText[d.Reason] + `"`)
	if d.Require == nil {
		return b.String()
	}
	switch {
	case len(d.Require.ACR) > 0:
		b.WriteString(`, acr_values="` + quoted.Replace(strings.Join(d.Require.ACR, " ")) + `"`)
	case d.Require.MFA:
		b.WriteString(`, acr_values="` + refedsMFA + `"`)
	}
	if within := d.Require.SignedInWithin; within > 0 {
		b.WriteString(`, max_age="` + strconv.FormatInt(int64(within/time.Second), 10) + `"`)
	}
	return b.String()
}

// stepUpText describes to a client what its token lacks.
var stepUpText = map[policy.Reason]string{
	policy.MFARequired:    "a second factor is required",
	policy.ACRRequired:    "another kind of authentication is required",
	policy.ReauthRequired: "a more recent authentication is required",
}

// quoted escapes what would end a quoted string (RFC 9110 §5.6.4).
var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)
