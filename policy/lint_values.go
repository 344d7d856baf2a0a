package policy

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// against returns why w, a demand on an atom, cannot be met beside the demands
// taken, or nil if nothing is proved.
func (l *linter) against(taken []*wish, w *wish) *clash {
	if !l.fits([]*wish{w}) {
		text := w.text() + " can never hold"
		if w.atom.key == "method" {
			text = w.text() + " never holds here: the route takes " + strings.Join(l.rule.Methods, ", ")
		}
		return &clash{text, w.pos}
	}
	var same []*wish
	for _, t := range taken {
		if !l.fits([]*wish{t, w}) {
			where := ""
			if t.pos.Line != w.pos.Line {
				where = fmt.Sprintf(" in line %d", t.pos.Line)
			}
			return &clash{w.text() + " excludes " + t.text() + where, w.pos}
		}
		if t.atom.about(w.atom) {
			same = append(same, t)
		}
	}
	if len(same) > 1 && !l.fits(append(same, w)) {
		return &clash{fmt.Sprintf("%s excludes what stands beside it about %s", w.text(), w.atom.key), w.pos}
	}
	return nil
}

// text is the demand as YAML writes it.
func (w *wish) text() string {
	if w.want == beTrue {
		return w.atom.text()
	}
	return "not: {" + w.atom.text() + "}"
}

// fits tells whether one request could meet all of these demands on atoms; true
// when in doubt.
func (l *linter) fits(all []*wish) bool {
	for _, a := range all {
		for _, b := range all {
			if a.want == beTrue && b.want != beTrue && b.want != beNotFalse && l.implies(a.atom, b.atom) {
				return false
			}
			// What is known of a person makes them signed in.
			if b.want == beNotTrue && b.atom.key == "signed-in" && a.want != beNotTrue && a.want != beNotFalse && personal(a.atom.key) {
				return false
			}
		}
	}
	first := all[0].atom
	if first.key == "method" && all[0].want == beNotTrue && l.rule.Methods != nil && subset(l.rule.Methods, headed(first.values)) {
		return false // a request has a method always
	}
	var yes, no []*atom
	for _, w := range all {
		switch {
		case !w.atom.about(first):
			return true
		case w.want == beTrue:
			yes = append(yes, w.atom)
		case w.want == beFalse:
			no = append(no, w.atom)
		}
	}
	switch first.key {
	case "groups", "scopes":
		return eachHasOne(yes, no)
	case "users":
		return l.twoNames(yes, no)
	case "clients", "email_domains":
		return oneValue(yes, no)
	case "claims":
		return scalarClaim(yes, no) || listClaim(yes, no)
	case "ip":
		return oneAddress(yes, no)
	case "method":
		return l.oneMethod(yes, no)
	case "time":
		return oneTime(yes, no)
	}
	return true
}

func personal(key string) bool {
	return key == "groups" || key == "users" || key == "email_domains" || key == "signed-in"
}

// implies tells whether a cannot be true without b being true.
func (l *linter) implies(a, b *atom) bool {
	if b.key == "signed-in" {
		return personal(a.key)
	}
	// Where a variable of b alone is not set, b is unknown.
	if !a.about(b) || slices.ContainsFunc(b.values, func(v string) bool { return isVariable(v) && !slices.Contains(a.values, v) }) {
		return false
	}
	switch a.key {
	case "claims":
		if a.form == formPrefix || b.form == formPrefix {
			return a.same(b)
		}
		return (a.form == b.form || b.form == formIs) && subset(a.values, b.values)
	case "ip":
		return !slices.ContainsFunc(a.nets, func(p netip.Prefix) bool { return !inside(p, b.nets) })
	case "method":
		return subset(headed(a.values), headed(b.values))
	case "time":
		return a.same(b)
	}
	return subset(a.values, b.values)
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(v string) bool { return !slices.Contains(b, v) })
}

// without returns the values of a that none of no has.
func without(values []string, no []*atom) []string {
	var left []string
	for _, v := range values {
		if !slices.ContainsFunc(no, func(n *atom) bool { return slices.Contains(n.values, v) }) {
			left = append(left, v)
		}
	}
	return left
}

// eachHasOne is for attributes with many values: each of yes needs one that no
// excludes.
func eachHasOne(yes, no []*atom) bool {
	return !slices.ContainsFunc(yes, func(a *atom) bool { return len(without(a.values, no)) == 0 })
}

// oneValue is for attributes with one value.
func oneValue(yes, no []*atom) bool {
	_, ok := common(yes, no)
	return ok
}

// common returns the values that all of yes have and none of no; open tells that
// any value does, for path variables can be anything. Without both nothing does.
func common(yes, no []*atom) (values []string, ok bool) {
	open := true
	for _, a := range yes {
		left := without(a.values, no)
		if slices.ContainsFunc(left, func(v string) bool { return isVariable(v) }) {
			continue
		}
		if open {
			values, open = left, false
			continue
		}
		values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return !slices.Contains(left, v) })
	}
	return values, open || len(values) > 0
}

// isVariable tells whether a value, plain or as JSON text, stands for a path
// variable.
func isVariable(value string) bool { return variable.MatchString(strings.Trim(value, `"`)) }

