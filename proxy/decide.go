package proxy

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"gatehouse/policy"
	"gatehouse/proxy/body"
	"gatehouse/session"
)

// decide takes a located request through route, identity and policy. w is where
// the connection gets a deadline while its body is read; nil without one. It
// writes nothing.
func (g *Gate) decide(w http.ResponseWriter, r *http.Request, v *Verdict) {
	if status := g.route(v); status != 0 {
		v.refuse(status, routeReason(status))
		return
	}
	rt := &g.routes[v.Route]
	if rt.public {
		v.Action, v.Reason = Forward, Reason(policy.RouteOpen)
		return
	}
	v.at = g.now()
	if final := g.identify(r, rt, v); final {
		return
	}
	if v.Identity != nil && !g.parts.Revocations.Fresh(v.at) {
		v.refuse(http.StatusServiceUnavailable, ReasonFeedStale)
		return
	}
	if crossSite(r, v) {
		// Before the policy is asked, or its leave would be recorded.
		v.refuse(http.StatusForbidden, ReasonOrigin)
		return
	}
	if final := g.takeBody(w, r, rt, v); final {
		return
	}
	g.ask(r.Context(), v)
	g.settle(rt, v)
	switch {
	case v.Identity == nil && v.Status == http.StatusUnauthorized:
		g.unauthenticated(r, rt, v)
	case v.decision.Outcome == policy.OutcomeStepUp:
		g.stepUp(r, rt, v)
	}
}

// settle turns the decision of the policy into the verdict that depends on
// nothing else: what is forwarded, and status and challenge of a refusal.
func (g *Gate) settle(rt *compiled, v *Verdict) {
	d := &v.decision
	v.Reason, v.Rule = Reason(d.Reason), d.Rule
	switch {
	case d.Outcome == policy.OutcomeAllow:
		v.Action, v.Status = Forward, 0
	case d.Outcome == policy.OutcomeStepUp && v.Identity != nil:
		v.refuse(http.StatusUnauthorized, v.Reason)
		v.Challenge = stepUpChallenge(d)
	case v.Identity == nil && d.Reason != policy.Nobody:
		v.refuse(http.StatusUnauthorized, ReasonSignInRequired)
		if rt.bearer {
			v.Challenge = "Bearer"
		}
	case d.Reason == policy.OPAError:
		v.refuse(http.StatusServiceUnavailable, v.Reason)
	default:
		v.refuse(http.StatusForbidden, v.Reason)
		if v.Identity != nil && v.Identity.Credential == session.Bearer && d.Reason == policy.ScopeMissing {
			v.Challenge = scopeChallenge(rt.Allow)
		}
	}
}

// scopeChallenge names the scopes that would have helped (RFC 6750 §3.1).
func scopeChallenge(a policy.Allow) string {
	challenge := `Bearer error="insufficient_scope"`
	if scopes := a.Scopes(); len(scopes) > 0 {
		challenge += `, scope="` + strings.Join(scopes, " ") + `"`
	}
	return challenge
}

// route finds the route of a canonical request and fills it in, with its path
// variables. It returns 0, or the status of a refusal: 404 when no route matches,
// 400 when the request is odder than its route takes, or when another way to
// read its path leads to another route or other variables. Two readings of one
// request are decided alike or not at all.
func (g *Gate) route(v *Verdict) (status int) {
	c := &v.Request
	index, ok := g.table.Find(c.Host, c.Path, c.Method, c.Websocket)
	if !ok {
		return http.StatusNotFound
	}
	v.Route, v.Rule = index, g.routes[index].Allow.Pos
	if c.Odd&^g.routes[index].odd != 0 {
		return http.StatusBadRequest
	}
	variables := g.table.Variables(index, c.Path)
	if c.Other != "" {
		other, ok := g.table.Find(c.Host, c.Other, c.Method, c.Websocket)
		if !ok || other != index || !slices.Equal(variables, g.table.Variables(index, c.Other)) {
			return http.StatusBadRequest
		}
	}
	if v.variables = nil; len(variables) > 0 {
		v.variables = make([]policy.Variable, len(variables))
		for i, x := range variables {
			v.variables[i] = policy.Variable(x)
		}
	}
	return 0
}

func routeReason(status int) Reason {
	if status == http.StatusNotFound {
		return ReasonNoRoute
	}
	return ReasonPathRejected
}

// takeBody reads the body for a route that judges it, once it is known who
// asks: strangers are refused without. It reports true when the verdict is final.
func (g *Gate) takeBody(w http.ResponseWriter, r *http.Request, rt *compiled, v *Verdict) (final bool) {
	if rt.Body == nil || v.Identity == nil {
		return false
	}
	var pace *http.ResponseController
	if w != nil {
		pace = http.NewResponseController(w)
	}
	taken, err := g.bodies.Read(r, v.Identity.Issuer+" "+v.Identity.Subject, int(rt.Body.Max), pace)
	switch {
	case err == nil:
		v.body = taken
		return false
	case errors.Is(err, body.ErrSlow):
		v.refuse(http.StatusRequestTimeout, ReasonBodySlow)
	case errors.Is(err, body.ErrBusy):
		v.refuse(http.StatusServiceUnavailable, ReasonBodyBusy)
	case r.Context().Err() != nil:
		v.refuse(statusGone, ReasonCanceled)
	default:
		v.refuse(http.StatusBadRequest, ReasonBodyBroken)
	}
	v.hangUp = true
	return true
}

// crossSite tells whether a web socket that enters by cookie comes from no page
// of ours: web sockets are not bound by the same-origin policy.
func crossSite(r *http.Request, v *Verdict) bool {
	return v.Request.Websocket && v.Identity != nil && v.Identity.Credential == session.Cookie &&
		r.Header.Get("Origin") != v.Site.Origin
}
