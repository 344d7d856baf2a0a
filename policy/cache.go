package policy

import "github.com/open-policy-agent/opa/v1/ast"

// noRules and noData are the caches of an evaluation that asks no rule of an
// operator: they keep nothing. What gatehouse generates looks at each of its
// rules about once and reads no data, and to remember a rule costs more than to
// evaluate it.
type (
	noRules struct{}
	noData  struct{}
)

func (noRules) Push()                         {}
func (noRules) Pop()                          {}
func (noRules) Get(ast.Ref) (*ast.Term, bool) { return nil, false }
func (noRules) Put(ast.Ref, *ast.Term)        {}
func (noRules) Keys() []ast.Ref               { return nil }
func (noData) Get(ast.Ref) ast.Value          { return nil }
func (noData) Put(ast.Ref, ast.Value)         {}
