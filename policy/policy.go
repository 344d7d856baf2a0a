package policy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"gatehouse/internal/conf"
	"gatehouse/session"
)

// timeout bounds one evaluation that asks a rule of an operator. The others need
// no clock: their work is bounded by their text and by maxInput, and a clock
// would refuse people whenever the machine is short of time.
const timeout = 100 * time.Millisecond

// Query asks whether somebody may use a route.
type Query struct {
	// Route is the index of the route among the rules given to Compile.
	Route int
	// Identity is who asks; nil for nobody.
	Identity *session.Identity
	// Method, Host and Path are of the canonical request, Path decoded;
	// RawQuery is what followed "?".
	Method, Host, Path, RawQuery string
	// Variables are the path variables of the route's match, in the order of the
	// pattern.
	Variables []Variable
	// ClientIP is the client's address as trusted_proxies allow to know it; the
	// zero Addr means unknown.
	ClientIP netip.Addr
	// Time is when the request came; the zero Time means now.
	Time time.Time
	// Body is the request's body, for a route that judges it.
	Body Body
}

// Variable is one path variable: {tenant} of the pattern /tenants/{tenant}/**.
type Variable struct {
	Name string
	// Value is the decoded path segment; never empty.
	Value string
}

// Body is the body of a request as rules may see it.
type Body struct {
	State BodyState
	// Value is the JSON value as encoding/json decodes it, with numbers as
	// json.Number; nil unless State is BodyParsed.
	Value any
}

// BodyState tells what became of a body. The states are different values to a
// rule, and all but BodyParsed are refused unless the route says otherwise.
type BodyState uint8

// The states of a body.
const (
	// BodyUnread: the route does not ask for the body.
	BodyUnread BodyState = iota
	// BodyNone: the request has no body ("absent").
	BodyNone
	// BodyParsed: exactly one JSON value (RFC 8259), and all of it.
	BodyParsed
	// BodyCut: larger than the route reads ("truncated").
	BodyCut
	// BodyBroken: not exactly one JSON value: another media type or character
	// encoding, a content coding, repeated keys, something after the value.
	BodyBroken
)

// String returns "", "absent", "parsed", "truncated" or "unparsable", the
// words that rules see.
func (s BodyState) String() string {
	return [...]string{"", "absent", "parsed", "truncated", "unparsable"}[s]
}

// Policy decides. It does not change once compiled and is safe for concurrent
// use.
type Policy struct {
	routes   []route
	rego     *generator
	compiler *ast.Compiler
	store    storage.Store
	// allowed is data.gatehouse.routes.allow[input.route]; met yields those of
	// input.conditions that are true.
	allowed, met rego.PreparedEvalQuery
	timeout      time.Duration
	// never is the Cancel of evaluations without a clock. Without any, OPA
	// would start a goroutine for each, to watch the context.
	never topdown.Cancel
}

// route is one compiled rule.
type route struct {
	name string
	term *ast.Term // name
	word Word
	pos  conf.Pos
	root *node // nil for anyone and nobody
	// reads is what the rule may look at.
	reads reads
	// reason is the word for having been allowed.
	reason Reason
	// rules is the Rego of this route, which uses the definitions in needs.
	rules string
	needs []string
}

// Compile makes a policy of rules, in the order of the routes, and of the
// operators' modules that cfg names. It reads these files and has no other
// effect. The error joins everything that is wrong, each an *Error where a
// position is known.
func Compile(ctx context.Context, cfg Config, rules []Rule) (*Policy, error) {
	p := &Policy{rego: newGenerator(), timeout: timeout, never: topdown.NewCancel()}
	var errs []error
	names := map[string]bool{}
	for _, r := range rules {
		if r.Route == "" || names[r.Route] {
			errs = append(errs, &Error{r.Pos, fmt.Errorf("the route's name %q is empty or not unique", r.Route)})
		}
		names[r.Route] = true
		root, err := tree(r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.add(r, root)
	}
	modules, err := loadCustom(cfg)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return p, p.prepare(ctx, modules)
}

func (p *Policy) add(r Rule, root *node) {
	rt := route{name: r.Route, term: ast.StringTerm(r.Route), word: r.Allow.Word, pos: r.pos(), root: root}
	if root != nil {
		rt.reads = readsOf(root)
		rt.reason = allowReason(root)
		rt.rules, rt.needs = p.rego.route(r.Route, root)
		for _, l := range root.leaves() {
			p.rego.leaf(l, true) // so that each can be asked by name
		}
	}
	p.routes = append(p.routes, rt)
}

// prepare compiles the generated module together with the operators'.
func (p *Policy) prepare(ctx context.Context, modules map[string]*ast.Module) error {
	const file = "gatehouse-routes.rego"
	ours, err := ast.ParseModuleWithOpts(file, p.Module(), ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return fmt.Errorf("parse generated policy: %w", err)
	}
	// The operators' modules first and alone, so that their mistakes are told in
	// their words and not as what they do to ours.
	alone, err := compileModules(modules)
	if err != nil {
		return fmt.Errorf("compile policy.custom: %w", err)
	}
	if err := p.checkOperatorRules(alone); err != nil {
		return err
	}
	modules[file] = ours
	if p.compiler, err = compileModules(modules); err != nil {
		return fmt.Errorf("compile generated policy: %w", err)
	}
	p.store = inmem.NewFromObject(map[string]any{})
	if p.allowed, err = p.query(ctx, "data."+packageName+".allow[input.route]"); err != nil {
		return err
	}
	p.met, err = p.query(ctx, "some name in input.conditions; data."+packageName+"[name] == true")
	return err
}

// compileModules compiles modules in strict mode, without network or environment.
func compileModules(modules map[string]*ast.Module) (*ast.Compiler, error) {
	c := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true)
	if c.Compile(modules); c.Failed() {
		return nil, c.Errors
	}
	return c, nil
}

