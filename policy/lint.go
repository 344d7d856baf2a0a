package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/conf"
)

// Level says how much a Warning matters.
type Level string

// The levels.
const (
	// LevelWarning is what was probably not meant.
	LevelWarning Level = "warning"
	// LevelInfo is what somebody should have seen once.
	LevelInfo Level = "info"
)

// The codes of what Lint finds.
const (
	// CodeNeverMet: a rule, or an alternative of any_of, that nobody can meet.
	CodeNeverMet = "never-met"
	// CodeAlwaysMet: an alternative of any_of that holds whenever the conditions
	// around it do, so that the others decide nothing.
	CodeAlwaysMet = "always-met"
	// CodeCovered: an alternative of any_of that another one includes.
	CodeCovered = "covered"
	// CodeTimeOver: all windows of a time condition lie in the past.
	CodeTimeOver = "time-over"
	// CodeUnknownGroup, CodeUnknownScope and CodeUnknownClient: no such thing is
	// known, so no credential can name it.
	CodeUnknownGroup  = "unknown-group"
	CodeUnknownScope  = "unknown-scope"
	CodeUnknownClient = "unknown-client"
	// CodeClaimableUser: `users` names somebody whom nobody is yet, and whom anybody
	// may become.
	CodeClaimableUser = "claimable-user"
	// CodeEmailAsUser: `users` names what looks like an e-mail address.
	CodeEmailAsUser = "email-as-user"
	// CodeScopeForNobody: a scope exists that no session and no client can get.
	CodeScopeForNobody = "scope-for-nobody"
	// CodeScopeForAll: a scope that every session gets.
	CodeScopeForAll = "scope-for-all"
	// CodeRequireUnmet: a strength of sign-in that no issuer here offers.
	CodeRequireUnmet = "require-unmet"
)

// Codes returns the codes of what Lint finds, in the order of their names.
func Codes() []string {
	return []string{
		CodeAlwaysMet, CodeClaimableUser, CodeCovered, CodeEmailAsUser, CodeNeverMet, CodeRequireUnmet, CodeScopeForAll,
		CodeScopeForNobody, CodeTimeOver, CodeUnknownClient, CodeUnknownGroup, CodeUnknownScope,
	}
}

// Warning is something in a rule that is allowed and probably not meant.
type Warning struct {
	// Code is a stable word for the kind of warning.
	Code string
	// Level is warning or info.
	Level Level
	// Pos is where it stands.
	Pos conf.Pos
	// Text is one sentence without a full stop.
	Text string
}

// Known is what a configuration tells of the world that rules speak of. What is
// not known is not complained about; the zero Known knows nothing.
type Known struct {
	// Groups and Clients are all names that a credential can carry; nil if others
	// are possible.
	Groups, Clients []string
	// Scopes are all scopes that a credential can carry, by full name; nil if
	// others are possible.
	Scopes map[string]Reach
	// OpaqueSubjects says that the subject of everybody is a UUID, so that any
	// other name under `users` is a username.
	OpaqueSubjects bool
	// Claimable tells whether whoever signs up may take that username; nil if
	// nobody can sign up.
	Claimable func(username string) bool
	// Strength says how people can sign in; nil if that is not known of everybody.
	Strength *Strength
	// Now is the time that windows are compared with; zero for not at all.
	Now time.Time
}

// Strength is what the issuer of everybody can say of a sign-in.
type Strength struct {
	// MFA says that there are second factors.
	MFA bool
	// ACR are all classes that it knows.
	ACR []string
}

// unmet returns what r asks for and cannot be had, "" for nothing.
func (s *Strength) unmet(r *Require) string {
	switch {
	case s == nil || r == nil:
		return ""
	case r.MFA && !s.MFA:
		return "mfa"
	case len(r.ACR) > 0 && !slices.ContainsFunc(r.ACR, func(c string) bool { return slices.Contains(s.ACR, c) }):
		return "acr"
	}
	return ""
}

// Reach says who can be granted a scope.
type Reach uint8

// The reaches.
const (
	// ReachUnknown: not known.
	ReachUnknown Reach = iota
	// ReachNobody: no session and no client.
	ReachNobody
	// ReachSome: members of some groups, or some clients.
	ReachSome
	// ReachAll: everybody who signs in.
	ReachAll
)

// Linted is a rule, with what of its route bears on whether it can be met.
type Linted struct {
	Rule
	// Methods are the methods that the route takes, HEAD beside GET; nil if
	// unknown.
	Methods []string
}

// Lint looks for rules that compile and that nobody can have meant: what can
// never be met, what is met always, and names that do not exist. It proves what
// it says of never and always; what would take too long to prove is passed
// over. The warnings are sorted by position.
func Lint(rules []Linted, known Known) []Warning {
	var all []Warning
	for i := range rules {
		l := linter{rule: &rules[i], known: &known, steps: maxSteps}
		l.lint()
		all = append(all, l.found...)
	}
	SortWarnings(all)
	return all
}

