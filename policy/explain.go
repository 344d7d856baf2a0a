package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/internal/conf"
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
	// WouldChange are ways to the other outcome, each enough by itself, as what
	// the subject did: "joined group admins (rule gatehouse.yaml:21)". At most
	// ten; nil if there is none.
	WouldChange []string `json:"would_change,omitempty"`
}

// Finding is what came of one condition of the rule.
type Finding struct {
	// Text is the condition as YAML, in one line; "any of", "all of" or "not" if
	// it has children.
	Text string `json:"condition"`
	// Rule is "file:line".
	Rule string `json:"rule,omitempty"`
	// Has is what the subject has of that which the condition looks at, in
	// words; "" for any_of, all_of and not.
	Has string `json:"has,omitempty"`
	// Result is hit, miss or unknown.
	Result Result `json:"result"`
	// Children are the conditions below any_of, all_of and not.
	Children []*Finding `json:"children,omitempty"`

	node *node
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
	truths, answers, err := p.account(ctx, rt, q)
	if err != nil && e.Error == "" {
		e.Error = err.Error()
	}
	e.Root = finding(rt.root, q, truths, answers)
	e.WouldChange = e.Root.wouldChange(q.Identity, d.Outcome)
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
	truths, err := p.truths(ctx, rt, input)
	if err != nil {
		return unknown, nil, err
	}
	said := map[string]truth{}
	answers := map[string]string{}
	for _, l := range rt.root.leaves() {
		if l.kind == kOPA {
			said[l.values[0]], answers[l.values[0]] = p.ask(ctx, rt, l.values[0], input)
		}
	}
	return func(n *node) truth {
		if n.kind == kOPA {
			return said[n.values[0]]
		}
		return truths(n)
	}, answers, nil
}

// ask evaluates an operator's rule by itself and returns its answer, as a truth
// and in words.
func (p *Policy) ask(ctx context.Context, rt *route, rule string, input ast.Value) (truth, string) {
	pq, err := p.query(ctx, "answer = "+rule)
	if err != nil {
		return isUnknown, err.Error()
	}
	rs, err := p.eval(ctx, rt, pq, input)
	if err != nil {
		return isUnknown, err.Error()
	}
	if len(rs) == 0 {
		return isUnknown, rule + " is undefined"
	}
	answer := rs[0].Bindings["answer"]
	switch answer {
	case true:
		return isTrue, rule + " is true"
	case false:
		return isFalse, rule + " is false"
	}
	text, _ := json.Marshal(answer)
	return isUnknown, fmt.Sprintf("%s is %.80s, which is no boolean", rule, text)
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
	if n.kind == kIP {
		if !q.ClientIP.IsValid() {
			return "address unknown"
		}
		return q.ClientIP.Unmap().String()
	}
	if id == nil {
		return "not signed in"
	}
	switch n.kind {
	case kSignedIn, kGroups, kUsers, kEmailDomains:
		if !id.Person {
			return "a machine, client " + plain(id.ClientID)
		}
		if !id.Listed {
			return "a token of client " + plain(id.ClientID) + ", which bearer.clients does not list"
		}
	}
	return hasOf(n, id)
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
		if id.Credential != session.Bearer {
			return "a session, which has no scopes"
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
		return fmt.Sprintf("%.200s", text)
	}
}

func shown(what string, values []string) string {
	if len(values) == 0 {
		return "no " + what
	}
	return strings.Join(each(values, plain), ", ")
}

// noHit is what suffices for a refusal: Miss or Unknown.
const noHit Result = "no hit"

// maxWays bounds what WouldChange lists.
const maxWays = 10

// step is something that would make a condition come out as wanted.
type step struct {
	text string
	pos  conf.Pos
}

