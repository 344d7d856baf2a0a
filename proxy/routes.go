package proxy

import (
	"slices"

	"gatehouse/internal/conf"
	"gatehouse/policy"
	"gatehouse/proxy/canon"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/route"
)

// OnUnauthenticated chooses the form in which a route refuses somebody who is
// not signed in. It never changes whether it refuses.
type OnUnauthenticated string

// The forms of refusal, in the words of AWS's application load balancer.
const (
	// Auto sends navigations to sign in and answers everything else 401.
	Auto OnUnauthenticated = "auto"
	// Authenticate sends every GET and HEAD that is no upgrade to sign in.
	Authenticate OnUnauthenticated = "authenticate"
	// Deny answers 401.
	Deny OnUnauthenticated = "deny"
	// Allow passes strangers on without identity; legal only beside
	// `allow: anyone`, where it makes the gate look for an identity at all.
	Allow OnUnauthenticated = "allow"
)

// Route is one entry of `routes`.
type Route struct {
	Pos conf.Pos `yaml:"-"`
	// Name identifies the route in logs, metrics and explanations. Mandatory
	// and unique.
	Name string `yaml:"name"`
	// Match says which requests the route takes.
	Match route.Match `yaml:"match"`
	// Allow says who may: anyone, signed-in, nobody, or conditions. Mandatory.
	Allow policy.Allow `yaml:"allow"`
	// Require says how whoever may must have signed in; what is missing leads to
	// another sign-in, or to 401 insufficient_user_authentication (RFC 9470).
	// Default any way.
	Require *policy.Require `yaml:"require"`
	// Body lets rules of operators judge the parsed JSON body. Default none.
	Body *Body `yaml:"body"`
	// OnUnauthenticated is auto, authenticate, deny or allow. Default auto.
	OnUnauthenticated OnUnauthenticated `yaml:"on_unauthenticated"`
	// Credentials are the kinds of credential the route takes: session,
	// bearer. Default both.
	Credentials []string `yaml:"credentials"`
	// Upstream is the name of the upstream. Default: the only one there is.
	Upstream string `yaml:"upstream"`
	// IdentityHeaders overrides the top level's.
	IdentityHeaders *identity.Headers `yaml:"identity_headers"`
	// Odd lists the path oddities the route takes although they are refused by
	// default: encoded_slash, encoded_backslash, encoded_percent, semicolon, ….
	// It costs: what the upstream makes of them is its own affair.
	Odd []string `yaml:"odd"`
	// PassAuthorization forwards the Authorization header even when it carried
	// the bearer token that this gate used. It costs: the application, if
	// taken over, can replay the token. Default false.
	PassAuthorization bool `yaml:"pass_authorization"`
}

// Body says what of a request's body rules may judge. It is read once who is
// asking is known, and forwarded byte by byte as it came.
type Body struct {
	Pos conf.Pos `yaml:"-"`
	// Max is how much is read; a larger body counts as truncated. Default 64KiB,
	// at most 1MiB.
	Max conf.Size `yaml:"max"`
	// Accept are the states of a body that the rule is asked about: parsed,
	// absent, truncated, unparsable; the others are refused. Default parsed.
	Accept []string `yaml:"accept"`
}

// maxBody is the largest body that rules judge.
const maxBody = 1 << 20

// bodyStates are the words of Body.Accept.
var bodyStates = map[string]policy.BodyState{
	policy.BodyNone.String():   policy.BodyNone,
	policy.BodyParsed.String(): policy.BodyParsed,
	policy.BodyCut.String():    policy.BodyCut,
	policy.BodyBroken.String(): policy.BodyBroken,
}

// Defaults sets what absent keys mean.
func (b *Body) Defaults() {
	b.Max = 64 << 10
	b.Accept = []string{policy.BodyParsed.String()}
}

// Check reports what is wrong with the key by itself.
func (b *Body) Check(r *conf.Report) {
	if b.Max < 1 || b.Max > maxBody {
		r.Errorf(&b.Max, "body: max is %s, want 1 to %s", b.Max, conf.Size(maxBody))
	}
	if len(b.Accept) == 0 {
		r.Errorf(&b.Accept, "body: accept is empty, so nothing could ever pass; leave it out for parsed")
	}
	for i, word := range b.Accept {
		if _, ok := bodyStates[word]; !ok {
			r.Errorf(&b.Accept[i], "body: accept names %q, want parsed, absent, truncated or unparsable", word)
		}
	}
}

// states are the states of a body that the route's rule is asked about; nil for
// a route that does not judge it.
func (b *Body) states() []policy.BodyState {
	if b == nil {
		return nil
	}
	list := make([]policy.BodyState, 0, len(b.Accept))
	for _, word := range b.Accept {
		if s, ok := bodyStates[word]; ok && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	slices.Sort(list)
	return list
}

// Rules returns what policy.Compile needs of each route, in their order.
func (c *Config) Rules() []policy.Rule {
	rules := make([]policy.Rule, len(c.Routes))
	for i, rt := range c.Routes {
		rules[i] = policy.Rule{
			Route: rt.Name, Allow: rt.Allow, Require: rt.Require, Variables: rt.Match.Variables(), Bodies: rt.Body.states(), Pos: rt.Pos,
		}
	}
	return rules
}

// Defaults sets what an absent key means.
func (rt *Route) Defaults() {
	rt.OnUnauthenticated = Auto
	rt.Credentials = []string{"session", "bearer"}
}

// Check reports what is wrong with one route by itself.
func (rt *Route) Check(r *conf.Report) {
	if rt.Name == "" {
		r.Errorf(rt.Pos, "a route needs a name")
	}
	if !rt.Allow.Given() && !r.Has(&rt.Allow) {
		r.Errorf(rt.Pos, "route %q has no \"allow\"; a route without it protects nothing: write anyone, signed-in, nobody, or conditions", rt.Name)
	}
	switch rt.OnUnauthenticated {
	case Auto, Authenticate, Deny:
	case Allow:
		if !rt.Allow.Anyone() {
			r.Errorf(&rt.OnUnauthenticated, "on_unauthenticated: allow is legal only beside allow: anyone; here it would let everybody past the rule by dropping their cookie")
		}
	default:
		r.Errorf(&rt.OnUnauthenticated, "on_unauthenticated is %q, want auto, authenticate, deny or allow", string(rt.OnUnauthenticated))
	}
	for _, c := range rt.Credentials {
		if c != "session" && c != "bearer" {
			r.Errorf(&rt.Credentials, "credentials names %q, want session or bearer", c)
		}
	}
	if len(rt.Credentials) == 0 {
		r.Errorf(&rt.Credentials, "credentials is empty, so nobody could ever be known; leave the key out for both")
	}
	if _, err := canon.ParseOddities(rt.Odd); err != nil {
		r.Errorf(&rt.Odd, "odd: %v", err)
	}
	if rt.Require != nil && (rt.Allow.Word == policy.WordAnyone || rt.Allow.Word == policy.WordNobody) {
		r.Errorf(&rt.Require, "require stands beside allow: %s, where nobody's sign-in is looked at; it needs signed-in or conditions", string(rt.Allow.Word))
	}
	if rt.Body != nil && rt.Allow.Given() && rt.Allow.When == nil {
		r.Errorf(&rt.Body, "body stands beside allow: %s, which looks at no body; it belongs beside conditions, such as { opa: { rule: data.orders.allow } }", string(rt.Allow.Word))
	}
}

func (rt *Route) takes(credential string) bool { return slices.Contains(rt.Credentials, credential) }
