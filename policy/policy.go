package policy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
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
	// txn reads store, which nobody writes to, for as long as the policy lives.
	txn     storage.Transaction
	timeout time.Duration
	// indexed says that OPA may use its rule index for rules of operators.
	indexed bool
	// never is the Cancel of evaluations without a clock. Without any, OPA
	// would start a goroutine for each, to watch the context.
	never topdown.Cancel
	// library is what operators bring. Its data is dropped once it is stored.
	library  library
	revision string
	// memory remembers decisions; nil if it is switched off.
	memory *memory
}

// route is one compiled rule.
type route struct {
	name string
	term *ast.Term // name
	word Word
	pos  conf.Pos
	root *node // nil for anyone and nobody
	// required is what require asks for; nil for nothing.
	require  *Require
	required *node
	// bodies are the states of a body that the rule is asked about; nil if it
	// does not judge bodies.
	bodies []BodyState
	// reads is what the rule may look at.
	reads reads
	// asks tells whether a rule of an operator is asked.
	asks bool
	// reason is the word for having been allowed.
	reason Reason
	// decider is the Rego of this route, shared by those with an equal rule; nil
	// without root.
	decider *decider
}

// Compile makes a policy of rules, in the order of the routes, of the operators'
// modules and data that cfg names, and of bundles, which cfg names too. It reads
// the files and has no other effect; bundles are fetched by package
// policy/bundle. One that cfg names and that is not given is Missing. The error
// joins everything that is wrong, each an *Error where a position is known.
func Compile(ctx context.Context, cfg Config, rules []Rule, bundles ...Bundle) (*Policy, error) {
	return Read(cfg).Compile(ctx, rules, bundles...)
}

// Compile is the function Compile for the configuration that was given to Read,
// with its files as they were then: it reads none.
func (s *Sources) Compile(ctx context.Context, rules []Rule, bundles ...Bundle) (*Policy, error) {
	p := &Policy{rego: newGenerator(), timeout: timeout, never: topdown.NewCancel()}
	var errs []error
	p.routes = make([]route, 0, len(rules))
	names := make(map[string]bool, len(rules))
	for _, r := range rules {
		if r.Route == "" || names[r.Route] {
			errs = append(errs, &Error{r.Pos, fmt.Errorf("the route's name %q is empty or not unique", r.Route)})
		}
		names[r.Route] = true
		errs = append(errs, p.add(r))
	}
	var err error
	p.library, err = s.library(bundles)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := p.prepare(ctx); err != nil {
		return nil, err
	}
	if err := p.revise(rules); err != nil {
		return nil, err
	}
	p.narrow()
	p.library.data, p.library.modules = nil, nil
	if s.cfg.Memory {
		p.memory = newMemory()
	}
	return p, nil
}

func (p *Policy) add(r Rule) error {
	root, err := tree(r)
	required, err2 := required(r)
	if r.Bodies != nil && r.Allow.Word != "" {
		err2 = errors.Join(err2, &Error{r.pos(), fmt.Errorf("the route judges the body, and allow: %s asks nothing of it; give conditions", string(r.Allow.Word))})
	}
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	rt := route{
		name: r.Route, term: ast.StringTerm(r.Route), word: r.Allow.Word, pos: r.pos(),
		root: root, require: r.Require, required: required, bodies: r.Bodies,
	}
	if root != nil {
		p.rego.share(root)
		rt.judge(p)
	}
	p.routes = append(p.routes, rt)
	return nil
}

// judge prepares the decisions on a route with a rule.
func (rt *route) judge(p *Policy) {
	rt.reads = readsOf(rt.root, rt.required)
	if rt.bodies != nil {
		rt.reads.fields |= fBody
	}
	rt.asks = rt.root.asks()
	rt.reason = allowReason(rt.root)
	rt.decider = p.rego.decider(rt.name, rt.root, rt.required)
	rt.decider.use(rt.name, rt.pos)
	for _, tree := range []*node{rt.root, rt.required} {
		if tree == nil {
			continue
		}
		for _, l := range tree.leaves() {
			p.rego.leaf(l, true) // so that each can be asked by name
		}
	}
}

