package policy

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"gatehouse/internal/conf"
)

// ClaimTest is what one claim must be. In YAML it is a scalar or a list, which
// is Is, or a map of the other three, of which each that is given must hold.
// Values are strings, numbers or booleans, compared with their type ("3" is not
// 3). A value "{tenant}" is the path variable of that name.
type ClaimTest struct {
	// Is: the claim is, or as a list contains, one of these values.
	Is []any `yaml:"-"`
	// Equals: the claim is one of these values; it is unknown for a list.
	Equals []any `yaml:"equals"`
	// Prefix: the claim is, or as a list contains, a string that begins with one
	// of these.
	Prefix []string `yaml:"prefix"`
	// Contains: the claim is a list and contains one of these values; it is unknown
	// for what is no list.
	Contains []any `yaml:"contains"`
}

// UnmarshalConf reads both forms.
func (t *ClaimTest) UnmarshalConf(n *conf.Node) {
	if n.Kind() == conf.Map {
		n.Decode(t)
		return
	}
	n.Decode(&t.Is)
}

// form is how the value of a claim is compared.
type form uint8

const (
	formIs form = iota
	formEquals
	formPrefix
	formContains
)

// formKey is the key of the YAML that a form is written under; formIs has none.
var formKey = [...]string{formEquals: "equals", formPrefix: "prefix", formContains: "contains"}

// values returns what the claim is compared with in one form.
func (t ClaimTest) values(f form) []any {
	switch f {
	case formEquals:
		return t.Equals
	case formContains:
		return t.Contains
	case formPrefix:
		var values []any
		for _, p := range t.Prefix {
			values = append(values, p)
		}
		return values
	default:
		return t.Is
	}
}

// forms returns those that t uses, in a fixed order.
func (t ClaimTest) forms() []form {
	return slices.DeleteFunc([]form{formIs, formEquals, formPrefix, formContains}, func(f form) bool {
		return len(t.values(f)) == 0
	})
}

// claimNames returns the claims that c names, in the order of the file.
func (c *Condition) claimNames() []string {
	names := slices.Sorted(maps.Keys(c.Claims))
	slices.SortStableFunc(names, func(a, b string) int {
		return comparePos(c.posOf(claimKey(a, formIs)), c.posOf(claimKey(b, formIs)))
	})
	return names
}

// claimKey is where Condition.at holds the place of a claim, or of one form
// below it.
func claimKey(name string, f form) string {
	if f == formIs {
		return "claims." + name
	}
	return "claims." + name + "\x00" + formKey[f] // what no claim is called
}

func (c *Condition) claimProblems(add func(problem)) {
	for _, name := range c.claimNames() {
		test := c.Claims[name]
		at := problem{key: "claims", below: []string{name}, pos: c.posOf(claimKey(name, formIs))}
		if name == "" || !utf8.ValidString(name) {
			add(at.say("claims names the claim %q, which no token can have", name))
		}
		if len(test.forms()) == 0 {
			add(at.say("claim %q has no value to equal", name))
		}
		for _, f := range []form{formEquals, formPrefix, formContains} {
			if c.at.has(claimKey(name, f)) && len(test.values(f)) == 0 {
				add(at.say("claim %q: %s has no value", name, formKey[f]))
			}
		}
		for _, f := range test.forms() {
			for _, v := range test.values(f) {
				if _, err := literal(v); err != nil {
					add(at.say("claim %q: %v", name, err))
				} else if v == "" && f == formPrefix {
					add(at.say("claim %q: prefix is empty, which every string begins with", name))
				}
			}
		}
	}
}

// claimLeaves returns a leaf for each form of each claim.
func claimLeaves(c *Condition) []*node {
	var leaves []*node
	for _, name := range c.claimNames() {
		test := c.Claims[name]
		for _, f := range test.forms() {
			var values []string
			for _, v := range test.values(f) {
				text, _ := literal(v) // problems has seen to the error
				values = append(values, text)
			}
			pos, ok := c.at.of(claimKey(name, f))
			if !ok {
				pos = c.posOf(claimKey(name, formIs))
			}
			n := leaf(kClaim, pos, values...)
			n.claim, n.form = name, f
			n.key = key(n)
			leaves = append(leaves, n)
		}
	}
	return leaves
}

// claimText is a leaf about a claim as YAML writes it.
func (n *node) claimText() string {
	text := list(n.values, func(s string) string { return s })
	if n.form != formIs {
		text = fmt.Sprintf("{%s: %s}", formKey[n.form], text)
	}
	return "claims: {" + plain(n.claim) + ": " + text + "}"
}