// wouldChange returns the ways from outcome to the other one.
func (f *Finding) wouldChange(id *session.Identity, outcome Outcome) []string {
	want := Hit
	if outcome == OutcomeAllow {
		want = noHit
	}
	var texts []string
	for _, way := range f.ways(want, id) {
		if text := sentence(way, id); text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// ways returns alternatives, each a list of steps that together give f the
// result want. A list without steps means that it is so already; no list means
// that nothing helps.
func (f *Finding) ways(want Result, id *session.Identity) [][]step {
	if f.Result == want || want == noHit && f.Result != Hit {
		return [][]step{{}}
	}
	n := f.node
	switch {
	case n.kind == kNot && want == Hit:
		return f.Children[0].ways(Miss, id)
	case n.kind == kNot:
		return f.Children[0].ways(Hit, id)
	case n.kind.leaf():
		return [][]step{f.change(want, id)}
	case (n.kind == kAnyOf) == (want == Hit):
		var all [][]step
		for _, c := range f.Children {
			all = append(all, c.ways(want, id)...)
		}
		return all[:min(len(all), maxWays)]
	}
	all := [][]step{{}}
	for _, c := range f.Children {
		var longer [][]step
		for _, way := range all {
			for _, more := range c.ways(want, id) {
				longer = append(longer, slices.Concat(way, more))
			}
		}
		all = longer[:min(len(longer), maxWays)]
	}
	return all
}

// sentence joins the steps of one way; the steps of people's rules need a person
// to begin with.
func sentence(way []step, id *session.Identity) string {
	if len(way) == 0 {
		return ""
	}
	var texts []string
	var at []conf.Pos
	for _, s := range way {
		if !slices.Contains(texts, s.text) {
			texts = append(texts, s.text)
		}
		at = append(at, s.pos)
	}
	if id == nil && !slices.ContainsFunc(texts, authenticates) {
		texts = append([]string{"signed in"}, texts...)
	}
	text := strings.Join(texts, " and ")
	if where := strings.Trim(places(at), " ()"); where != "" {
		text += " (rule " + where + ")"
	}
	return text
}

func authenticates(text string) bool {
	return text == "signed in" || strings.HasPrefix(text, "sent an access token")
}

// change says what the subject would have done for the leaf f to be a hit, or
// not to be one.
func (f *Finding) change(want Result, id *session.Identity) []step {
	n := f.node
	values := strings.Join(each(n.values, plain), " or ")
	if n.kind == kClaim {
		values = strings.Join(n.values, " or ")
	}
	if want != Hit {
		return []step{{closing(f, values), n.pos}}
	}
	steps := []step{{opening(n, values), n.pos}}
	switch n.kind {
	case kSignedIn, kGroups, kUsers, kEmailDomains:
		switch {
		case id == nil || isUser(id):
			return steps
		case n.kind == kSignedIn:
			steps = nil
		}
		if !id.Person {
			return append([]step{{"signed in as a person", n.pos}}, steps...)
		}
		return append([]step{{"used a client that bearer.clients lists", n.pos}}, steps...)
	}
	return steps
}

func opening(n *node, values string) string {
	return [...]string{
		kSignedIn: "signed in", kGroups: "joined group " + values,
		kScopes: "sent an access token with scope " + values, kUsers: "was user " + values,
		kClients: "used client " + values, kEmailDomains: "had a verified e-mail address at " + values,
		kClaim: "had claim " + plain(n.claim) + " = " + values, kIP: "came from " + values,
		kOPA: "got true from " + values,
	}[n.kind]
}

func closing(f *Finding, values string) string {
	if f.node.kind == kGroups && f.Result == Hit {
		return "left group " + values
	}
	return [...]string{
		kSignedIn: "was not signed in", kGroups: "was known to be outside group " + values,
		kScopes:       "sent an access token known to lack scope " + values,
		kUsers:        "was known to be another user than " + values,
		kClients:      "used another client than " + values,
		kEmailDomains: "had a verified e-mail address outside " + values,
		kClaim:        "had a claim " + plain(f.node.claim) + " other than " + values,
		kIP:           "came from outside " + values, kOPA: "got false from " + values,
	}[f.node.kind]
}
