package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// This file finds out what a rule of an operator reads. The list of what it may
// contain is a list of what is known to be harmless: whatever is not on it, a new
// feature of Rego among it, makes the rule one that sees the whole input and is
// evaluated each time.

// leaves are the parts of the input that a rule of an operator may read and be
// remembered, besides single claims and path variables. Parts that change with
// every request are not among them: time, address, query and body.
var leaves = map[string]field{
	"user.subject": fSubject, "user.username": fUsername, "user.name": fName, "user.email": fEmail,
	"user.email_domain": fEmailDomain, "user.groups": fGroups, "user.acr": fACR, "user.amr": fAMR, "user.mfa": fMFA,
	"credential.kind": fKind, "credential.issuer": fIssuer, "credential.subject": fCredentialSubject,
	"credential.client": fClient, "credential.scopes": fScopes,
	"request.method": fMethod, "request.host": fHost, "request.path": fPath,
}

// The prefixes of leaves that have a name of their own.
const (
	claimLeaf    = "credential.claims."
	variableLeaf = "request.variables."
)

// builtins are the functions whose answer depends on their arguments alone.
// Comparing what they are given, they cannot reach the input by themselves.
const builtins = ` eq equal neq gt gte lt lte assign internal.member_2 internal.member_3
	plus minus mul div rem abs ceil floor round numbers.range numbers.range_step
	bits.and bits.or bits.xor bits.negate bits.rsh
	count sum product max min sort and or intersection union array.concat array.slice array.reverse
	object.get object.keys object.remove object.filter object.union object.union_n object.subset graph.reachable
	concat contains startswith endswith indexof indexof_n lower upper replace split sprintf substring format_int
	trim trim_left trim_right trim_prefix trim_suffix trim_space
	strings.any_prefix_match strings.any_suffix_match strings.count strings.replace_n strings.reverse
	regex.match regex.is_valid regex.split regex.replace regex.find_n regex.find_all_string_submatch_n
	glob.match glob.quote_meta to_number type_name
	is_number is_string is_boolean is_array is_set is_object is_null
	net.cidr_contains net.cidr_intersects net.cidr_is_valid net.cidr_merge
	base64.encode base64.decode base64.is_valid base64url.encode base64url.decode hex.encode hex.decode
	urlquery.encode urlquery.decode semver.compare semver.is_valid units.parse units.parse_bytes `

// harmless is builtins as a set.
func harmless() map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(builtins) {
		set[name] = true
	}
	return set
}

// reader follows a rule through compiled modules.
type reader struct {
	tree     *ast.TreeNode
	harmless map[string]bool
	seen     map[*ast.Rule]bool
	// found are the leaves that are read.
	found map[string]bool
	// why is what keeps the rule from being remembered, "" if nothing.
	why string
}

// leavesOf returns the parts of the input that the rule at ref of c may read,
// sorted; or why that is not known. c must have compiled it.
func leavesOf(c *ast.Compiler, ref ast.Ref) (found []string, why string) {
	r := reader{tree: c.RuleTree, harmless: harmless(), seen: map[*ast.Rule]bool{}, found: map[string]bool{}}
	r.follow(ref)
	return slices.Sorted(maps.Keys(r.found)), r.why
}

func (r *reader) refuse(why string) {
	if r.why == "" {
		r.why = why
	}
}

// follow visits every rule that ref may lead to: those on the way, and all
// below what is known of it. Data that no rule defines does not change as long as
// the policy lives.
func (r *reader) follow(ref ast.Ref) {
	if len(ref) < 2 {
		r.refuse("all of data")
		return
	}
	if _, ok := ref[1].Value.(ast.String); !ok {
		r.refuse("data[…] with a name found while deciding")
		return
	}
	node := r.tree
	for _, t := range ref {
		if _, ok := t.Value.(ast.String); !ok && !t.Equal(ast.DefaultRootDocument) {
			break
		}
		if node = node.Child(t.Value); node == nil {
			return
		}
		r.rules(node.Values)
	}
	node.DepthFirst(func(n *ast.TreeNode) bool {
		r.rules(n.Values)
		return false
	})
}

func (r *reader) rules(rules []*ast.Rule) {
	for _, rule := range rules {
		for ; rule != nil && !r.seen[rule]; rule = rule.Else {
			r.seen[rule] = true
			r.terms(rule.Head.Args)
			r.terms(rule.Head.Reference[1:]) // the first is its name
			r.term(rule.Head.Key)
			r.term(rule.Head.Value)
			r.body(rule.Body)
		}
	}
}

func (r *reader) body(body ast.Body) {
	for _, e := range body {
		if len(e.With) > 0 {
			r.refuse("with")
		}
		switch terms := e.Terms.(type) {
		case *ast.Term:
			r.term(terms)
		case []*ast.Term:
			r.call(terms)
		case *ast.SomeDecl:
			r.terms(terms.Symbols)
		case *ast.Every:
			r.term(terms.Key)
			r.term(terms.Value)
			r.term(terms.Domain)
			r.body(terms.Body)
		default:
			r.refuse("an expression of an unknown kind")
		}
	}
}

