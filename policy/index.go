package policy

import "github.com/open-policy-agent/opa/v1/ast"

// indexable tells whether OPA's rule index may be used with these compiled
// modules. The index of OPA 1.22 takes `input.a in {"x", input.b}` to be true of
// "x" alone: it forgets that a collection of plain values holds something else
// too, and drops the rule, which a `not` turns into an answer. So one module with
// such a collection switches the index off for the rules of operators. What
// gatehouse generates never has one.
func indexable(modules map[string]*ast.Module) bool {
	fine := true
	for name, m := range modules {
		if name == generatedFile {
			continue
		}
		ast.WalkTerms(m, func(t *ast.Term) bool {
			fine = fine && !mixed(t.Value)
			return !fine
		})
	}
	return fine
}

// mixed tells whether v is a collection of plain values and of others.
func mixed(v ast.Value) bool {
	ground, other := 0, 0
	count := func(t *ast.Term) {
		if t.IsGround() {
			ground++
		} else {
			other++
		}
	}
	switch v := v.(type) {
	case *ast.Array:
		v.Foreach(count)
	case ast.Set:
		v.Foreach(count)
	case ast.Object:
		v.Foreach(func(_, value *ast.Term) { count(value) })
	}
	return ground > 0 && other > 0
}
