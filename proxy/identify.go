package proxy

import (
	"errors"
	"net/http"
	"strings"

	"gatehouse/proxy/principal"
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
	c := g.parts.Principals
	var key principal.Key
	var at principal.Moment
	if c != nil {
		// Before verifying: what changes meanwhile is noticed next time.
		key, at = g.bearers.Key(token), g.moment(v)
		at.Keys = g.parts.Tokens.Generation()
		if v.known = c.Find(principal.Bearer, key, at); v.known != nil {
			v.Identity = v.known.Identity
			return false
		}
	}
	id, err := g.parts.Tokens.Verify(r.Context(), token)
	if err == nil && g.parts.Revocations.Revoked(id) {
		err = ErrSessionEnded
	}
	v.at = g.now() // keys may have been fetched
	if errors.Is(err, ErrIssuerDown) {
		v.refuse(http.StatusServiceUnavailable, ReasonIssuerDown)
		return true
	}
	if err != nil {
		v.refuse(http.StatusUnauthorized, ReasonTokenInvalid)
		v.Challenge = `Bearer error="invalid_token"`
		return true
	}
	v.Identity, v.known = id, c.Keep(key, at, id, nil)
	return false
}

// moment is when v is decided, for what is remembered.
func (g *Gate) moment(v *Verdict) principal.Moment {
	return principal.Moment{Now: v.at, Revocations: g.parts.Revocations.Generation()}
}

// identifySession opens the session cookie. A bad cookie counts as none and is
// cleared.
func (g *Gate) identifySession(r *http.Request, v *Verdict) (final bool) {
	cookies := g.parts.Cookies
	sealed, state := cookies.Find(*v.Site, r)
	if state == session.None {
		return false
	}
	var s *session.Session
	if state == session.Valid {
		s = g.open(sealed, v)
	}
	if s == nil {
		v.Cookies = cookies.Clear(*v.Site, r)
		return false
	}
	renewed, err := g.parts.SignIn.Renew(r.Context(), *v.Site, s)
	switch {
	case errors.Is(err, ErrSessionEnded):
		v.known, v.Cookies = nil, cookies.Clear(*v.Site, r)
		return false
	case r.Context().Err() != nil:
		v.refuse(statusGone, ReasonCanceled) // nobody is left to read it
		return true
	case err != nil:
		v.known = nil
		v.refuse(http.StatusServiceUnavailable, ReasonIssuerDown)
		// Where anyone may pass, doubt about a session makes a stranger of its
		// owner, not an outage.
		return !g.parts.Policy.Public(v.Route)
	}
	return g.carryOn(r, v, s, renewed)
}

// carryOn goes on with the session that s has become, and brings the browser its
// cookie when that is due.
func (g *Gate) carryOn(r *http.Request, v *Verdict, s, renewed *session.Session) (final bool) {
	if renewed != s {
		v.known, v.at = nil, g.now() // the issuer may have been asked
	}
	if renewed != s || g.parts.Cookies.Due(renewed) && v.known.Rewrite(v.at) {
		cookies, err := g.parts.Cookies.Replace(*v.Site, r, renewed)
		if err != nil {
			v.refuse(http.StatusServiceUnavailable, ReasonSessionRevoked)
			return true
		}
		v.Cookies = cookies
	}
	if v.Identity = v.known.Who(); v.Identity == nil {
		v.Identity = renewed.Identity()
	}
	return false
}

// open returns the session in a cookie that is within its limits and was not
// revoked, nil for none.
func (g *Gate) open(sealed session.Carried, v *Verdict) *session.Session {
	c := g.parts.Principals
	var key principal.Key
	var at principal.Moment
	if c != nil {
		key, at = v.place.sessions.Key(sealed.Value), g.moment(v)
		if v.known = c.Find(principal.Session, key, at); v.known != nil {
			if s := v.known.Session; g.parts.Cookies.Live(s) {
				return s
			}
			v.known = nil
			return nil
		}
	}
	s, ok := g.parts.Cookies.Unseal(*v.Site, sealed)
	if !ok {
		return nil
	}
	id := s.Identity()
	if g.parts.Revocations.Revoked(id) {
		return nil
	}
	v.known = c.Keep(key, at, id, s)
	return s
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