func (p *Policy) query(ctx context.Context, query string) (rego.PreparedEvalQuery, error) {
	pq, err := rego.New(
		rego.Query(query),
		rego.Compiler(p.compiler),
		rego.Store(p.store),
		rego.Capabilities(capabilities()),
		// Without this a failing builtin is undefined, which `not` makes true.
		rego.StrictBuiltinErrors(true),
		rego.SetRegoVersion(ast.RegoV1),
	).PrepareForEval(ctx)
	if err != nil {
		return pq, fmt.Errorf("prepare query %q: %w", query, err)
	}
	return pq, nil
}

// checkOperatorRules looks up the operators' rules that the routes ask for.
func (p *Policy) checkOperatorRules(c *ast.Compiler) error {
	var errs []error
	for i := range p.routes {
		if p.routes[i].root == nil {
			continue
		}
		for _, l := range p.routes[i].root.leaves() {
			if l.kind != kOPA {
				continue
			}
			if err := checkRule(c, l.values[0]); err != nil {
				errs = append(errs, &Error{l.pos, err})
			}
		}
	}
	return errors.Join(errs...)
}

// Public tells whether the route allows anyone, without asking who. An unknown
// route does not.
func (p *Policy) Public(route int) bool {
	return route >= 0 && route < len(p.routes) && p.routes[route].word == WordAnyone
}

// Decide answers q. It never fails: what cannot be decided is denied.
func (p *Policy) Decide(ctx context.Context, q Query) Decision {
	if q.Route < 0 || q.Route >= len(p.routes) {
		return Decision{Reason: NoRoute}
	}
	rt := &p.routes[q.Route]
	switch {
	case rt.word == WordAnyone:
		return Decision{Outcome: OutcomeAllow, Reason: RouteOpen, Rule: rt.pos}
	case rt.word == WordNobody || rt.root == nil:
		return Decision{Reason: Nobody, Rule: rt.pos}
	case q.Identity == nil:
		return Decision{Reason: SignInRequired, Rule: rt.pos}
	}
	return p.decide(ctx, rt, q)
}

// Module returns the generated Rego of all routes: the routes in their order,
// then each distinct condition once.
func (p *Policy) Module() string {
	var b strings.Builder
	b.WriteString(header)
	for i := range p.routes {
		b.WriteString("\n" + p.routes[i].text())
	}
	for _, d := range p.rego.order {
		b.WriteString("\n" + d.comment() + d.rules)
	}
	return b.String()
}

// RouteModule returns the generated Rego that decides one route, a module that
// could stand alone (beside the operators' modules, if it asks them); "" for an
// unknown route.
func (p *Policy) RouteModule(route int) string {
	if route < 0 || route >= len(p.routes) {
		return ""
	}
	rt := &p.routes[route]
	needed := map[string]bool{}
	p.rego.reach(rt.needs, needed)
	var b strings.Builder
	b.WriteString("package " + packageName + "\n\n" + rt.text())
	for _, d := range p.rego.order {
		if needed[d.name] {
			b.WriteString("\n" + d.comment() + d.rules)
		}
	}
	return b.String()
}

// text is the Rego of the route alone, with its comment.
func (rt *route) text() string {
	comment := "# route " + plain(rt.name) + places([]conf.Pos{rt.pos})
	switch rt.word {
	case WordAnyone:
		return comment + ": anyone, decided without asking OPA\n"
	case WordNobody:
		return comment + ": nobody, decided without asking OPA\n"
	default:
		return comment + "\n" + rt.rules
	}
}