// twoNames is for users: a person has a subject and a username, and each of yes
// needs one of the two.
func (l *linter) twoNames(yes, no []*atom) bool {
	subjects := []string{""} // none that anybody names
	for _, a := range yes {
		for _, v := range without(a.values, no) {
			if !l.known.OpaqueSubjects || len(v) == 36 && strings.Count(v, "-") == 4 || isVariable(v) {
				subjects = append(subjects, v)
			}
		}
	}
	for _, subject := range subjects {
		var rest []*atom
		for _, a := range yes {
			if subject == "" || !slices.Contains(a.values, subject) && !isVariable(subject) {
				rest = append(rest, a)
			}
		}
		if oneValue(rest, no) {
			return true
		}
	}
	return false
}

// oneMethod is for the method of a request, among those of the route.
func (l *linter) oneMethod(yes, no []*atom) bool {
	left := l.rule.Methods
	for _, a := range yes {
		wanted := headed(a.values)
		if left == nil {
			left = wanted
			continue
		}
		left = slices.DeleteFunc(slices.Clone(left), func(m string) bool { return !slices.Contains(wanted, m) })
	}
	if left == nil {
		return true
	}
	return slices.ContainsFunc(left, func(m string) bool {
		return !slices.ContainsFunc(no, func(a *atom) bool { return slices.Contains(headed(a.values), m) })
	})
}

// headed adds HEAD where GET is.
func headed(methods []string) []string {
	if slices.Contains(methods, "GET") && !slices.Contains(methods, "HEAD") {
		return append(methods[:len(methods):len(methods)], "HEAD")
	}
	return methods
}

// maxNets bounds how many networks are intersected.
const maxNets = 4096

// oneAddress is for the client's address.
func oneAddress(yes, no []*atom) bool {
	left := []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	for _, a := range yes {
		var both []netip.Prefix
		for _, p := range left {
			for _, q := range a.nets {
				if p.Overlaps(q) && p.Bits() < q.Bits() {
					both = append(both, q)
				} else if p.Overlaps(q) {
					both = append(both, p)
				}
			}
		}
		if left = both; len(left) > maxNets {
			return true
		}
	}
	return slices.ContainsFunc(left, func(p netip.Prefix) bool {
		return !slices.ContainsFunc(no, func(a *atom) bool { return inside(p, a.nets) })
	})
}

// inside tells whether one of nets holds all of p.
func inside(p netip.Prefix, nets []netip.Prefix) bool {
	return slices.ContainsFunc(nets, func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Overlaps(p) })
}

// scalarClaim tells whether a claim that is no list can be all of yes and none
// of no.
func scalarClaim(yes, no []*atom) bool {
	var exact, prefixes []*atom
	for _, a := range yes {
		switch a.form {
		case formContains:
			return false
		case formPrefix:
			prefixes = append(prefixes, a)
		default:
			exact = append(exact, a)
		}
	}
	if slices.ContainsFunc(yes, uncertain) {
		return true
	}
	values, ok := common(exact, ofForm(no, formIs, formEquals))
	switch {
	case !ok:
		return false
	case len(values) == 0:
		return len(prefixes) < 2 || prefixes[0].mayShare(prefixes[1:])
	}
	return slices.ContainsFunc(values, func(v string) bool {
		return !slices.ContainsFunc(prefixes, func(p *atom) bool { return !p.begins(v) })
	})
}

// listClaim tells whether a claim that is a list can be all of yes and none of
// no: each test has an item of its own.
func listClaim(yes, no []*atom) bool {
	no = ofForm(no, formIs, formContains)
	return !slices.ContainsFunc(yes, func(a *atom) bool {
		return a.form == formEquals || a.form != formPrefix && !uncertain(a) && len(without(a.values, no)) == 0
	})
}

func ofForm(all []*atom, forms ...form) []*atom {
	var some []*atom
	for _, a := range all {
		if slices.Contains(forms, a.form) {
			some = append(some, a)
		}
	}
	return some
}

// begins tells whether v, JSON text of a string, could begin with one of a's
// values.
func (a *atom) begins(v string) bool {
	return slices.ContainsFunc(a.values, func(p string) bool {
		return isVariable(p) || strings.HasPrefix(v, strings.TrimSuffix(p, `"`))
	})
}

// mayShare tells whether one string could begin with a value of a and with one of
// each of others, looked at pair by pair.
func (a *atom) mayShare(others []*atom) bool {
	for _, o := range others {
		if !slices.ContainsFunc(a.values, func(v string) bool {
			return o.begins(v) || slices.ContainsFunc(o.values, func(w string) bool { return a.begins(w) })
		}) {
			return false
		}
	}
	return true
}

// uncertain tells whether a names a number that can be spelt in several ways: 1
// is 1.0.
func uncertain(a *atom) bool {
	return slices.ContainsFunc(a.values, func(v string) bool {
		_, err := strconv.ParseInt(v, 10, 53)
		return err != nil && json.Valid([]byte(v)) && strings.Trim(v, "+-.0123456789eE") == ""
	})
}
