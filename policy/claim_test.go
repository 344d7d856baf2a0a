package policy

import (
	"encoding/json"
	"testing"

	"gatehouse/session"
)

func withClaim(v any) *session.Identity {
	return person(func(id *session.Identity) { id.Claims = map[string]any{"c": v} })
}

// tries decides for each value of the claim c.
func tries(t *testing.T, allow string, hits, misses []any) {
	t.Helper()
	p := one(t, allow)
	for _, v := range hits {
		allows(t, p, withClaim(v), ClaimOK)
	}
	for _, v := range misses {
		denies(t, p, withClaim(v), ClaimMismatch)
	}
}

func TestFormsOfClaims(t *testing.T) {
	n := func(s string) any { return json.Number(s) }
	tries(t, "{ claims: { c: { equals: [x, 1, true] } } }",
		[]any{"x", n("1"), n("1.0"), true},
		[]any{[]any{"x"}, []string{"x"}, []any{}, "y", "1", false, nil, map[string]any{"x": "x"}})
	tries(t, "{ claims: { c: { contains: [x, 1, true] } } }",
		[]any{[]any{"y", "x"}, []string{"x"}, []any{n("1")}, []any{nil, true}},
		[]any{"x", n("1"), true, []any{}, []any{"y"}, []any{[]any{"x"}}, nil, map[string]any{"x": "x"}})
	tries(t, "{ claims: { c: { prefix: eu- } } }",
		[]any{"eu-1", "eu-", []any{"us-1", n("7"), "eu-2"}, []string{"eu-"}},
		[]any{"eu", "EU-1", "x-eu-1", n("7"), true, []any{}, []any{n("7"), nil, true, map[string]any{"a": "eu-"}}, nil, ""})
	tries(t, "{ claims: { c: { prefix: [eu-, us-] } } }", []any{"us-1", []any{n("1"), "eu-2"}}, []any{"as-1", n("1"), []any{n("1")}})
}

// Each form that is given must hold, and each is a condition of its own.
func TestFormsOfOneClaimAreJoinedByAnd(t *testing.T) {
	tries(t, "{ claims: { c: { prefix: eu-, contains: [vip] } } }",
		[]any{[]any{"vip", "eu-1"}},
		[]any{[]any{"vip"}, []any{"eu-1"}, "eu-1", "vip"})
	tries(t, "{ claims: { c: { prefix: eu-, equals: [eu-1, us-1] } } }", []any{"eu-1"}, []any{"us-1", "eu-2", []any{"eu-1"}})

	e := explain(one(t, "{ claims: { c: { prefix: eu-, contains: [vip] } } }"), 0, withClaim([]any{"eu-1"}))
	if len(e.Root.Children) != 2 || e.Root.Children[0].Result != Hit || e.Root.Children[1].Result != Miss {
		t.Errorf("Explain shows %s, want a hit and a miss", show(e.Root))
	}
}

// Another shape of a claim than a form looks at is not known to be anything
// else: whoever writes "contractor" where a list is expected is still one.
func TestNotOverFormsNeedsAClaimOfTheirShape(t *testing.T) {
	huge := json.Number("1e999999")
	object, list := map[string]any{"name": "x"}, []any{"x"}
	known := map[string][]any{
		"x":               {"y", []any{"y"}, []string{"y"}, []any{}, false, json.Number("1")},
		"{ prefix: x }":   {"y", []any{"y"}, []string{"y"}, []any{}, false, json.Number("1")},
		"{ equals: x }":   {"y", false, json.Number("1")},
		"{ contains: x }": {[]any{"y"}, []string{"y"}, []any{}},
	}
	unknown := map[string][]any{
		"{ equals: x }":   {[]any{"x"}, []any{"y"}, []string{"x"}, []any{}},
		"{ contains: x }": {"x", "y", true, json.Number("1")},
	}
	for form, values := range known {
		p := one(t, "{ not: { claims: { c: "+form+" } } }")
		for _, v := range values {
			allows(t, p, withClaim(v), ConditionsOK)
		}
		everywhere := []any{nil, object, huge, []any{object}, []any{list}, []any{nil}, []any{huge}, []any{"y", object}, []any{"y", nil}, []any{"y", huge}}
		for _, v := range append(everywhere, unknown[form]...) {
			denies(t, p, withClaim(v), Excluded)
		}
		denies(t, p, person(), Excluded)
	}
}

// What a list holds besides scalars hides nothing of what it has.
func TestScalarsBesideOtherItemsAreMet(t *testing.T) {
	mixed := []any{map[string]any{"a": "b"}, nil, "x"}
	for form, want := range map[string]Result{
		"x": Hit, "{ prefix: x }": Hit, "{ contains: x }": Hit, "y": Unknown, "{ prefix: y }": Unknown, "{ contains: y }": Unknown, "{ equals: x }": Unknown,
	} {
		e := explain(one(t, "{ claims: { c: "+form+" } }"), 0, withClaim(mixed))
		if e.Root.Result != want {
			t.Errorf("%s is a %s, want %s", form, e.Root.Result, want)
		}
	}
}

func TestExplainTellsWhyAClaimIsUnknown(t *testing.T) {
	for _, c := range []struct {
		form  string
		claim any
		has   string
	}{
		{"x", []any{"y", nil}, `["y",null], not all plain values`},
		{"x", []any{"x", nil}, `["x",null], not all plain values`},
		{"{ equals: x }", []any{"x"}, `["x"], a list`},
		{"{ contains: x }", "x", `"x", not a list`},
		{"{ contains: x }", []any{"x"}, `["x"]`},
		{"{ equals: x }", "x", `"x"`},
		{"x", map[string]any{}, `{}, no plain value`},
	} {
		if e := explain(one(t, "{ claims: { c: "+c.form+" } }"), 0, withClaim(c.claim)); e.Root.Has != c.has {
			t.Errorf("%s of %v: Explain shows %q, want %q", c.form, c.claim, e.Root.Has, c.has)
		}
	}
}

func TestMistakesInFormsAreToldWithTheirPlace(t *testing.T) {
	mistake(t, "{ claims: { c: {} } }", "3:25", "no value")
	mistake(t, "{ claims: { c: { equals: [] } } }", "3:", "no value")
	mistake(t, "{ claims: { c: { prefix: [a], contains: [] } } }", "3:", "contains has no value")
	mistake(t, `{ claims: { c: { prefix: "" } } }`, "3:", "prefix is empty")
	mistake(t, "{ claims: { c: { prefix: [[a]] } } }", "3:", "")
	mistake(t, "{ claims: { c: { equal: x } } }", "3:", "equals") // did you mean
	mistake(t, "{ claims: { c: { equals: { x: 1 } } } }", "3:", "")
	mistake(t, "{ claims: { c: { regex: '.*' } } }", "3:", "regex")
}

func TestPlacesOfForms(t *testing.T) {
	p := compile(t, `routes:
  - name: it
    allow:
      claims:
        a:
          prefix: x
          equals:
            - y
        b.c: z
`)
	want := map[string]int{"a equals": 8, "a prefix": 6, "b.c ": 9}
	for _, l := range p.routes[0].root.leaves() {
		if got := l.pos.Line; got != want[l.claim+" "+formKey[l.form]] {
			t.Errorf("claim %s %s is at line %d", l.claim, formKey[l.form], got)
		}
	}
}
