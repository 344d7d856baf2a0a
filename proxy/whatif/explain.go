package whatif

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/proxy/canon"
	"gatehouse/session"
)

// Question is a request that might be made.
type Question struct {
	// Method is an HTTP method.
	Method string
	// URL is absolute, or a path with query; a path means the first public URL.
	URL string
	// Origin is scheme and host of the first public URL.
	Origin string
	// Websocket asks for a web socket.
	Websocket bool
	// Client is the address the request would come from.
	Client netip.Addr
	// Identity is who would ask; nil for nobody.
	Identity *session.Identity
	// Who names Identity for the reader: "bob", "a visitor".
	Who string
	// Time is when the request would come; zero means now.
	Time time.Time
	// Body is what it would carry, as application/json; nil for nothing. A route
	// that does not judge bodies does not look at it.
	Body []byte
	// Input and Trace ask for what OPA is given, and for how it evaluates that.
	Input, Trace bool
}

// Step is one route that was looked at.
type Step struct {
	Route string `json:"route"`
	Rule  string `json:"rule"`
	// Miss is the part of its match that did not fit: host, path, method or
	// websocket; "" for the route that matched.
	Miss string `json:"miss,omitempty"`
}

// Answer is the account of what would happen.
type Answer struct {
	Method string `json:"method"`
	Host   string `json:"host"`
	// Path is the canonical path, the one decided on and forwarded.
	Path string `json:"path"`
	Who  string `json:"who"`
	// Time is the time asked about, RFC 3339; "" for now.
	Time  string `json:"time,omitempty"`
	Steps []Step `json:"routes"`
	// Variables are the path variables by name; nil if the route has none.
	Variables map[string]string `json:"variables,omitempty"`
	// Body is absent, parsed, truncated or unparsable on a route that judges the
	// body, else "".
	Body string `json:"body,omitempty"`
	// Decision is allow, deny, step_up, or ours for a page of the gateway or
	// provider; Status is the HTTP status of a refusal.
	Decision string `json:"decision"`
	Status   int    `json:"status,omitempty"`
	Reason   string `json:"reason"`
	// Odd names what was odd about a path that was rejected: what the route
	// would have to list under odd, where it may.
	Odd string `json:"odd,omitempty"`
	// Rule is "file:line" of what decided.
	Rule string `json:"rule,omitempty"`
	// Policy is the account of the conditions; nil when no route matched.
	Policy *policy.Explanation `json:"policy,omitempty"`
	// Headers are the identity headers the upstream would get.
	Headers map[string]string `json:"upstream_headers,omitempty"`
	// Input is what OPA is given, nil where it is not asked; Trace is how it
	// evaluates that. Both only on request.
	Input json.RawMessage `json:"input,omitempty"`
	Trace string          `json:"trace,omitempty"`

	asker string // how to speak of Who
	asked Question
}

// Explain asks g.
func Explain(ctx context.Context, g *proxy.Gate, p *policy.Policy, q Question) (Answer, error) {
	asked, err := q.pose(ctx, g)
	if err != nil {
		return Answer{}, err
	}
	v := asked.Verdict
	a := Answer{
		Method: q.Method, Host: v.Request.Host, Path: v.Request.Path, Who: q.Who, asked: q, asker: q.Who,
		Decision: "deny", Status: v.Status, Reason: string(v.Reason), Odd: asked.Odd.String(), Rule: v.Rule.String(),
	}
	if q.Identity == nil {
		a.asker = "the visitor"
	}
	if !q.Time.IsZero() {
		a.Time = q.Time.Format(time.RFC3339)
	}
	if a.Path == "" {
		a.Path = q.URL // it has no canonical form
	}
	for _, m := range asked.Misses {
		a.Steps = append(a.Steps, Step{Route: g.RouteName(m.Route), Rule: g.RoutePos(m.Route), Miss: string(m.Part)})
	}
	if v.Reason == proxy.ReasonOurs {
		a.Decision = DecideOurs
	}
	if v.Route < 0 {
		return a, nil
	}
	a.Steps = append(a.Steps, Step{Route: g.RouteName(v.Route), Rule: g.RoutePos(v.Route)})
	if v.Reason == proxy.ReasonPathRejected {
		return a, nil
	}
	if err := a.account(ctx, p, asked); err != nil {
		return Answer{}, err
	}
	if v.Action == proxy.Forward {
		err = a.forward(g, v)
	}
	return a, err
}

