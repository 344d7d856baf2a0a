package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/conf"
)

// Bounds of what is proved about one rule: steps of the search, and the
// alternatives of one any_of that are compared with each other.
const (
	maxSteps    = 20_000
	maxCompared = 40
)

// demand is what a part of a rule shall come out as.
type demand uint8

const (
	beTrue demand = iota
	beFalse
	// beNotTrue is false or unknown; beNotFalse is true or unknown.
	beNotTrue
	beNotFalse
)

// negated is what X shall be for `not X` to be d.
func (d demand) negated() demand {
	return [...]demand{beTrue: beFalse, beFalse: beTrue, beNotTrue: beNotFalse, beNotFalse: beNotTrue}[d]
}

// splits tells whether d of a conjunction is d of one of its parts.
func (d demand) splits() bool { return d == beFalse || d == beNotTrue }

// atom is one key of a condition, or one test of one claim.
type atom struct {
	// key is the key of the YAML, "signed-in" for the word.
	key string
	// claim is the name of a claim, and form how it is compared.
	claim string
	form  form
	// values are strings, and for claims JSON texts.
	values  []string
	nets    []netip.Prefix
	windows []Window
	pos     conf.Pos
}

// about tells whether two atoms look at the same attribute.
func (a *atom) about(b *atom) bool { return a.key == b.key && a.claim == b.claim }

// same tells whether the two are one condition.
func (a *atom) same(b *atom) bool {
	return a.about(b) && a.form == b.form && len(a.values) == len(b.values) &&
		subset(a.values, b.values) && subset(b.values, a.values) &&
		slices.Equal(a.nets, b.nets) && a.windowText() == b.windowText()
}

func (a *atom) windowText() string { return fmt.Sprint(len(a.windows), windowTexts(a.windows)) }

// text is the atom as YAML writes it.
func (a *atom) text() string {
	switch a.key {
	case "signed-in":
		return a.key
	case "claims":
		n := node{kind: kClaim, claim: a.claim, form: a.form, values: a.values}
		return n.claimText()
	case "ip":
		return "ip: [" + strings.Join(texts(a.nets), ", ") + "]"
	case "time":
		return "time: [" + strings.Join(windowTexts(a.windows), ", ") + "]"
	case "opa":
		return "opa: {rule: " + plain(a.values[0]) + "}"
	}
	return a.key + ": [" + strings.Join(each(a.values, plain), ", ") + "]"
}

// wish is a demand on a tree of conditions: on an atom, on all of parts, or on
// one of parts.
type wish struct {
	atom  *atom
	want  demand
	parts []*wish
	or    bool
	// any is the any_of that the wish stands for, when its parts are the items; nil
	// otherwise.
	any []Condition
	pos conf.Pos
}

// logic looks for what can never be met and what is met always.
func (l *linter) logic(c *Condition) {
	l.never(wishOf(c, beTrue), nil)
}

// never warns where w cannot be met beside around, and goes on below it where it
// can.
func (l *linter) never(w *wish, around []*wish) {
	if bad := l.clash(w, around); bad != nil {
		l.warn(CodeNeverMet, bad.pos, "%s; nobody can meet this", bad.text)
		return
	}
	switch {
	case w.atom != nil:
		if w.atom.key == "time" && over(w.atom.windows, l.known.Now) {
			l.add(CodeTimeOver, LevelInfo, w.pos, "the last of these windows has closed for good")
		}
	case w.any != nil:
		l.alternatives(w, around)
	case !w.or:
		for i, part := range w.parts {
			others := slices.Concat(around, w.parts[:i], w.parts[i+1:])
			l.never(part, others)
		}
	}
}

// alternatives looks at the items of an any_of.
func (l *linter) alternatives(w *wish, around []*wish) {
	notTrue := make([]*wish, len(w.parts))
	dead := make([]bool, len(w.parts))
	for i, part := range w.parts {
		notTrue[i] = wishOf(&w.any[i], beNotTrue)
		dead[i] = l.clash(part, around) != nil
		l.never(part, around)
	}
	for i, part := range w.parts {
		if !dead[i] && l.clash(notTrue[i], around) != nil {
			if len(w.parts) > 1 {
				l.warn(CodeAlwaysMet, part.pos, "this alternative of any_of holds whenever the conditions beside any_of do, so the others decide nothing")
			}
			return
		}
	}
	if len(w.parts) > maxCompared {
		return
	}
	for i, part := range w.parts {
		for j := range w.parts {
			// Of two that include each other the later one is too much.
			if i == j || dead[i] || dead[j] || l.clash(notTrue[j], append(around[:len(around):len(around)], part)) == nil ||
				i < j && l.clash(notTrue[i], append(around[:len(around):len(around)], w.parts[j])) != nil {
				continue
			}
			l.add(CodeCovered, LevelWarning, part.pos, fmt.Sprintf("this alternative of any_of adds nobody: whoever meets it meets the one in line %d", w.parts[j].pos.Line))
			break
		}
	}
}

