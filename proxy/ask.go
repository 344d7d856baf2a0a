package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"gatehouse/policy"
	"gatehouse/proxy/body"
	"gatehouse/proxy/canon"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/route"
	"gatehouse/session"
)

// Asked is what the gate would do with a request if it came from somebody
// known already.
type Asked struct {
	// Verdict is that of Check, but for where a browser would be sent: a step-up
	// or a missing sign-in is a refusal with status 401. A web socket is taken
	// to come from a page of ours.
	Verdict Verdict
	// Odd is what was odd about a request that was refused for it.
	Odd canon.Oddity
	// Misses tells of each route before the one that matches why it does not.
	Misses []route.Miss
	// Query is what policy is asked, and Decision what it says; they mean nothing
	// when no route matches.
	Query    policy.Query
	Decision policy.Decision
}

// Asking is what else a decision may depend on.
type Asking struct {
	// Time is when the request came; zero means now.
	Time time.Time
	// Body is the request's body, for a route that judges it; BodyUnread means
	// that there is none.
	Body policy.Body
}

// Ask runs a request through the gate as if id had been proved; nil is nobody.
// It begins no sign-in and has no effect but to read the body, as Check does.
func (g *Gate) Ask(r *http.Request, id *session.Identity, client netip.Addr) Asked {
	req, err := canon.Parse(r)
	if err != nil {
		v := Verdict{Route: -1, Client: identity.Client{Addr: client}}
		v.reject(r, err)
		a := Asked{Verdict: v}
		var bad *canon.Error
		if errors.As(err, &bad) {
			a.Odd = bad.Odd
		}
		return a
	}
	v := Verdict{Request: req, Client: identity.Client{Addr: client}, at: g.now()}
	return g.judge(r.Context(), v, id, func(rt *compiled, v *Verdict) (final bool) {
		final = g.takeBody(nil, r, rt, v)
		if v.body != nil {
			r.Body = v.body.Body()
			v.body.Release()
		}
		return final
	})
}

// Judge is Ask for a request that is canonical already.
func (g *Gate) Judge(req canon.Request, id *session.Identity, client netip.Addr, at Asking) Asked {
	v := Verdict{Request: req, Client: identity.Client{Addr: client}, at: at.Time}
	if v.at.IsZero() {
		v.at = g.now()
	}
	if at.Body.State == policy.BodyUnread {
		at.Body = policy.Body{State: policy.BodyNone}
	}
	return g.judge(context.Background(), v, id, func(_ *compiled, v *Verdict) (final bool) {
		v.body = body.Of(at.Body)
		return false
	})
}

// judge decides about v, of which request, client and time are filled in, as
// locate and decide do. take fills in the body for a route that judges it, and
// reports true when that made the verdict final.
func (g *Gate) judge(ctx context.Context, v Verdict, id *session.Identity, take func(*compiled, *Verdict) bool) Asked {
	v.Route = -1
	req := &v.Request
	for i := range g.parts.Mounts {
		if g.parts.Mounts[i].owns(req) {
			v.refuse(0, ReasonOurs)
			return Asked{Verdict: v}
		}
	}
	if !g.findSite(&v) {
		v.refuse(http.StatusNotFound, ReasonNoRoute)
		return Asked{Verdict: v}
	}
	if ours(req.Path) {
		v.refuse(0, ReasonOurs)
		return Asked{Verdict: v}
	}
	a := Asked{Misses: g.table.Misses(req.Host, req.Path, req.Method, req.Websocket)}
	if status := g.route(&v); status != 0 {
		v.refuse(status, routeReason(status))
		a.Odd, a.Verdict = req.Odd, v
		return a
	}
	rt := &g.routes[v.Route]
	if !rt.public && id != nil && rt.takes(string(id.Credential)) {
		v.Identity = id
	}
	final := rt.Body != nil && v.Identity != nil && take(rt, &v)
	if a.Query = v.query(); !final {
		g.ask(ctx, &v)
		g.settle(rt, &v)
		v.SignIn = v.Status == http.StatusUnauthorized && rt.session && (v.Identity == nil || v.Identity.Credential == session.Cookie)
	}
	a.Verdict, a.Decision = v, v.decision
	return a
}

// Headers returns the identity headers the upstream of a route would get.
func (g *Gate) Headers(index int, id *session.Identity) (http.Header, error) {
	h := http.Header{}
	if id == nil || g.routes[index].public {
		return h, nil
	}
	told, err := g.routes[index].headers.Tell(id, g.now())
	if err != nil {
		return h, err
	}
	told.SetOn(h)
	return h, nil
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

// Routes returns how many routes there are.
func (g *Gate) Routes() int { return len(g.routes) }

// Rule returns what the policy was compiled from for a route.
func (g *Gate) Rule(index int) policy.Rule { return g.rules[index] }
