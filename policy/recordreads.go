package policy

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Dependence tells on which parts of a record decisions depend. It does not
// change and is safe for concurrent use.
type Dependence struct {
	policy *Policy
	// operators are the parts of the input that the operators' modules name, in
	// any of their rules; all is true if that is not known.
	operators [][]string
	all       bool
}

// Dependence finds out what the policy reads.
func (p *Policy) Dependence() *Dependence {
	d := &Dependence{policy: p}
	for name, module := range p.compiler.Modules {
		if name != generatedFile {
			d.visit(module)
		}
	}
	return d
}

// visit notes each reference to the input in a compiled module, where aliases and
// imports have been written out.
func (d *Dependence) visit(module *ast.Module) {
	ours := ast.MustParseRef("data." + packageName)[:2]
	ast.WalkNodes(module, func(n ast.Node) bool {
		if e, ok := n.(*ast.Expr); ok && len(e.With) > 0 {
			d.all = true
		}
		return d.all
	})
	ast.WalkRefs(module, func(ref ast.Ref) bool {
		switch {
		case ref.HasPrefix(ours):
			d.all = true
		case ref[0].Equal(ast.InputRootDocument):
			d.operators = append(d.operators, namesOf(ref[1:]))
		}
		return d.all
	})
	// As an argument of its own the input is a variable.
	ast.WalkTerms(module, func(t *ast.Term) bool {
		if ref, ok := t.Value.(ast.Ref); ok {
			for _, part := range ref[1:] {
				d.all = d.all || part.Equal(ast.InputRootDocument)
			}
			return true
		}
		d.all = d.all || t.Equal(ast.InputRootDocument)
		return d.all
	})
}

// namesOf returns the names at the beginning of ref.
func namesOf(ref ast.Ref) (path []string) {
	for _, t := range ref {
		name, ok := t.Value.(ast.String)
		if !ok {
			break
		}
		path = append(path, string(name))
	}
	return path
}

// On tells whether the decision on a route may depend on the part of the input
// that pointer names (RFC 6901, such as /input/user/email), so that it cannot be
// made again from a record without that part. What leads to a route (method, host
// and path) and what tells whose the credential is counts for every route that
// is not for anyone or nobody. An unknown route and a pointer that is none
// depend on everything.
func (d *Dependence) On(route int, pointer string) bool {
	tokens, err := ParseMask(pointer)
	if err != nil || route < 0 || route >= len(d.policy.routes) {
		return true
	}
	rt := &d.policy.routes[route]
	switch {
	case rt.root == nil:
		return false
	case rt.reads.part(tokens):
		return true
	case !rt.asks:
		return false
	}
	return d.all || slices.ContainsFunc(d.operators, func(path []string) bool {
		n := min(len(path), len(tokens))
		return slices.Equal(path[:n], tokens[:n])
	})
}

// part tells whether the conditions of a route look at anything at or below
// tokens, or at what tokens are a part of; rules of operators aside.
func (r reads) part(tokens []string) bool {
	switch {
	case tokens[0] == "time":
		return r.fields&recordParts["time"] != 0
	case tokens[0] == "route" || tokens[0] == "request" && len(tokens) > 1 && tokens[1] == "variables":
		return false // found out again
	case len(tokens) == 1:
		return true // a whole object, or nothing that a record has
	case tokens[0] == "credential" && tokens[1] == "claims":
		return len(tokens) == 2 && len(r.claims) > 0 || len(tokens) > 2 && slices.Contains(r.claims, tokens[2])
	}
	fields, known := recordParts[tokens[0]+"."+tokens[1]]
	return !known || fields == fAll || r.fields&fields != 0
}

// recordParts says who looks at a part of a record, claims aside: conditions
// that read one of these fields, or with fAll all of them.
var recordParts = map[string]field{
	"time":         fTime,
	"user.subject": fSubject, "user.username": fUsername, "user.name": 0, "user.email": 0, "user.email_domain": fEmailDomain,
	"user.groups": fGroups, "user.acr": fACR, "user.amr": 0, "user.auth_time": fAuthTime, "user.mfa": fMFA,

	"credential.kind": fAll, "credential.person": fAll, "credential.listed": fAll, "credential.issuer": 0,
	"credential.subject": fSubject, "credential.client": fClient, "credential.scopes": fScopes,

	"request.method": fAll, "request.host": fAll, "request.path": fAll, "request.query": 0,
	"request.client_ip": fClientIP, "request.body_state": fBody, "request.body": 0,
}