// prepare compiles the generated module together with the operators'.
func (p *Policy) prepare(ctx context.Context) error {
	ours, err := ast.ParseModuleWithOpts(generatedFile, p.Module(), ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return fmt.Errorf("parse generated policy: %w", err)
	}
	// The operators' modules first and alone, so that their mistakes are told in
	// their words and not as what they do to ours.
	alone, err := compileBeside(p.library.modules, p.library.defines)
	if err != nil {
		return fmt.Errorf("compile policy.custom: %w", err)
	}
	if err := p.checkOperatorRules(alone); err != nil {
		return err
	}
	all := maps.Clone(p.library.modules)
	all[generatedFile] = ours
	if p.compiler, err = compileModules(all); err != nil {
		return fmt.Errorf("compile generated policy: %w", err)
	}
	p.indexed = indexable(p.compiler.Modules)
	data, err := ast.InterfaceToValue(p.library.data)
	if err != nil {
		return fmt.Errorf("store the data of the policy: %w", err)
	}
	p.store = inmem.NewFromASTObject(data.(ast.Object))
	if p.txn, err = p.store.NewTransaction(ctx); err != nil {
		return fmt.Errorf("read the data of the policy: %w", err)
	}
	return nil
}

// compileModules compiles modules in strict mode, without network or environment.
func compileModules(modules map[string]*ast.Module) (*ast.Compiler, error) {
	return compileBeside(modules, nil)
}

// compileBeside is compileModules beside data: it refuses rules where defines
// says that there is some.
func compileBeside(modules map[string]*ast.Module, defines func([]string) (bool, error)) (*ast.Compiler, error) {
	c := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).WithPathConflictsCheck(defines)
	if c.Compile(modules); c.Failed() {
		return nil, c.Errors
	}
	return c, nil
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
			if err := checkRule(c, l.values[0], p.library); err != nil {
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
	d, _ := p.DecideAt(ctx, q)
	return d
}

// DecideAt is Decide, and tells when the answer was worked out: some seconds ago if
// it is remembered, else at q.Time. Whoever remembers it as well counts from then.
func (p *Policy) DecideAt(ctx context.Context, q Query) (Decision, time.Time) {
	if q.Route < 0 || q.Route >= len(p.routes) {
		return Decision{Reason: NoRoute}, q.Time
	}
	rt := &p.routes[q.Route]
	switch {
	case rt.word == WordAnyone:
		return Decision{Outcome: OutcomeAllow, Reason: RouteOpen, Rule: rt.pos}, q.Time
	case rt.word == WordNobody || rt.root == nil:
		return Decision{Reason: Nobody, Rule: rt.pos}, q.Time
	case q.Identity == nil:
		return Decision{Reason: SignInRequired, Rule: rt.pos}, q.Time
	}
	return p.remembered(ctx, rt, q)
}

// Module returns the generated Rego of all routes: the routes in their order,
// equal rules once, then each distinct condition once.
func (p *Policy) Module() string {
	var b strings.Builder
	b.WriteString(header)
	for i := range p.routes {
		if rt := &p.routes[i]; rt.decider == nil {
			b.WriteString("\n" + rt.constant())
		} else if rt.decider.name == rt.name {
			b.WriteString("\n" + rt.decider.comment() + rt.decider.rules)
		}
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
	var b strings.Builder
	b.WriteString("package " + packageName + "\n\n")
	if rt.decider == nil {
		b.WriteString(rt.constant())
		return b.String()
	}
	b.WriteString(comment("route " + plain(rt.name) + places([]conf.Pos{rt.pos})))
	if rt.decider.name != rt.name {
		b.WriteString(comment("has the same rule as route " + plain(rt.decider.name) + places(rt.decider.at[:1])))
	}
	b.WriteString(rt.decider.rules)
	needed := map[string]bool{}
	p.rego.reach(rt.decider.needs, needed)
	for _, d := range p.rego.order {
		if needed[d.name] {
			b.WriteString("\n" + d.comment() + d.rules)
		}
	}
	return b.String()
}

// constant stands in the module for a route without a rule.
func (rt *route) constant() string {
	return comment("route " + plain(rt.name) + places([]conf.Pos{rt.pos}) + ": " + string(rt.word) + ", decided without asking OPA")
}
