package proxy

import (
	"errors"
	"net/http"
	"net/netip"

	"gatehouse/policy"
	"gatehouse/proxy/canon"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/route"
	"gatehouse/session"
)

// Asked is what the gate would do with a request if it came from somebody
// known already.
type Asked struct {
	Verdict Verdict
	// Odd is what was odd about a request that was refused for it.
	Odd canon.Oddity
	// Misses tells of each route before the one that matches why it does not.
	Misses []route.Miss
	// Query is what policy is asked; it means nothing when no route matches.
	Query policy.Query
}

// Ask runs a request through the gate as if id had been proved; nil is nobody.
// It begins no sign-in and has no effect.
func (g *Gate) Ask(r *http.Request, id *session.Identity, client netip.Addr) Asked {
	req, err := canon.Parse(r)
	v := Verdict{Request: req, Route: -1, Client: identity.Client{Addr: client}}
	if err != nil {
		a := Asked{Verdict: v.reject(r, err)}
		var bad *canon.Error
		if errors.As(err, &bad) {
			a.Odd = bad.Odd
		}
		return a
	}
	for i := range g.parts.Mounts {
		if g.parts.Mounts[i].owns(req) {
			return Asked{Verdict: v.refuse(0, ReasonOurs)}
		}
	}
	if v.Site = g.sites[req.Host]; v.Site == nil {
		return Asked{Verdict: v.refuse(http.StatusNotFound, ReasonNoRoute)}
	}
	if ours(req.Path) {
		return Asked{Verdict: v.refuse(0, ReasonOurs)}
	}
	a := Asked{Misses: g.table.Misses(req.Host, req.Path, req.Method, req.Websocket)}
	if status := g.route(&v); status != 0 {
		a.Odd = req.Odd
		a.Verdict = v.refuse(status, routeReason(status))
		return a
	}
	rt := &g.routes[v.Route]
	if !rt.public && id != nil && rt.takes(string(id.Credential)) {
		v.Identity = id
	}
	a.Query = v.query()
	d := g.parts.Policy.Decide(r.Context(), a.Query)
	v.Reason, v.Rule = Reason(d.Reason), d.Rule
	switch {
	case d.Outcome == policy.OutcomeAllow:
		v.Action = Forward
	case v.Identity == nil && d.Reason != policy.Nobody:
		v.refuse(http.StatusUnauthorized, Reason(d.Reason))
	default:
		v.refuse(http.StatusForbidden, Reason(d.Reason))
	}
	a.Verdict = v
	return a
}

// Headers returns the identity headers the upstream of a route would get.
func (g *Gate) Headers(index int, id *session.Identity) (http.Header, error) {
	h := http.Header{}
	if id == nil || g.routes[index].public {
		return h, nil
	}
	_, err := g.routes[index].headers.Apply(h, id)
	return h, err
}

// RouteName returns the name of a route, "" if there is none.
func (g *Gate) RouteName(index int) string {
	if index < 0 || index >= len(g.routes) {
		return ""
	}
	return g.routes[index].Name
}

// RoutePos returns where a route stands.
func (g *Gate) RoutePos(index int) string { return g.routes[index].Pos.String() }
