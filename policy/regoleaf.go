package policy

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxName is about how long the name of a rule gets.
const maxName = 56

// leafName is a name for a leaf that tells what it looks at.
func leafName(n *node) string {
	single := [...]string{
		kSignedIn: "signed_in", kGroups: "group", kScopes: "scope", kUsers: "user", kClients: "client",
		kEmailDomains: "email_domain", kClaim: "claim", kIP: "ip", kTime: "time", kMethod: "method",
		kMFA: "mfa", kACR: "acr", kSignedInWithin: "signed_in_within", kOPA: "opa",
	}
	name := single[n.kind]
	if len(n.values) > 1 && strings.HasSuffix(yamlKey[n.kind], "s") && n.kind != kClaim {
		name += "s"
	}
	if n.kind == kClaim {
		name += slug(n.claim)
		if n.form != formIs {
			name += "_" + formKey[n.form]
		}
	}
	for i, v := range n.values {
		next := n.slugOf(i, v)
		if i > 0 && len(name)+len(next) > maxName {
			return name + "_or_more"
		}
		if i > 0 {
			name += "_or"
		}
		name += next
	}
	return name
}

// slugOf is what the i-th value of n, v, adds to the name of its rule.
func (n *node) slugOf(i int, v string) string {
	if n.kind == kTime {
		return n.windows[i].slug()
	}
	if name := n.variableOf(v); name != "" {
		return "_path_" + name
	}
	return slug(v)
}

// slug returns "_" and the letters and digits of s in lower case, at most 40
// bytes; "" if it has none.
func slug(s string) string {
	s = lowerASCII(strings.TrimPrefix(s, "data."))
	var b strings.Builder
	gap := true
	for _, r := range s {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			if gap {
				b.WriteByte('_')
				gap = false
			}
			b.WriteRune(r)
		} else {
			gap = true
		}
		if b.Len() >= 40 {
			break
		}
	}
	return b.String()
}

// leafRules returns the rule that is true where the leaf is met.
func leafRules(name string, n *node) string {
	var b strings.Builder
	switch n.kind {
	case kSignedIn:
		writeRule(&b, name, []string{"input.user"})
	case kGroups:
		member(&b, name, "input.user.groups", n)
	case kScopes:
		member(&b, name, "input.credential.scopes", n)
	case kClaim:
		claimRules(&b, name, n)
	case kUsers:
		equal(&b, name, "input.user.subject", &node{kind: kUsers, values: n.subjects()})
		equal(&b, name, "input.user.username", n)
	case kClients:
		equal(&b, name, "input.credential.client", n)
	case kEmailDomains:
		equal(&b, name, "input.user.email_domain", n)
	case kIP:
		networks := each(n.values, quote)
		if len(networks) == 1 {
			writeRule(&b, name, []string{"net.cidr_contains(" + networks[0] + ", input.request.client_ip)"})
			break
		}
		writeRule(&b, name, []string{
			"some network in " + collection("[", networks, "]"),
			"net.cidr_contains(network, input.request.client_ip)",
		})
	case kTime:
		for i := range n.windows {
			for _, body := range n.windows[i].bodies() {
				writeRule(&b, name, body)
			}
		}
	case kMethod:
		equal(&b, name, "input.request.method", &node{kind: kMethod, values: withHead(n.values)})
	case kOPA:
		writeRule(&b, name, []string{n.values[0] + " == true"})
	default:
		requireRules(&b, name, n)
	}
	return b.String()
}

// terms returns the values of n as Rego writes them: those that mean themselves,
// and the path variables. They never share a set: OPA's rule index (1.22) takes
// the plain values of a mixed one for all that there are.
func (n *node) terms() (plain, variables []string) {
	for _, v := range n.values {
		switch name := n.variableOf(v); {
		case name != "":
			variables = append(variables, below("input.request.variables", name))
		case n.kind == kClaim:
			plain = append(plain, v) // it is JSON
		default:
			plain = append(plain, quote(v))
		}
	}
	return plain, variables
}

func claimRules(b *strings.Builder, name string, n *node) {
	switch n.form {
	case formEquals:
		equal(b, name, below("input.claim_scalars", n.claim), n)
	case formContains:
		member(b, name, below("input.claim_lists", n.claim), n)
	case formPrefix:
		prefix(b, name, below("input.claim_values", n.claim), n)
	default:
		member(b, name, below("input.claim_values", n.claim), n)
	}
}

// prefix writes rules that are true if a string in the list at ref begins with
// one of n's values. What is no string begins with nothing, and asking would be
// an error.
func prefix(b *strings.Builder, name, ref string, n *node) {
	plain, variables := n.terms()
	some := []string{"some value in " + ref, "is_string(value)"}
	switch len(plain) {
	case 0:
	case 1:
		writeRule(b, name, append(some[:2:2], "startswith(value, "+plain[0]+")"))
	default:
		writeRule(b, name, append(some[:2:2], "strings.any_prefix_match(value, "+collection("[", plain, "]")+")"))
	}
	for _, v := range variables {
		writeRule(b, name, append(some[:2:2], "startswith(value, "+v+")"))
	}
}

