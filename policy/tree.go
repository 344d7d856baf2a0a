package policy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/internal/conf"
)

// kind is what a node of a rule's tree looks at.
type kind uint8

const (
	kSignedIn kind = iota
	kGroups
	kScopes
	kUsers
	kClients
	kEmailDomains
	kClaim
	kIP
	kTime
	kMethod
	// The next three stand in `require` only.
	kMFA
	kACR
	kSignedInWithin
	kOPA
	kAnyOf
	kAllOf
	kNot
)

func (k kind) leaf() bool { return k < kAnyOf }

// personal tells whether a leaf of this kind is about a person whose credential
// counts.
func (k kind) personal() bool {
	switch k {
	case kSignedIn, kGroups, kUsers, kEmailDomains, kMFA, kACR, kSignedInWithin:
		return true
	}
	return false
}

// yamlKey is the key of the YAML that a kind of leaf is written under.
var yamlKey = [...]string{
	kSignedIn: "signed-in", kGroups: "groups", kScopes: "scopes", kUsers: "users", kClients: "clients",
	kEmailDomains: "email_domains", kClaim: "claims", kIP: "ip", kTime: "time", kMethod: "method",
	kMFA: "mfa", kACR: "acr", kSignedInWithin: "signed_in_within", kOPA: "opa",
	kAnyOf: "any_of", kAllOf: "all_of", kNot: "not",
}

// node is one condition of a rule: a leaf that looks at one attribute, or
// any_of, all_of, not over others. It is not changed once its rule is compiled.
type node struct {
	kind kind
	pos  conf.Pos
	// claim is the name of the claim of a kClaim, and form how it is compared.
	claim string
	form  form
	// values are what a leaf wants, as plain text; for kClaim as JSON text. In
	// the order of the file, without repetition.
	values []string
	// windows are those of a kTime, one for each of values; within is the
	// duration of a kSignedInWithin.
	windows []window
	within  time.Duration
	// implied marks a signed-in that nobody wrote.
	implied  bool
	children []*node
	// key is equal for equal conditions, wherever they stand.
	key string
	// name is the Rego rule that is true where a leaf is met, and body asks for it.
	name string
	body ast.Body
}

// tree turns a rule into its tree; nil for anyone and nobody.
func tree(r Rule) (*node, error) {
	switch r.Allow.Word {
	case WordAnyone, WordNobody:
		return nil, nil
	case WordSignedIn:
		return leaf(kSignedIn, r.pos()), nil
	case "":
	default:
		return nil, &Error{r.pos(), fmt.Errorf("allow is %q, want anyone, signed-in, nobody, or conditions", string(r.Allow.Word))}
	}
	if r.Allow.When == nil {
		return nil, &Error{r.pos(), errors.New("a route without allow protects nothing; write anyone, signed-in, nobody, or conditions")}
	}
	n, err := condition(r.Allow.When, r.pos(), 0)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkVariables(n, r.Variables)...); err != nil {
		return nil, err
	}
	return ground(n), nil
}

