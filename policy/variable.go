package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// variable is a value that stands for a path variable. Anything else with braces
// is plain text.
var variable = regexp.MustCompile(`^\{([a-z_][a-z0-9_]*)\}$`)

// variableOf returns the name of the path variable that value, one of n's
// values, stands for; "" if it means itself.
func (n *node) variableOf(value string) string {
	switch n.kind {
	case kClaim:
		text, ok := strings.CutPrefix(value, `"`)
		if !ok {
			return "" // no string
		}
		value = strings.TrimSuffix(text, `"`)
	case kGroups, kUsers:
	default:
		return ""
	}
	if m := variable.FindStringSubmatch(value); m != nil {
		return m[1]
	}
	return ""
}

// variables returns the names of the path variables among n's values, sorted.
func (n *node) variables() []string {
	var names []string
	for _, v := range n.values {
		if name := n.variableOf(v); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// subjects returns the values of n, a kUsers, that may be somebody's subject. A
// path variable is none: whoever asks chooses the path, and a subject is unique
// only within its issuer.
func (n *node) subjects() []string {
	return slices.DeleteFunc(slices.Clone(n.values), func(v string) bool { return n.variableOf(v) != "" })
}

// checkVariables tells which leaf of n names a path variable that the route does
// not set.
func checkVariables(n *node, set []string) []error {
	var errs []error
	for _, l := range n.leaves() {
		for _, name := range l.variables() {
			if !slices.Contains(set, name) {
				errs = append(errs, &Error{l.pos, unsetVariable(name, set)})
			}
		}
		if name := l.misplaced(set); name != "" {
			errs = append(errs, &Error{l.pos, fmt.Errorf(
				"%s takes no path variables, so {%s} would mean itself; they stand in groups, users and claims", yamlKey[l.kind], name)})
		}
	}
	return errs
}

// misplaced returns a path variable of the route that n, which takes none, has
// among its values; "" if there is none.
func (n *node) misplaced(set []string) string {
	switch n.kind {
	case kScopes, kClients, kEmailDomains:
		for _, v := range n.values {
			if m := variable.FindStringSubmatch(v); m != nil && slices.Contains(set, m[1]) {
				return m[1]
			}
		}
	}
	return ""
}

func unsetVariable(name string, set []string) error {
	has := "they set none"
	if len(set) > 0 {
		has = "all of them set only " + strings.Join(set, ", ")
	}
	return fmt.Errorf("the value {%s} is a path variable, which not every path of the route's match sets (%s); "+
		"write {%s} for a whole segment of each, as in /tenants/{%s}/**", name, has, name, name)
}