func requireRules(b *strings.Builder, name string, n *node) {
	switch n.kind {
	case kMFA:
		writeRule(b, name, []string{"input.user.mfa == true"})
	case kACR:
		equal(b, name, "input.user.acr", n)
	case kSignedInWithin:
		writeRule(b, name, []string{
			"age := input.time - (input.user.auth_time * 1000000000)",
			"age >= " + strconv.FormatInt(-clockSkew.Nanoseconds(), 10),
			"age <= " + strconv.FormatInt(n.within.Nanoseconds(), 10),
		})
	}
}

// withHead returns methods with HEAD beside GET: who may read a page may ask for
// its head.
func withHead(methods []string) []string {
	if slices.Contains(methods, "GET") && !slices.Contains(methods, "HEAD") {
		return append(slices.Clone(methods), "HEAD")
	}
	return methods
}

// leafNotRules returns the rule that is true where the leaf is false: what it
// looks at is known, and it is not met.
func leafNotRules(name, yes string, n *node) string {
	var b strings.Builder
	if n.kind == kOPA {
		writeRule(&b, name, []string{n.values[0] + " == false"})
		return b.String()
	}
	known := looksAt(n)
	for _, v := range n.variables() {
		known = append(known, below("input.request.variables", v))
	}
	writeRule(&b, name, append(known, "not "+yes))
	return b.String()
}

// looksAt returns what must be there for n to be known, path variables aside.
func looksAt(n *node) []string {
	switch n.kind {
	case kGroups:
		return []string{"input.user.groups"}
	case kScopes:
		return []string{"input.credential.scopes"}
	case kClaim:
		return claimLooksAt(n)
	case kUsers:
		if len(n.subjects()) == 0 {
			return []string{"input.user.username"}
		}
		return []string{"input.user.subject", "input.user.username"}
	case kClients:
		return []string{"input.credential.client"}
	case kEmailDomains:
		return []string{"input.user.email_domain"}
	case kIP:
		return []string{"input.request.client_ip"}
	case kTime:
		return []string{"input.time"}
	case kMethod:
		return []string{"input.request.method"}
	default:
		// Whoever leaves something out is not thereby somebody else: signed-in is
		// never known to be false. problems refuses such a rule.
		return []string{"false"}
	}
}

// claimLooksAt returns what must be there for a claim to be known. One of another
// shape than is asked for is not: somebody else wrote it, who may mean the same.
func claimLooksAt(n *node) []string {
	known := below("input.claim_known", n.claim)
	switch n.form {
	case formEquals:
		// Without the comparison the claim false would be unknown.
		return []string{below("input.claim_scalars", n.claim) + " != null"}
	case formContains:
		return []string{below("input.claim_lists", n.claim), known}
	default:
		return []string{known}
	}
}

// below is the member called name of the object at ref, as opa fmt writes it.
func below(ref, name string) string {
	if ast.IsVarCompatibleString(name) && !ast.IsKeyword(name) {
		return ref + "." + name
	}
	return ref + "[" + quote(name) + "]"
}

// member writes rules that are true if the list at ref holds one of n's values.
func member(b *strings.Builder, name, ref string, n *node) {
	plain, variables := n.terms()
	item := "value"
	if n.kind != kClaim {
		item = strings.TrimSuffix(yamlKey[n.kind], "s") // group, scope
	}
	switch len(plain) {
	case 0:
	case 1:
		writeRule(b, name, []string{plain[0] + " in " + ref})
	default:
		writeRule(b, name, []string{
			"some " + item + " in " + ref,
			item + " in " + collection("{", plain, "}"),
		})
	}
	for _, v := range variables {
		writeRule(b, name, []string{v + " in " + ref})
	}
}

// equal writes rules that are true if the value at ref is one of n's values.
func equal(b *strings.Builder, name, ref string, n *node) {
	plain, variables := n.terms()
	switch len(plain) {
	case 0:
	case 1:
		writeRule(b, name, []string{ref + " == " + plain[0]})
	default:
		writeRule(b, name, []string{ref + " in " + collection("{", plain, "}")})
	}
	for _, v := range variables {
		writeRule(b, name, []string{ref + " == " + v})
	}
}

// maxLine is how long a line gets as long as that is ours to choose.
const maxLine = 110

// collection writes values between brackets: in one line, or if that gets long
// each in a line of its own, for the body of a rule.
func collection(opening string, values []string, closing string) string {
	if line := opening + strings.Join(values, ", ") + closing; len(line) <= maxLine-40 {
		return line
	}
	return opening + "\n\t\t" + strings.Join(values, ",\n\t\t") + ",\n\t" + closing
}

func writeRule(b *strings.Builder, head string, body []string) {
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	if len(body) == 1 && !strings.HasPrefix(body[0], "some ") && !strings.Contains(body[0], "\n") {
		b.WriteString(head + " if " + body[0] + "\n")
		return
	}
	b.WriteString(head + " if {\n")
	for _, line := range body {
		b.WriteString("\t" + line + "\n")
	}
	b.WriteString("}\n")
}

// quote writes s as a string of Rego, which is one of JSON, so that nothing in
// it can end the string or mean anything but itself.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil { // a string never fails
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}
