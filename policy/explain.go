package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"gatehouse/session"
)

// Result is what came of one condition.
type Result string

// The results of a condition.
const (
	Hit     Result = "hit"
	Miss    Result = "miss"
	Unknown Result = "unknown"
)

// Explanation is the account of one decision. It shows group names, addresses
// and claims: it is for operators, not for the visitor.
type Explanation struct {
	// Route is the route's name, "" for an unknown one.
	Route string `json:"route"`
	// Outcome, Reason, Rule and Error are those of the Decision; Rule is
	// "file:line".
	Outcome Outcome `json:"outcome"`
	Reason  Reason  `json:"reason"`
	Rule    string  `json:"rule,omitempty"`
	Error   string  `json:"error,omitempty"`
	// Root is the tree of conditions; nil if the route is for anyone or nobody.
	Root *Finding `json:"conditions,omitempty"`
	// Require is what came of `require`, one condition or all of several; nil for
	// a route without.
	Require *Finding `json:"require,omitempty"`
	// WouldChange are ways to the other outcome, each enough by itself, as what
	// the subject did: "joined group admins (rule gatehouse.yaml:21)". From a
	// refusal and from a step-up they lead to allow. At most ten; nil if there is
	// none.
	WouldChange []string `json:"would_change,omitempty"`
}

// Finding is what came of one condition of the rule.
type Finding struct {
	// Text is the condition as YAML, in one line; "any of", "all of" or "not" if
	// it has children.
	Text string `json:"condition"`
	// Rule is "file:line".
	Rule string `json:"rule,omitempty"`
	// Key is equal for one condition of a file and different for others: its text
	// and its place. "" if it has children.
	Key string `json:"-"`
	// Has is what the subject has of that which the condition looks at, in
	// words; "" for any_of, all_of and not.
	Has string `json:"has,omitempty"`
	// Result is hit, miss or unknown.
	Result Result `json:"result"`
	// Children are the conditions below any_of, all_of and not.
	Children []*Finding `json:"children,omitempty"`

	node *node
	// wants is what a leaf wants, with the path variables put in.
	wants string
}

// Explain decides q as Decide does, and accounts for it. It asks each condition
// by itself, so it costs more than a decision.
func (p *Policy) Explain(ctx context.Context, q Query) Explanation {
	d := p.Decide(ctx, q)
	e := Explanation{Outcome: d.Outcome, Reason: d.Reason, Rule: d.Rule.String()}
	if d.Err != nil {
		e.Error = d.Err.Error()
	}
	if q.Route < 0 || q.Route >= len(p.routes) {
		return e
	}
	rt := &p.routes[q.Route]
	e.Route = rt.name
	if rt.root == nil {
		return e
	}
	q.Time = timeOf(q)
	truths, answers, err := p.account(ctx, rt, q)
	if err != nil && e.Error == "" {
		e.Error = err.Error()
	}
	e.Root = finding(rt.root, q, truths, answers)
	if rt.required != nil {
		e.Require = finding(rt.required, q, truths, answers)
	}
	e.WouldChange = wouldChange(e, rt, q)
	return e
}

// account returns the truth of each leaf of rt, and what the operators' rules
// answered, by rule.
func (p *Policy) account(ctx context.Context, rt *route, q Query) (func(*node) truth, map[string]string, error) {
	unknown := func(*node) truth { return isUnknown }
	if q.Identity == nil {
		return unknown, nil, nil
	}
	input, err := rt.input(q)
	if err != nil {
		return unknown, nil, err
	}
	e := p.evaluation(rt, input, q.Time)
	truths, err := p.truths(ctx, rt.root, e)
	if err != nil {
		return unknown, nil, err
	}
	strong := unknown
	if rt.required != nil {
		if strong, err = p.truths(ctx, rt.required, e); err != nil {
			return unknown, nil, err
		}
	}
	said := map[string]truth{}
	answers := map[string]string{}
	for _, l := range rt.root.leaves() {
		if l.kind == kOPA {
			said[l.values[0]], answers[l.values[0]] = p.hear(ctx, e, l.values[0])
		}
	}
	return func(n *node) truth {
		switch n.kind {
		case kOPA:
			return said[n.values[0]]
		case kMFA, kACR, kSignedInWithin:
			return strong(n)
		}
		return truths(n)
	}, answers, nil
}

