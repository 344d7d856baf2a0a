package policy

import (
	"cmp"
	"slices"

	"gatehouse/internal/conf"
)

// Word is the scalar form of `allow`.
type Word string

// The words of `allow`; the empty Word means that conditions decide.
const (
	// WordAnyone lets everybody pass, signed in or not.
	WordAnyone Word = "anyone"
	// WordSignedIn lets every person pass whose credential counts.
	WordSignedIn Word = "signed-in"
	// WordNobody lets nobody pass.
	WordNobody Word = "nobody"
)

// Allow is the value of a route's `allow`: anyone, signed-in, nobody, or a map
// of conditions. The zero value means that the key was absent; it allows nobody
// and Compile refuses it.
type Allow struct {
	// Pos is where the value stands.
	Pos conf.Pos
	// Word is the scalar form, "" when When decides.
	Word Word
	// When is the map form, nil when Word decides.
	When *Condition
}

// Given tells whether the key was present.
func (a Allow) Given() bool { return a.Word != "" || a.When != nil }

// Anyone tells whether the route is open to all.
func (a Allow) Anyone() bool { return a.Word == WordAnyone }

// Scopes returns the scopes that a token could bring to satisfy the rule, in
// the order of the file, without repetition: what the scope attribute of a
// challenge lists (RFC 6750 §3). Scopes under a `not` are left out. It returns
// nil when the rule names none.
func (a Allow) Scopes() []string { return scopesOf(a.When, nil) }

func scopesOf(c *Condition, found []string) []string {
	if c == nil {
		return found
	}
	for _, s := range c.Scopes {
		if !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	for i := range c.AnyOf {
		found = scopesOf(&c.AnyOf[i], found)
	}
	for i := range c.AllOf {
		found = scopesOf(&c.AllOf[i], found)
	}
	return found
}

// UnmarshalConf decodes either form.
func (a *Allow) UnmarshalConf(n *conf.Node) {
	a.Pos = n.Pos()
	switch n.Kind() {
	case conf.Scalar:
		switch w := Word(n.Scalar()); w {
		case WordAnyone, WordSignedIn, WordNobody:
			a.Word = w
		default:
			n.Errorf("allow is %q, want anyone, signed-in, nobody, or conditions such as { groups: [admins] }", n.Scalar())
		}
	case conf.Map:
		a.When = new(Condition)
		n.Decode(a.When)
	default:
		n.Errorf("allow is a list, want anyone, signed-in, nobody, or a map of conditions; alternatives go under any_of")
	}
}

// Rule is what Compile is given for each route.
type Rule struct {
	// Route is the route's name: unique and not empty.
	Route string
	// Allow says who may.
	Allow Allow
	// Require says how whoever may must have signed in; nil for any way.
	Require *Require
	// Variables are the path variables that every pattern of the route's match
	// sets; rules name them as "{tenant}".
	Variables []string
	// Bodies are the states of a body that the rule is asked about; nil for a
	// route that does not read the body.
	Bodies []BodyState
	// Pos is where the route stands; used where Allow has no position.
	Pos conf.Pos
}

func (r Rule) pos() conf.Pos { return cmp.Or(r.Allow.Pos, r.Pos) }