// clash returns why nobody can meet w and all of around, or nil if somebody may.
func (l *linter) clash(w *wish, around []*wish) *clash {
	s := search{l: l, left: slices.Concat(around, []*wish{w})}
	if s.possible() {
		return nil
	}
	return s.why
}

// clash is why a conjunction cannot be met.
type clash struct {
	text string
	pos  conf.Pos
}

// search looks for a way to meet all that is left beside what has been taken.
type search struct {
	l     *linter
	left  []*wish
	taken []*wish // atoms
	why   *clash  // of the first way that failed
}

func (s *search) possible() bool {
	if s.l.steps--; s.l.steps < 0 {
		return true // not proved
	}
	if len(s.left) == 0 {
		return true
	}
	w, rest := s.left[0], s.left[1:]
	switch {
	case w.atom != nil:
		if why := s.l.against(s.taken, w); why != nil {
			s.why = why
			return false
		}
		return s.deeper(search{l: s.l, left: rest, taken: append(s.taken[:len(s.taken):len(s.taken)], w)})
	case !w.or:
		return s.deeper(search{l: s.l, left: slices.Concat(w.parts, rest), taken: s.taken})
	}
	for _, part := range w.parts {
		if s.deeper(search{l: s.l, left: append([]*wish{part}, rest...), taken: s.taken}) {
			return true
		}
	}
	return false
}

func (s *search) deeper(next search) bool {
	ok := next.possible()
	if s.why == nil {
		s.why = next.why
	}
	return ok
}

// wishOf returns the demand d on c as demands on atoms.
func wishOf(c *Condition, d demand) *wish {
	w := &wish{or: d.splits(), pos: c.Pos}
	if c.SignedIn {
		w.parts = append(w.parts, &wish{atom: &atom{key: "signed-in", pos: c.Pos}, want: d, pos: c.Pos})
	}
	for _, a := range atomsOf(c) {
		w.parts = append(w.parts, &wish{atom: a, want: d, pos: a.pos})
	}
	if len(c.AnyOf) > 0 {
		items := &wish{or: !d.splits(), pos: c.posOf("any_of")}
		if d == beTrue {
			items.any = c.AnyOf
		}
		for i := range c.AnyOf {
			items.parts = append(items.parts, wishOf(&c.AnyOf[i], d))
		}
		w.parts = append(w.parts, items)
	}
	for i := range c.AllOf {
		w.parts = append(w.parts, wishOf(&c.AllOf[i], d))
	}
	if c.Not != nil {
		w.parts = append(w.parts, wishOf(c.Not, d.negated()))
	}
	return w
}

// atomsOf returns the keys of c that look at something themselves.
func atomsOf(c *Condition) []*atom {
	var all []*atom
	for _, key := range []string{"groups", "scopes", "users", "clients", "email_domains"} {
		if values := *c.list(key); len(values) > 0 {
			if key == "email_domains" {
				values = each(values, lowerASCII)
			}
			all = append(all, &atom{key: key, values: values, pos: c.posOf(key)})
		}
	}
	for _, n := range claimLeaves(c) {
		all = append(all, &atom{key: "claims", claim: n.claim, form: n.form, values: n.values, pos: n.pos})
	}
	if len(c.IP) > 0 {
		all = append(all, &atom{key: "ip", nets: c.IP, pos: c.posOf("ip")})
	}
	if len(c.Time) > 0 {
		all = append(all, &atom{key: "time", windows: c.Time, pos: c.posOf("time")})
	}
	if len(c.Method) > 0 {
		all = append(all, &atom{key: "method", values: c.Method, pos: c.posOf("method")})
	}
	if c.OPA != nil {
		all = append(all, &atom{key: "opa", values: []string{c.OPA.Rule}, pos: c.posOf("opa")})
	}
	return all
}