// SortWarnings sorts by position, and by code where positions are equal.
func SortWarnings(list []Warning) {
	slices.SortStableFunc(list, func(a, b Warning) int {
		return cmp.Or(strings.Compare(a.Pos.File, b.Pos.File), comparePos(a.Pos, b.Pos), strings.Compare(a.Code, b.Code))
	})
}

// linter looks at one rule.
type linter struct {
	rule  *Linted
	known *Known
	found []Warning
	// steps is how much proving is still allowed.
	steps int
}

func (l *linter) lint() {
	if what := l.known.Strength.unmet(l.rule.Require); what != "" {
		l.warn(CodeRequireUnmet, cmp.Or(l.rule.Require.Pos, l.rule.pos()),
			"route %q requires %s as the built-in provider has none: nobody gets in", l.rule.Route, what)
	}
	c := l.rule.Allow.When
	if c == nil {
		return
	}
	l.names(c)
	l.claimable(c)
	l.logic(c)
}

func (l *linter) warn(code string, pos conf.Pos, format string, a ...any) {
	l.add(code, LevelWarning, pos, fmt.Sprintf(format, a...))
}

func (l *linter) add(code string, level Level, pos conf.Pos, text string) {
	if pos.Line == 0 {
		pos = l.rule.pos()
	}
	w := Warning{Code: code, Level: level, Pos: pos, Text: text}
	if !slices.Contains(l.found, w) {
		l.found = append(l.found, w)
	}
}

// names looks at the names in c and below it.
func (l *linter) names(c *Condition) {
	for i, g := range c.Groups {
		if l.known.Groups != nil && !slices.Contains(l.known.Groups, g) && !isVariable(g) {
			l.warn(CodeUnknownGroup, c.posOfName("groups", i), "there is no group %q%s", g, meant(g, l.known.Groups))
		}
	}
	for i, name := range c.Clients {
		if l.known.Clients != nil && !slices.Contains(l.known.Clients, name) {
			l.warn(CodeUnknownClient, c.posOfName("clients", i), "there is no client %q whose name counts%s", name, meant(name, l.known.Clients))
		}
	}
	for i, u := range c.Users {
		if at := strings.IndexByte(u, '@'); at > 0 && strings.Contains(u[at:], ".") {
			l.warn(CodeEmailAsUser, c.posOfName("users", i),
				"users names %q, which looks like an e-mail address; users compares the username and the subject, never the address", u)
		}
	}
	for i, s := range c.Scopes {
		l.scope(c.posOfName("scopes", i), s)
	}
	for i := range c.AnyOf {
		l.names(&c.AnyOf[i])
	}
	for i := range c.AllOf {
		l.names(&c.AllOf[i])
	}
	if c.Not != nil {
		l.names(c.Not)
	}
}

// claimable looks for usernames that are for who takes them first. Beside a group
// they are worth nothing: nobody signs up into one. Under a not they would shut
// out, not let in.
func (l *linter) claimable(c *Condition) {
	if l.known.Claimable == nil || needsGroup(c) {
		return
	}
	for i, u := range c.Users {
		if !isVariable(u) && l.known.Claimable(u) {
			l.warn(CodeClaimableUser, c.posOfName("users", i),
				"sign-up is open, and nobody is known here as %q: whoever takes that username first meets this rule; "+
					"name a group or the subject instead, or declare the user in idp.bootstrap", u)
		}
	}
	for i := range c.AnyOf {
		l.claimable(&c.AnyOf[i])
	}
	for i := range c.AllOf {
		l.claimable(&c.AllOf[i])
	}
}

// needsGroup reports whether only members of groups can meet c.
func needsGroup(c *Condition) bool {
	return len(c.Groups) > 0 || slices.ContainsFunc(c.AllOf, func(part Condition) bool { return needsGroup(&part) })
}

func (l *linter) scope(pos conf.Pos, name string) {
	if l.known.Scopes == nil {
		return
	}
	reach, ok := l.known.Scopes[name]
	switch {
	case !ok:
		var all []string
		for s := range l.known.Scopes {
			all = append(all, s)
		}
		slices.Sort(all)
		l.warn(CodeUnknownScope, pos, "there is no scope %q%s", name, meant(name, all))
	case reach == ReachNobody:
		l.warn(CodeScopeForNobody, pos, "scope %q reaches nobody: it is not among login.scopes, and no client may have it", name)
	case reach == ReachAll:
		l.warn(CodeScopeForAll, pos, "everybody who signs in is given scope %q: it is among login.scopes and tied to no group", name)
	}
}

// meant returns what to think of word, which is none of known: a suggestion, or
// that nothing is known at all.
func meant(word string, known []string) string {
	if len(known) == 0 {
		return "; none is known here"
	}
	if near := conf.Suggest(word, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