// call visits a function and its arguments.
func (r *reader) call(terms []*ast.Term) {
	r.terms(terms[1:])
	f, ok := terms[0].Value.(ast.Ref)
	switch {
	case !ok:
		r.refuse("a function without a name")
	case f.HasPrefix(ast.DefaultRootRef):
		r.follow(f)
	case !r.harmless[f.String()]:
		r.refuse("the function " + f.String())
	}
}

func (r *reader) terms(terms []*ast.Term) {
	for _, t := range terms {
		r.term(t)
	}
}

func (r *reader) term(t *ast.Term) {
	if t == nil {
		return
	}
	switch v := t.Value.(type) {
	case ast.Null, ast.Boolean, ast.Number, ast.String:
	case ast.Var:
		if t.Equal(ast.InputRootDocument) || t.Equal(ast.DefaultRootDocument) {
			r.refuse("all of " + string(v))
		}
	case ast.Ref:
		r.ref(v)
	case *ast.Array:
		v.Foreach(r.term)
	case ast.Set:
		v.Foreach(r.term)
	case ast.Object:
		v.Foreach(func(key, value *ast.Term) {
			r.term(key)
			r.term(value)
		})
	case *ast.ArrayComprehension:
		r.term(v.Term)
		r.body(v.Body)
	case *ast.SetComprehension:
		r.term(v.Term)
		r.body(v.Body)
	case *ast.ObjectComprehension:
		r.term(v.Key)
		r.term(v.Value)
		r.body(v.Body)
	case ast.Call:
		r.call(v)
	default:
		r.refuse("a term of an unknown kind")
	}
}

func (r *reader) ref(ref ast.Ref) {
	r.terms(ref[1:])
	switch {
	case ref[0].Equal(ast.InputRootDocument):
		r.input(ref)
	case ref[0].Equal(ast.DefaultRootDocument):
		r.follow(ref)
	default:
		r.term(ref[0])
	}
}

// input notes which leaf ref is, or lies below.
func (r *reader) input(ref ast.Ref) {
	var path []string
	for _, t := range ref[1:] {
		name, ok := t.Value.(ast.String)
		if !ok {
			break
		}
		path = append(path, string(name))
	}
	if len(path) < 2 {
		r.refuse(ref.String())
		return
	}
	leaf := path[0] + "." + path[1]
	switch {
	case leaves[leaf] != 0:
		r.found[leaf] = true
	case len(path) > 2 && (leaf+"." == claimLeaf || leaf+"." == variableLeaf):
		r.found[leaf+"."+path[2]] = true
	default:
		r.refuse(ref.String())
	}
}

// narrow replaces the whole input by exactly what the rules of operators read,
// where that is known of all that a route asks.
func (p *Policy) narrow() {
	known := map[string]reads{}
	for i := range p.routes {
		rt := &p.routes[i]
		if !rt.asks {
			continue
		}
		exact := rt.reads
		exact.fields &^= fAll
		for _, l := range rt.root.leaves() {
			if l.kind != kOPA {
				continue
			}
			rule := l.values[0]
			r, ok := known[rule]
			if !ok {
				r = p.readsOf(rule)
				known[rule] = r
			}
			exact = exact.with(r)
		}
		rt.reads = exact
	}
}

// readsOf returns what the rule of an operator reads, fAll if that is not known.
func (p *Policy) readsOf(rule string) reads {
	ref, err := parseRuleRef(rule)
	if err != nil {
		return reads{fields: fAll}
	}
	found, why := leavesOf(p.compiler, ref)
	if why != "" {
		return reads{fields: fAll}
	}
	var r reads
	for _, leaf := range found {
		if name, ok := strings.CutPrefix(leaf, claimLeaf); ok {
			r.asked = append(r.asked, name)
		} else if name, ok := strings.CutPrefix(leaf, variableLeaf); ok {
			r.variables = append(r.variables, name)
			r.fields |= fVariables
		} else {
			r.fields |= leaves[leaf]
		}
	}
	return r
}

// with returns what r and other read together.
func (r reads) with(other reads) reads {
	join := func(a, b []string) []string {
		all := slices.Concat(a, b)
		slices.Sort(all)
		return slices.Compact(all)
	}
	r.fields |= other.fields
	r.variables = join(r.variables, other.variables)
	r.asked = join(r.asked, other.asked)
	return r
}

// askedClaims returns the part of claims that rules of operators read, nil if
// they read none.
func askedClaims(r reads, claims map[string]any) map[string]any {
	if r.has(fAll) {
		if claims == nil {
			return map[string]any{}
		}
		return claims
	}
	if len(r.asked) == 0 {
		return nil
	}
	given := map[string]any{}
	for _, name := range r.asked {
		if v, ok := claims[name]; ok {
			given[name] = v
		}
	}
	return given
}
