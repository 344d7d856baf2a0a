package policy

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// decide evaluates rt's rule for somebody who is known.
func (p *Policy) decide(ctx context.Context, rt *route, q Query) Decision {
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
