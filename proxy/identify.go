package proxy

import (
	"errors"
	"net/http"
	"strings"

	"gatehouse/session"
)

// identify learns who asks. It reports true when the verdict is final.
func (g *Gate) identify(r *http.Request, rt *compiled, v *Verdict) (final bool) {
	if lines := r.Header["Authorization"]; rt.bearer && len(lines) > 0 {
		if len(lines) > 1 {
			v.refuse(http.StatusBadRequest, ReasonAuthorization)
			return true
		}
		if token, ok := bearerToken(lines[0]); ok {
			return g.identifyBearer(r, token, v)
		}
	}
	if rt.session {
		return g.identifySession(r, v)
	}
	return false
}

// identifyBearer verifies a bearer token. A bad one is refused whatever else
// the request carries: it is never ignored in favour of a cookie.
func (g *Gate) identifyBearer(r *http.Request, token string, v *Verdict) (final bool) {
	v.UsedAuthorization = true
	id, err := g.parts.Tokens.Verify(r.Context(), token)
	if err == nil && g.parts.Revocations.Revoked(id) {
		err = ErrSessionEnded
	}
	if errors.Is(err, ErrIssuerDown) {
		v.refuse(http.StatusServiceUnavailable, ReasonIssuerDown)
		return true
	}
	if err != nil {
		v.refuse(http.StatusUnauthorized, ReasonTokenInvalid)
		v.Challenge = `Bearer error="invalid_token"`
		return true
	}
	v.Identity = id
	return false
}

// identifySession opens the session cookie. A bad cookie counts as none and is
// cleared.
func (g *Gate) identifySession(r *http.Request, v *Verdict) (final bool) {
	s, state := g.parts.Cookies.Open(*v.Site, r)
	if state == session.None {
		return false
	}
	if state == session.Invalid || g.parts.Revocations.Revoked(s.Identity()) {
		v.Cookies = g.parts.Cookies.Clear(*v.Site, r)
		return false
	}
	renewed, err := g.parts.SignIn.Renew(r.Context(), *v.Site, s)
	switch {
	case errors.Is(err, ErrSessionEnded):
		v.Cookies = g.parts.Cookies.Clear(*v.Site, r)
		return false
	case r.Context().Err() != nil:
		v.refuse(statusGone, ReasonCanceled) // nobody is left to read it
		return true
	case err != nil:
		v.refuse(http.StatusServiceUnavailable, ReasonIssuerDown)
		// Where anyone may pass, doubt about a session makes a stranger of its
		// owner, not an outage.
		return !g.parts.Policy.Public(v.Route)
	}
	if renewed != s || g.parts.Cookies.Due(renewed) {
		cookies, err := g.parts.Cookies.Replace(*v.Site, r, renewed)
		if err != nil {
			v.refuse(http.StatusServiceUnavailable, ReasonSessionRevoked)
			return true
		}
		v.Cookies = cookies
	}
	v.Identity = renewed.Identity()
	return false
}

// bearerToken returns the token of an Authorization header of scheme Bearer
// (RFC 6750 §2.1); ok is false for another scheme, which is not ours.
func bearerToken(header string) (token string, ok bool) {
	end := strings.IndexAny(header, " \t")
	if end < 0 {
		end = len(header)
	}
	if !strings.EqualFold(header[:end], "bearer") {
		return "", false
	}
	// Exactly one space: what follows two is no token, and fails as one.
	return strings.TrimPrefix(header[end:], " "), true
}