// hear evaluates an operator's rule by itself and returns its answer, as a truth
// and in words.
func (p *Policy) hear(ctx context.Context, e evaluation, rule string) (truth, string) {
	ref, err := parseRuleRef(rule)
	if err != nil {
		return isUnknown, err.Error()
	}
	const name = ast.Var("answer")
	var answer *ast.Term
	err = p.ask(ctx, e, ast.NewBody(ast.Equality.Expr(ast.NewTerm(name), ast.NewTerm(ref))), func(found topdown.QueryResult) error {
		answer = found[name]
		return nil
	})
	switch {
	case err != nil:
		return isUnknown, err.Error()
	case answer == nil:
		return isUnknown, rule + " is undefined"
	case answer.Value.Compare(ast.Boolean(true)) == 0:
		return isTrue, rule + " is true"
	case answer.Value.Compare(ast.Boolean(false)) == 0:
		return isFalse, rule + " is false"
	}
	return isUnknown, fmt.Sprintf("%s is %.80s, which is no boolean", rule, answer)
}

// Input returns what OPA is asked about for q, as indented JSON: exactly the
// parts that the route's rule reads. It returns nil where OPA is not asked: for
// an unknown route, anyone, nobody, a query without identity, a body that the
// route does not take.
func (p *Policy) Input(q Query) ([]byte, error) {
	input, _, err := p.asked(q)
	if input == nil || err != nil {
		return nil, err
	}
	v, err := ast.JSON(input)
	if err != nil {
		return nil, fmt.Errorf("write the input: %w", err)
	}
	return json.MarshalIndent(v, "", "  ")
}

// asked returns the input for q and how it is asked about; nil where OPA is not.
func (p *Policy) asked(q Query) (ast.Value, *route, error) {
	if q.Route < 0 || q.Route >= len(p.routes) || q.Identity == nil {
		return nil, nil, nil
	}
	rt := &p.routes[q.Route]
	if rt.root == nil || rt.bodyReason(q.Body.State) != "" {
		return nil, nil, nil
	}
	q.Time = timeOf(q)
	input, err := rt.input(q)
	return input, rt, err
}

// maxTrace bounds what Trace returns, in steps.
const maxTrace = 20_000

// Trace returns OPA's account of how it decides q, step by step; "" where OPA is
// not asked. The error is that of the evaluation; the trace leads up to it. Of a
// trace beyond 20,000 steps the beginning is returned.
func (p *Policy) Trace(ctx context.Context, q Query) (string, error) {
	input, rt, err := p.asked(q)
	if input == nil || err != nil {
		return "", err
	}
	e := p.evaluation(rt, input, timeOf(q))
	buffer := topdown.NewBufferTracer()
	e.tracer = buffer
	_, err = p.holds(ctx, e, rt.decider.both)
	steps := *buffer
	var b strings.Builder
	topdown.PrettyTraceWithLocation(&b, steps[:min(len(steps), maxTrace)])
	if len(steps) > maxTrace {
		fmt.Fprintf(&b, "… and %d more steps\n", len(steps)-maxTrace)
	}
	return b.String(), err
}

func finding(n *node, q Query, truths func(*node) truth, answers map[string]string) *Finding {
	f := &Finding{Rule: n.pos.String(), node: n}
	switch n.kind {
	case kAnyOf:
		f.Text = "any of"
	case kAllOf:
		f.Text = "all of"
	case kNot:
		f.Text = "not"
	default:
		f.Text = n.text()
		f.wants = strings.Join(wants(n, q.Variables), " or ")
		f.Key = fmt.Sprintf("%s %s:%d:%d", f.Text, n.pos.File, n.pos.Line, n.pos.Column)
	}
	switch n.value(truths) {
	case isTrue:
		f.Result = Hit
	case isFalse:
		f.Result = Miss
	default:
		f.Result = Unknown
	}
	if n.kind == kOPA {
		f.Has = cmp.Or(answers[n.values[0]], "not asked")
	} else if n.kind.leaf() {
		f.Has = has(n, q)
	}
	for _, c := range n.children {
		f.Children = append(f.Children, finding(c, q, truths, answers))
	}
	return f
}

