package policy

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// decide evaluates rt's rule for somebody who is known.
func (p *Policy) decide(ctx context.Context, rt *route, q Query) Decision {
	if reason := rt.bodyReason(q.Body.State); reason != "" {
		return Decision{Reason: reason, Rule: rt.pos}
	}
	q.Time = timeOf(q)
	input, err := rt.input(q)
	if err != nil {
		return rt.failed(err)
	}
	e := p.evaluation(rt, input, q.Time)
	ok, err := p.holds(ctx, e, rt.decider.both)
	if err != nil {
		return rt.failed(err)
	}
	if ok {
		return Decision{Outcome: OutcomeAllow, Reason: rt.reason, Rule: rt.pos}
	}
	if rt.required == nil {
		return p.refusal(ctx, rt, q, e)
	}
	if ok, err = p.holds(ctx, e, rt.decider.may); err != nil {
		return rt.failed(err)
	}
	if ok {
		return p.stepUp(ctx, rt, q, e)
	}
	return p.refusal(ctx, rt, q, e)
}

// timeOf returns when q came.
func timeOf(q Query) time.Time {
	if q.Time.IsZero() {
		return time.Now()
	}
	return q.Time
}

// failed is the refusal of a request about which nothing could be decided.
func (rt *route) failed(err error) Decision {
	return Decision{Reason: OPAError, Rule: rt.pos, Err: fmt.Errorf("decide route %q: %w", rt.name, err)}
}

// refusal finds the reason for a request that was not allowed.
func (p *Policy) refusal(ctx context.Context, rt *route, q Query, e evaluation) Decision {
	failed := rt.root
	if !failed.kind.leaf() {
		truths, err := p.truths(ctx, rt.root, e)
		if err != nil {
			return rt.failed(err)
		}
		failed = blame(rt.root, truths, q.Identity)
	}
	return Decision{Reason: denyReason(failed, q.Identity), Rule: cmp.Or(failed.pos, rt.pos)}
}

// stepUp is the decision on somebody who may, but who has not signed in as the
// route requires. Who cannot sign in, cannot do so anew.
func (p *Policy) stepUp(ctx context.Context, rt *route, q Query, e evaluation) Decision {
	pos := cmp.Or(rt.required.pos, rt.pos)
	if !isUser(q.Identity) {
		return Decision{Reason: notAPerson(q.Identity), Rule: pos}
	}
	truths, err := p.truths(ctx, rt.required, e)
	if err != nil {
		return rt.failed(err)
	}
	missing := rt.required.leaves()[0]
	for _, l := range rt.required.leaves() {
		if truths(l) != isTrue {
			missing = l
			break
		}
	}
	return Decision{Outcome: OutcomeStepUp, Reason: stepReason(missing), Rule: pos, Require: rt.require}
}

// truths asks OPA which leaves of n are true. Rules of operators are not asked
// again and stay unknown: they come last, so they are at fault if nothing else
// is.
func (p *Policy) truths(ctx context.Context, n *node, e evaluation) (func(*node) truth, error) {
	e.limit = 0
	found := map[string]truth{}
	for _, l := range n.leaves() {
		if _, known := found[l.name]; known || l.kind == kOPA {
			continue
		}
		ok, err := p.holds(ctx, e, l.body)
		if err != nil {
			return nil, err
		}
		switch {
		case ok:
			found[l.name] = isTrue
		case l.known(e.input):
			found[l.name] = isFalse
		default:
			found[l.name] = isUnknown
		}
	}
	return func(l *node) truth { return found[l.name] }, nil
}

// known tells whether input holds what the leaf looks at.
func (n *node) known(input ast.Value) bool {
	has := func(path ...*ast.Term) bool {
		_, err := input.Find(path)
		return err == nil
	}
	for _, v := range n.variables() {
		if !has(keyRequest, keyVariables, ast.StringTerm(v)) {
			return false
		}
	}
	switch n.kind {
	case kSignedIn:
		return true // it is not asked under a `not`, where this would count
	case kGroups:
		return has(keyUser, keyGroups)
	case kScopes:
		return has(keyCredential, keyScopes)
	case kUsers:
		return has(keyUser, keyUsername) && (len(n.subjects()) == 0 || has(keyUser, keySubject))
	case kClients:
		return has(keyCredential, keyClient)
	case kEmailDomains:
		return has(keyUser, keyEmailDomain)
	case kClaim:
		name := ast.StringTerm(n.claim)
		switch n.form {
		case formEquals:
			return has(keyClaimScalars, name)
		case formContains:
			return has(keyClaimLists, name) && has(keyClaimKnown, name)
		default:
			return has(keyClaimKnown, name)
		}
	case kIP:
		return has(keyRequest, keyClientIP)
	case kTime:
		return has(keyTime)
	case kMethod:
		return has(keyRequest, keyMethod)
	case kMFA:
		return has(keyUser, keyMFA)
	case kACR:
		return has(keyUser, keyACR)
	case kSignedInWithin:
		return has(keyUser, keyAuthTime)
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

// evaluation is what is asked about: an input, and how to ask.
type evaluation struct {
	input ast.Value
	// now is what Rego takes for the time.
	now time.Time
	// limit bounds each question; 0 for those that need no clock.
	limit time.Duration
	// unindexed keeps OPA from using its rule index.
	unindexed bool
	// tracer sees each step; nil for none.
	tracer topdown.QueryTracer
}

func (p *Policy) evaluation(rt *route, input ast.Value, now time.Time) evaluation {
	e := evaluation{input: input, now: now}
	if rt.asks {
		e.limit, e.unindexed = p.timeout, !p.indexed
	}
	return e
}

// holds tells whether the ground question body is true.
func (p *Policy) holds(ctx context.Context, e evaluation, body ast.Body) (bool, error) {
	ok := false
	err := p.ask(ctx, e, body, func(topdown.QueryResult) error {
		ok = true
		return nil
	})
	return ok && err == nil, err
}

// ask evaluates body and calls found for each way in which it holds. body is
// made of terms at load, never of text, and never of anything in a request.
func (p *Policy) ask(ctx context.Context, e evaluation, body ast.Body, found func(topdown.QueryResult) error) (err error) {
	defer recovered(&err)
	stop := p.never
	if e.limit > 0 {
		stop = topdown.NewCancel()
		timer := time.AfterFunc(e.limit, stop.Cancel)
		defer timer.Stop()
	}
	q := topdown.NewQuery(body).
		WithCompiler(p.compiler).
		WithStore(p.store).
		WithTransaction(p.txn).
		WithCancel(stop).
		WithInput(ast.NewTerm(e.input)).
		WithTime(e.now).
		WithIndexing(!e.unindexed).
		WithMetrics(metrics.NoOp()).
		// Without this a failing builtin is undefined, which `not` makes true.
		WithStrictBuiltinErrors(true)
	if e.limit == 0 {
		q = q.WithVirtualCache(noRules{}).WithBaseCache(noData{})
	}
	if e.tracer != nil {
		q = q.WithQueryTracer(e.tracer)
	}
	if err := q.Iter(context.WithoutCancel(ctx), found); err != nil {
		return fmt.Errorf("evaluate policy: %w", err)
	}
	return nil
}