// pose asks g. The body is parsed by the gate itself, under the limit of the
// route.
func (q Question) pose(ctx context.Context, g *proxy.Gate) (proxy.Asked, error) {
	r, err := q.request(ctx)
	if err != nil {
		return proxy.Asked{}, err
	}
	if q.Body != nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(q.Body)), int64(len(q.Body))
		r.Header.Set("Content-Type", "application/json")
	}
	asked := g.Ask(r, q.Identity, q.Client)
	req, err := canon.Parse(r)
	if err != nil || q.Time.IsZero() {
		return asked, nil // a request without a canonical form has been refused
	}
	return g.Judge(req, q.Identity, q.Client, proxy.Asking{Time: q.Time, Body: asked.Query.Body}), nil
}

// account adds what the policy says to the question it was asked.
func (a *Answer) account(ctx context.Context, p *policy.Policy, asked proxy.Asked) error {
	account := p.Explain(ctx, asked.Query)
	a.Policy = &account
	if asked.Decision.Outcome == policy.OutcomeStepUp {
		a.Decision = DecideStepUp
	}
	a.Body = asked.Query.Body.State.String()
	for _, v := range asked.Query.Variables {
		if a.Variables == nil {
			a.Variables = map[string]string{}
		}
		a.Variables[v.Name] = v.Value
	}
	return a.evaluation(ctx, p, asked)
}

// evaluation adds what OPA is given and how it evaluates that. What went wrong
// with it stands in the account already.
func (a *Answer) evaluation(ctx context.Context, p *policy.Policy, asked proxy.Asked) error {
	if a.asked.Input {
		input, err := p.Input(asked.Query)
		if err != nil && a.Policy.Error == "" {
			return fmt.Errorf("make the input of OPA: %w", err)
		}
		if input != nil {
			a.Input = json.RawMessage(maskedFor(asked.Verdict.Identity, string(input)))
		}
	}
	if a.asked.Trace {
		trace, err := p.Trace(ctx, asked.Query)
		if err != nil && a.Policy.Error == "" {
			return fmt.Errorf("trace OPA: %w", err)
		}
		a.Trace = maskedFor(asked.Verdict.Identity, trace)
	}
	return nil
}

// forward adds what the upstream would get.
func (a *Answer) forward(g *proxy.Gate, v proxy.Verdict) error {
	a.Decision, a.Headers = DecideAllow, map[string]string{}
	told, err := g.Headers(v.Route, v.Identity)
	if err != nil {
		return fmt.Errorf("make identity headers: %w", err)
	}
	for name, values := range told {
		a.Headers[name] = maskedFor(v.Identity, strings.Join(values, ", "))
	}
	return nil
}

// signedToken is a JWT in compact form (RFC 7519 §3), wherever it stands.
var signedToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*`)

// masked keeps what is printed from opening anything: a signed statement or a
// token is named, not shown.
func masked(text string) string { return signedToken.ReplaceAllString(text, "(a signed token)") }

// maskedFor is masked for what speaks of id, whose own token may be of any form.
func maskedFor(id *session.Identity, text string) string {
	if id != nil && id.AccessToken != "" {
		text = strings.ReplaceAll(text, id.AccessToken, "(an access token)")
	}
	return masked(text)
}

// request makes the request as a server would see it.
func (q Question) request(ctx context.Context) (*http.Request, error) {
	raw := q.URL
	if strings.HasPrefix(raw, "/") {
		raw = q.Origin + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("%q is neither a path (/admin) nor a URL (https://app.example.com/admin)", q.URL)
	}
	r := (&http.Request{
		Method: q.Method, Host: u.Host, Header: http.Header{}, URL: u,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	// The target as it stands, not as net/url would write it: what is odd about
	// it is part of the question.
	_, rest, _ := strings.Cut(raw, "://")
	r.RequestURI = "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		r.RequestURI = "/" + strings.TrimPrefix(rest[i:], "/")
	}
	if q.Websocket {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
	}
	return r, nil
}