// has tells what the subject of q has of that which the leaf looks at.
func has(n *node, q Query) string {
	id := q.Identity
	switch n.kind {
	case kIP:
		if !q.ClientIP.IsValid() {
			return "address unknown"
		}
		return q.ClientIP.Unmap().String()
	case kMethod:
		return cmp.Or(plain(q.Method), "method unknown")
	case kTime:
		return hasTime(n, q.Time)
	}
	if id == nil {
		return "not signed in"
	}
	if n.kind.personal() {
		if !id.Person {
			return "a machine, client " + plain(id.ClientID)
		}
		if !id.Listed {
			return "a token of client " + plain(id.ClientID) + ", which bearer.clients does not list"
		}
	}
	if n.kind == kMFA || n.kind == kACR || n.kind == kSignedInWithin {
		return hasSignedIn(n, id, q.Time)
	}
	text := hasOf(n, id)
	for _, name := range n.variables() {
		text += "; the path has {" + name + "} = " + pathHas(name, q.Variables)
		if n.kind == kUsers {
			text += ", for the username alone"
		}
	}
	return text
}

// wants returns the values of n for a reader.
func wants(n *node, set []Variable) []string {
	return each(n.values, func(v string) string {
		if name := n.variableOf(v); name != "" {
			return pathHas(name, set) + " ({" + name + "} of the path)"
		}
		if n.kind == kClaim || n.kind == kTime {
			return v
		}
		return plain(v)
	})
}

func pathHas(name string, set []Variable) string {
	for _, v := range set {
		if v.Name == name {
			return plain(v.Value)
		}
	}
	return "nothing"
}

// hasTime writes now as each window of n reads it.
func hasTime(n *node, now time.Time) string {
	var all []string
	for _, w := range n.windows {
		at := now.UTC()
		if zone, err := time.LoadLocation(w.zone); err == nil {
			at = now.In(zone)
		}
		if text := at.Format("Mon 2006-01-02 15:04:05 MST"); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

// hasSignedIn tells how the person signed in.
func hasSignedIn(n *node, id *session.Identity, now time.Time) string {
	switch n.kind {
	case kMFA:
		how := "amr " + strings.Join(each(id.AMR, plain), " ")
		if len(id.AMR) == 0 {
			how = "no amr"
		}
		if id.ACR != "" {
			how += ", acr " + plain(id.ACR)
		}
		return how
	case kACR:
		if id.ACR == "" {
			return "no acr"
		}
		return "acr " + plain(id.ACR)
	}
	switch age := now.Sub(id.AuthTime); {
	case id.AuthTime.IsZero():
		return "time of sign-in not told"
	case age < -clockSkew:
		return "signed in " + duration(-age.Truncate(time.Second)) + " from now, by the issuer's clock"
	default:
		return "signed in " + duration(max(age, 0).Truncate(time.Second)) + " ago"
	}
}

func hasOf(n *node, id *session.Identity) string {
	switch n.kind {
	case kSignedIn:
		return cmp.Or(plain(cmp.Or(id.Username, id.Subject)), "a person")
	case kGroups:
		if id.Groups == nil {
			return "groups not told"
		}
		return shown("group", id.Groups)
	case kScopes:
		if id.Scopes == nil {
			return "scopes not told"
		}
		return shown("scope", id.Scopes)
	case kUsers:
		return "subject " + plain(id.Subject) + ", username " + plain(id.Username)
	case kClients:
		if !id.ClientNamed {
			return "client " + plain(id.ClientID) + ", which its issuer's clients do not list"
		}
		return "client " + plain(id.ClientID)
	case kEmailDomains:
		switch {
		case id.Email == "":
			return "no e-mail address"
		case !id.EmailVerified:
			return plain(id.Email) + ", not verified"
		}
		return plain(id.Email)
	default: // kClaim
		v, ok := id.Claims[n.claim]
		if !ok {
			return "no claim " + plain(n.claim)
		}
		text, err := json.Marshal(v)
		if err != nil {
			return "claim unreadable"
		}
		return fmt.Sprintf("%.200s", text) + unlike(n.form, v)
	}
}

// unlike tells in which way v, a claim, is not of the shape that f is about.
func unlike(f form, v any) string {
	switch {
	case isList(v) && f == formEquals:
		return ", a list"
	case isList(v) && !entire(v):
		return ", not all plain values"
	case !isList(v) && !isScalar(v):
		return ", no plain value"
	case !isList(v) && f == formContains:
		return ", not a list"
	}
	return ""
}

func shown(what string, values []string) string {
	if len(values) == 0 {
		return "no " + what
	}
	return strings.Join(each(values, plain), ", ")
}
