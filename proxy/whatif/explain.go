package whatif

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"gatehouse/policy"
	"gatehouse/proxy"
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
	Path  string `json:"path"`
	Who   string `json:"who"`
	Steps []Step `json:"routes"`
	// Decision is allow, deny, or ours for a page of the gateway or provider;
	// Status is the HTTP status of a refusal.
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
	asker  string              // how to speak of Who
	// Headers are the identity headers the upstream would get.
	Headers map[string]string `json:"upstream_headers,omitempty"`
}

// Explain asks g.
func Explain(ctx context.Context, g *proxy.Gate, p *policy.Policy, q Question) (Answer, error) {
	r, err := q.request(ctx)
	if err != nil {
		return Answer{}, err
	}
	asked := g.Ask(r, q.Identity, q.Client)
	v := asked.Verdict
	a := Answer{
		Method: q.Method, Host: v.Request.Host, Path: v.Request.Path, Who: q.Who,
		Decision: "deny", Status: v.Status, Reason: string(v.Reason), Odd: asked.Odd.String(), Rule: v.Rule.String(),
	}
	if a.asker = q.Who; q.Identity == nil {
		a.asker = "the visitor"
	}
	if a.Path == "" {
		a.Path = q.URL // it has no canonical form
	}
	for _, m := range asked.Misses {
		a.Steps = append(a.Steps, Step{Route: g.RouteName(m.Route), Rule: g.RoutePos(m.Route), Miss: string(m.Part)})
	}
	if v.Reason == proxy.ReasonOurs {
		a.Decision = "ours"
	}
	if v.Route < 0 {
		return a, nil
	}
	a.Steps = append(a.Steps, Step{Route: g.RouteName(v.Route), Rule: g.RoutePos(v.Route)})
	if v.Reason != proxy.ReasonPathRejected {
		account := p.Explain(ctx, asked.Query)
		a.Policy = &account
	}
	if v.Action == proxy.Forward {
		a.Decision, a.Headers = "allow", map[string]string{}
		told, err := g.Headers(v.Route, v.Identity)
		if err != nil {
			return Answer{}, fmt.Errorf("make identity headers: %w", err)
		}
		for name, values := range told {
			a.Headers[name] = masked(strings.Join(values, ", "))
		}
	}
	return a, nil
}

// masked keeps what is printed from opening anything: a signed statement or a
// token is named, not shown.
func masked(value string) string {
	if strings.HasPrefix(value, "eyJ") && strings.Count(value, ".") == 2 {
		return "(a signed token)"
	}
	return value
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

// Write prints the answer for people.
func (a Answer) Write(w io.Writer) {
	fmt.Fprintf(w, "request   %s %s   host %s   as %s\n\n", a.Method, a.Path, a.Host, a.Who)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, s := range a.Steps {
		if s.Miss != "" {
			fmt.Fprintf(t, "  %s\tmiss on %s\t%s\n", s.Route, s.Miss, s.Rule)
		} else {
			fmt.Fprintf(t, "> %s\tmatches\t%s\n", s.Route, s.Rule)
		}
	}
	t.Flush()
	if a.Policy != nil && a.Policy.Root != nil {
		fmt.Fprintln(w)
		writeFinding(w, a.Policy.Root, "  ")
	}
	fmt.Fprintf(w, "\ndecision  %s", strings.ToUpper(a.Decision))
	if a.Status != 0 {
		fmt.Fprintf(w, " %d %s", a.Status, http.StatusText(a.Status))
	}
	fmt.Fprintf(w, "   reason %s", a.Reason)
	if a.Odd != "" {
		fmt.Fprintf(w, "   odd: %s", a.Odd)
	}
	if a.Rule != "" {
		fmt.Fprintf(w, "   rule %s", a.Rule)
	}
	fmt.Fprintln(w)
	a.writeChange(w)
	a.writeHeaders(w)
}

func writeFinding(w io.Writer, f *policy.Finding, indent string) {
	fmt.Fprintf(w, "%s%-7s %s", indent, f.Result, f.Text)
	if f.Has != "" {
		fmt.Fprintf(w, "   has: %s", f.Has)
	}
	if f.Rule != "" {
		fmt.Fprintf(w, "   %s", f.Rule)
	}
	fmt.Fprintln(w)
	for _, c := range f.Children {
		writeFinding(w, c, indent+"  ")
	}
}

func (a Answer) writeChange(w io.Writer) {
	if a.Odd != "" && len(a.Steps) > 0 {
		fmt.Fprintf(w, "would be looked at if the route said odd: [%s]\n", strings.ReplaceAll(a.Odd, ",", ", "))
	}
	if a.Policy == nil || len(a.Policy.WouldChange) == 0 {
		return
	}
	would := "would be allowed if"
	if a.Decision == "allow" {
		would = "would be refused if"
	}
	for _, way := range a.Policy.WouldChange {
		fmt.Fprintf(w, "%s %s %s\n", would, a.asker, way)
	}
}

func (a Answer) writeHeaders(w io.Writer) {
	if len(a.Headers) == 0 {
		return
	}
	names := make([]string, 0, len(a.Headers))
	for name := range a.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	fmt.Fprintln(w, "upstream gets")
	for _, name := range names {
		fmt.Fprintf(w, "  %s: %s\n", name, a.Headers[name])
	}
}