// condition returns the tree of c; above is the position to use where c has
// none.
func condition(c *Condition, above conf.Pos, depth int) (*node, error) {
	if c.Pos.Line == 0 {
		placed := *c
		placed.Pos = above
		c = &placed
	}
	if depth > maxDepth {
		return nil, &Error{c.Pos, fmt.Errorf("conditions are nested more than %d deep", maxDepth)}
	}
	var errs []error
	for _, p := range c.problems() {
		pos := p.pos
		if pos.Line == 0 {
			pos = c.posOf(p.key)
		}
		errs = append(errs, &Error{pos, errors.New(p.text)})
	}
	if errs != nil {
		return nil, errors.Join(errs...)
	}
	if c.SignedIn {
		return leaf(kSignedIn, c.Pos), nil
	}
	var all []*node
	for _, key := range c.keys() {
		found, err := underKey(c, key, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return join(kAllOf, c.Pos, all), nil
}

// underKey returns what one key of c asks for; several claims are several
// conditions.
func underKey(c *Condition, key string, depth int) ([]*node, error) {
	pos := c.posOf(key)
	switch key {
	case "groups":
		return []*node{leaf(kGroups, pos, c.Groups...)}, nil
	case "scopes":
		return []*node{leaf(kScopes, pos, c.Scopes...)}, nil
	case "users":
		return []*node{leaf(kUsers, pos, c.Users...)}, nil
	case "clients":
		return []*node{leaf(kClients, pos, c.Clients...)}, nil
	case "email_domains":
		var lower []string
		for _, d := range c.EmailDomains {
			lower = append(lower, lowerASCII(d))
		}
		return []*node{leaf(kEmailDomains, pos, lower...)}, nil
	case "claims":
		return claimLeaves(c), nil
	case "ip":
		return []*node{leaf(kIP, pos, texts(c.IP)...)}, nil
	case "time":
		return []*node{timeLeaf(pos, c.Time)}, nil
	case "method":
		return []*node{leaf(kMethod, pos, c.Method...)}, nil
	case "opa":
		return []*node{leaf(kOPA, pos, c.OPA.Rule)}, nil
	case "not":
		child, err := condition(c.Not, pos, depth+1)
		if err != nil {
			return nil, err
		}
		return []*node{join(kNot, pos, []*node{child})}, nil
	case "any_of":
		n, err := items(kAnyOf, pos, c.AnyOf, depth)
		return []*node{n}, err
	default: // all_of
		n, err := items(kAllOf, pos, c.AllOf, depth)
		return []*node{n}, err
	}
}

func items(k kind, pos conf.Pos, list []Condition, depth int) (*node, error) {
	var children []*node
	var errs []error
	for i := range list {
		child, err := condition(&list[i], pos, depth+1)
		errs = append(errs, err)
		children = append(children, child)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return join(k, pos, children), nil
}

func timeLeaf(pos conf.Pos, list []Window) *node {
	n := &node{kind: kTime, pos: pos}
	for _, w := range list {
		read, _ := w.read() // problems has seen to the errors
		if text := read.text(); !slices.Contains(n.values, text) {
			n.values, n.windows = append(n.values, text), append(n.windows, read)
		}
	}
	n.key = key(n)
	return n
}

func leaf(k kind, pos conf.Pos, values ...string) *node {
	n := &node{kind: k, pos: pos, values: distinct(values)}
	n.key = key(n)
	return n
}

// distinct returns values without repetition: the slice itself where there is
// none.
func distinct(values []string) []string {
	for i, v := range values {
		if !slices.Contains(values[:i], v) {
			continue
		}
		some := slices.Clone(values[:i])
		for _, v := range values[i+1:] {
			if !slices.Contains(some, v) {
				some = append(some, v)
			}
		}
		return some
	}
	return slices.Clip(values)
}

// join returns a node over children, or the only child of an any_of or all_of.
func join(k kind, pos conf.Pos, children []*node) *node {
	if len(children) == 1 && k != kNot {
		return children[0]
	}
	n := &node{kind: k, pos: pos, children: children}
	n.key = key(n)
	return n
}

// ground returns n with signed-in added where n could be true without any
// condition that names somebody: `ip`, `time`, `method` and `not` hold for
// machines and for clients that the configuration never mentions.
func ground(n *node) *node {
	if n.grounded() {
		return n
	}
	if n.kind == kAnyOf {
		children := make([]*node, len(n.children))
		for i, c := range n.children {
			children[i] = ground(c)
		}
		return join(kAnyOf, n.pos, children)
	}
	implied := leaf(kSignedIn, n.pos)
	implied.implied = true
	below := []*node{n}
	if n.kind == kAllOf {
		below = n.children
	}
	return join(kAllOf, n.pos, append([]*node{implied}, below...))
}

// grounded tells whether n can be true only where a condition that names
// somebody is true.
func (n *node) grounded() bool {
	switch n.kind {
	case kIP, kTime, kMethod, kNot:
		return false
	case kAllOf:
		return slices.ContainsFunc(n.children, (*node).grounded)
	case kAnyOf:
		return !slices.ContainsFunc(n.children, func(c *node) bool { return !c.grounded() })
	default:
		return true
	}
}

// leaves returns the leaves of n in the order of the file.
func (n *node) leaves() []*node {
	return n.addLeaves(nil)
}

func (n *node) addLeaves(all []*node) []*node {
	if n.kind.leaf() {
		return append(all, n)
	}
	for _, c := range n.children {
		all = c.addLeaves(all)
	}
	return all
}

// asks tells whether n asks a rule of an operator, which may take long and may
// fail, and is therefore put last wherever order is ours to choose.
func (n *node) asks() bool {
	return n.kind == kOPA || slices.ContainsFunc(n.children, (*node).asks)
}

// key spells a condition so that equal ones are spelt alike; the order of
// list items does not matter.
func key(n *node) string {
	parts := make([]string, 0, 8)
	parts = append(parts, n.values...)
	for _, c := range n.children {
		parts = append(parts, c.key)
	}
	slices.Sort(parts)
	// Each part has its length before it, and all have their number: nothing else
	// is spelt so, alone or with another key behind it.
	text := append(make([]byte, 0, 128), byte(n.kind), byte(n.form))
	text = append(binary.AppendUvarint(text, uint64(len(n.claim))), n.claim...)
	text = binary.AppendUvarint(text, uint64(len(parts)))
	for _, part := range parts {
		text = append(binary.AppendUvarint(text, uint64(len(part))), part...)
	}
	return string(text)
}

// text is the condition as YAML writes it, in one line.
func (n *node) text() string {
	switch n.kind {
	case kSignedIn:
		if n.implied {
			return "signed-in (implied: ip, time, method and not name nobody)"
		}
		return "signed-in"
	case kClaim:
		return n.claimText()
	case kTime:
		return "time: [" + strings.Join(n.values, ", ") + "]"
	case kMFA:
		return "mfa: true"
	case kSignedInWithin:
		return "signed_in_within: " + n.values[0]
	case kOPA:
		return "opa: {rule: " + plain(n.values[0]) + "}"
	case kAnyOf, kAllOf:
		var parts []string
		for _, c := range n.children {
			parts = append(parts, "{"+c.text()+"}")
		}
		return yamlKey[n.kind] + ": [" + strings.Join(parts, ", ") + "]"
	case kNot:
		return "not: {" + n.children[0].text() + "}"
	default:
		return yamlKey[n.kind] + ": [" + strings.Join(each(n.values, plain), ", ") + "]"
	}
}

func list(values []string, show func(string) string) string {
	if len(values) == 1 {
		return show(values[0])
	}
	return "[" + strings.Join(each(values, show), ", ") + "]"
}

func each(values []string, f func(string) string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = f(v)
	}
	return out
}

// plain returns s as it is if nothing in it could break out of a line of
// comment or be misread, else quoted.
func plain(s string) string {
	for _, r := range s {
		if r != '-' && r != '_' && r != '.' && r != '/' && r != '@' && r != ':' && r != '+' &&
			(r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return strconv.Quote(s)
		}
	}
	if s == "" {
		return `""`
	}
	return s
}

func texts(prefixes []netip.Prefix) []string {
	var out []string
	for _, p := range prefixes {
		out = append(out, p.String())
	}
	return out
}

// lowerASCII folds only A to Z: folding more would make other domains of
// look-alike letters equal.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
