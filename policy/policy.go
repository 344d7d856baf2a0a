package policy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
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
	// RawQuery is what followed "?". Only rules of operators read them.
	Method, Host, Path, RawQuery string
	// ClientIP is the client's address as trusted_proxies allow to know it; the
	// zero Addr means unknown.
	ClientIP netip.Addr
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
	input, err := rt.input(q)
	if err != nil {
		return rt.failed(err)
	}
	rs, err := p.eval(ctx, rt, p.allowed, input)
	if err != nil {
		return rt.failed(err)
	}
	if rs.Allowed() {
		return Decision{Outcome: OutcomeAllow, Reason: rt.reason, Rule: rt.pos}
	}
	return p.refusal(ctx, rt, q, input)
}

// failed is the refusal of a request about which nothing could be decided.
func (rt *route) failed(err error) Decision {
	return Decision{Reason: OPAError, Rule: rt.pos, Err: fmt.Errorf("decide route %q: %w", rt.name, err)}
}

// refusal finds the reason for a request that was not allowed.
func (p *Policy) refusal(ctx context.Context, rt *route, q Query, input ast.Value) Decision {
	failed := rt.root
	if !failed.kind.leaf() {
		truths, err := p.truths(ctx, rt, input)
		if err != nil {
			return rt.failed(err)
		}
		failed = blame(rt.root, truths, q.Identity)
	}
	return Decision{Reason: denyReason(failed, q.Identity), Rule: cmp.Or(failed.pos, rt.pos)}
}

// truths asks OPA which leaves of rt are true. Rules of operators are not asked
// again and stay unknown: they come last, so they are at fault if nothing else
// is.
func (p *Policy) truths(ctx context.Context, rt *route, input ast.Value) (func(*node) truth, error) {
	var names []*ast.Term
	for _, l := range rt.root.leaves() {
		if l.kind != kOPA {
			names = append(names, ast.StringTerm(l.name))
		}
	}
	object := input.(ast.Object).Copy()
	object.Insert(ast.StringTerm("conditions"), ast.ArrayTerm(names...))
	rs, err := p.eval(ctx, rt, p.met, object)
	if err != nil {
		return nil, err
	}
	met := map[string]bool{}
	for _, r := range rs {
		if name, ok := r.Bindings["name"].(string); ok {
			met[name] = true
		}
	}
	return func(l *node) truth {
		switch {
		case met[l.name]:
			return isTrue
		case l.kind != kOPA && l.known(input):
			return isFalse
		default:
			return isUnknown
		}
	}, nil
}

// known tells whether input holds what the leaf looks at.
func (n *node) known(input ast.Value) bool {
	has := func(path ...*ast.Term) bool {
		_, err := input.Find(path)
		return err == nil
	}
	switch n.kind {
	case kSignedIn:
		return true // it is not asked under a `not`, where this would count
	case kGroups:
		return has(keyUser, keyGroups)
	case kScopes:
		return has(keyCredential, keyScopes)
	case kUsers:
		return has(keyUser, keySubject) && has(keyUser, keyUsername)
	case kClients:
		return has(keyCredential, keyClient)
	case kEmailDomains:
		return has(keyUser, keyEmailDomain)
	case kClaim:
		return has(keyClaimValues, ast.StringTerm(n.claim))
	case kIP:
		return has(keyRequest, keyClientIP)
	default:
		return false
	}
}

// recovered turns a panic into an error: it is deferred by what calls OPA.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("panic: %v", r)
	}
}

// eval evaluates a prepared query for rt on input.
func (p *Policy) eval(ctx context.Context, rt *route, pq rego.PreparedEvalQuery, input ast.Value, more ...rego.EvalOption) (rs rego.ResultSet, err error) {
	defer recovered(&err)
	stop := p.never
	if rt.reads.has(fAll) {
		stop = topdown.NewCancel()
		timer := time.AfterFunc(p.timeout, stop.Cancel)
		defer timer.Stop()
	}
	options := append([]rego.EvalOption{
		rego.EvalParsedInput(input),
		rego.EvalExternalCancel(stop),
		rego.EvalMetrics(metrics.NoOp()),
	}, more...)
	rs, err = pq.Eval(context.WithoutCancel(ctx), options...)
	if err != nil {
		return nil, fmt.Errorf("evaluate policy: %w", err)
	}
	return rs, nil
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
