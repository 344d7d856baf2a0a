package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/conf"
)

// maxDepth bounds how deep conditions nest.
const maxDepth = 16

// Condition is a map of conditions, or, as an item of any_of and all_of, the
// word signed-in. Keys of one map are joined by AND, items of one list by OR. At
// least one key is given, and no list is empty. Values are compared byte by byte
// unless said otherwise; characters that mean something in patterns or templates
// mean themselves.
type Condition struct {
	// Pos is where the condition stands.
	Pos conf.Pos `yaml:"-"`
	// SignedIn is the word signed-in: a person whose credential counts.
	SignedIn bool `yaml:"-"`
	// Groups is met by a person who is in one of these groups. It is unknown
	// where the credential does not tell groups: a token without the claim, an
	// issuer without groups_claim, a client that bearer.clients does not list.
	Groups []string `yaml:"groups"`
	// Scopes is met by a credential that was granted one of these scopes, each by
	// its full name: an access token, or a session by the access token behind it.
	// It is unknown where the credential does not tell scopes. To demand several
	// scopes use all_of.
	Scopes []string `yaml:"scopes"`
	// Users is met by a person whose subject or username is one of these; an
	// e-mail address never counts, and a path variable is only a username.
	Users []string `yaml:"users"`
	// Clients is met by a credential that was issued to one of these app
	// clients; a session was issued to the gateway's own.
	Clients []string `yaml:"clients"`
	// EmailDomains is met by a person whose verified e-mail address ends in @
	// and exactly one of these domains, ASCII case aside; subdomains are other
	// domains.
	EmailDomains []string `yaml:"email_domains"`
	// Claims is met when each claim named here passes the test beside it. A
	// claim that is absent, null or a map is unknown. Any configured issuer can
	// set any claim: name `iss` as well where that matters, and use groups and
	// scopes for groups and scopes, because they count only where
	// bearer.clients and groups_claim say so.
	Claims map[string]ClaimTest `yaml:"claims"`
	// IP is met when the client's address is in one of these networks
	// (10.0.0.0/8, 2001:db8::/32, or a single address). The address is the
	// connection's unless trusted_proxies says otherwise. Alone it asks for
	// signed-in too.
	IP []netip.Prefix `yaml:"ip"`
	// Time is met while one of these windows is open. Alone it asks for
	// signed-in too.
	Time Windows `yaml:"time"`
	// Method is met by a request with one of these methods, in upper case; GET
	// takes HEAD too. Alone it asks for signed-in too.
	Method []string `yaml:"method"`
	// AnyOf is met when one of its items is met.
	AnyOf []Condition `yaml:"any_of"`
	// AllOf is met when all its items are met.
	AllOf []Condition `yaml:"all_of"`
	// Not is met when its map is false: the attributes it looks at must be
	// present. Alone it asks for signed-in too.
	Not *Condition `yaml:"not"`
	// OPA asks a rule of a module of policy.custom.
	OPA *OPA `yaml:"opa"`

	at keyPlaces
	// named is where the names of placedLists stand, one list after the other.
	named []conf.Spot
}

// OPA names a rule written by the operator. In YAML the rule may stand alone.
type OPA struct {
	// Rule is the rule's full path, such as data.orders.allow. True meets the
	// condition, false does not; undefined or any other value is unknown. An
	// error while evaluating refuses the request.
	Rule string `yaml:"rule"`
}

// UnmarshalConf reads both forms.
func (o *OPA) UnmarshalConf(n *conf.Node) {
	if n.Kind() == conf.Scalar {
		n.Decode(&o.Rule)
		return
	}
	n.Decode(o)
}

// UnmarshalConf decodes either form of a condition and reports what makes no
// sense in it.
func (c *Condition) UnmarshalConf(n *conf.Node) {
	c.Pos = n.Pos()
	if n.Kind() == conf.Scalar && n.Scalar() == string(WordSignedIn) {
		c.SignedIn = true
		return
	}
	if n.Kind() != conf.Map {
		n.Errorf("a condition is a map such as { groups: [admins] }, or the word signed-in")
		return
	}
	keys := n.Keys()
	c.at = make(keyPlaces, 0, len(keys))
	for _, key := range keys {
		c.at = append(c.at, keyAt{key, n.Get(key).Pos()})
		if key == "claims" && n.Get(key).Kind() == conf.Map {
			c.placeClaims(n.Get(key))
		}
	}
	slices.SortFunc(c.at, func(a, b keyAt) int { return strings.Compare(a.key, b.key) })
	c.placeNames(n)
	decoded := n.Decode(c)
	for _, p := range c.problems() {
		// What could not be read is empty, and has been told already.
		if decoded || !p.empty {
			p.node(n).Errorf("%s", p.text)
		}
	}
}

// placeClaims notes where the claims of n, a map, and the forms below them stand.
func (c *Condition) placeClaims(n *conf.Node) {
	for _, name := range n.Keys() {
		test := n.Get(name)
		c.at = append(c.at, keyAt{claimKey(name, formIs), test.Pos()})
		for _, f := range []form{formEquals, formPrefix, formContains} {
			if below := test.Get(formKey[f]); below != nil {
				c.at = append(c.at, keyAt{claimKey(name, f), below.Pos()})
			}
		}
	}
}

// problem is what is wrong with one key of a condition, or, with key "", with
// the condition itself.
type problem struct {
	key string
	// item is which item of the list under key, from 1 on; 0 for none. below are
	// the keys under that.
	item  int
	below []string
	// pos is where it stands, as far as that is known better than by key.
	pos  conf.Pos
	text string
	// empty marks what is said of something that is not there.
	empty bool
}

func (p problem) say(format string, a ...any) problem {
	p.text = fmt.Sprintf(format, a...)
	return p
}

// node returns what the problem is about, below n.
func (p problem) node(n *conf.Node) *conf.Node {
	if p.key == "" {
		return n
	}
	at := n.Get(p.key)
	if items := at.Items(); p.item > 0 && p.item <= len(items) {
		at = items[p.item-1]
	}
	for _, key := range p.below {
		if next := at.Get(key); next != nil {
			at = next
		}
	}
	return at
}

// problems looks at this condition alone, not at those below it.
func (c *Condition) problems() []problem {
	var found []problem
	report := func(p problem) { found = append(found, p) }
	add := func(key, format string, a ...any) { report(problem{key: key}.say(format, a...)) }
	missing := func(key, format string, a ...any) { report(problem{key: key, empty: true}.say(format, a...)) }
	if len(c.keys()) == 0 && len(c.at) == 0 && !c.SignedIn {
		missing("", "the map of conditions is empty; write signed-in, anyone or nobody to mean that")
	}
	for _, key := range []string{"groups", "scopes", "users", "clients", "email_domains"} {
		if c.at.has(key) && len(*c.list(key)) == 0 {
			missing(key, "%s is empty, so nobody could ever pass; name at least one", key)
		}
		c.listProblems(key, add)
	}
	for _, key := range []string{"any_of", "all_of", "ip", "claims", "time", "method"} {
		if c.at.has(key) && !slices.Contains(c.keys(), key) {
			missing(key, "%s is empty; leave it out or name at least one", key)
		}
	}
	c.claimProblems(report)
	c.timeProblems(report)
	c.requestProblems(add)
	if c.OPA != nil {
		if _, err := parseRuleRef(c.OPA.Rule); err != nil {
			report(problem{key: "opa", empty: c.OPA.Rule == ""}.say("%v", err))
		}
	}
	if c.Not != nil && c.Not.asksSignedIn() {
		add("not", "signed-in cannot stand under not: whoever left something out would meet it; name what shall be refused, such as clients")
	}
	return found
}

func (c *Condition) listProblems(key string, add func(key, format string, a ...any)) {
	for _, v := range *c.list(key) {
		if v == "" || !utf8.ValidString(v) {
			add(key, "%s names %q, which nothing can equal", key, v)
		}
		if key == "email_domains" && (strings.Contains(v, "@") || strings.Contains(v, "*")) {
			add(key, "email_domains names %q, want a domain alone, such as example.com; each subdomain is named by itself", v)
		}
	}
}

func (c *Condition) timeProblems(report func(problem)) {
	for i, w := range c.Time {
		_, wrong := w.read()
		for _, p := range wrong {
			at := problem{key: "time", item: i + 1, pos: w.Pos, text: p.text}
			if p.key != "" {
				at.below = []string{p.key}
			}
			report(at)
		}
	}
}

// requestProblems looks at ip and method.
func (c *Condition) requestProblems(add func(key, format string, a ...any)) {
	for _, p := range c.IP {
		if p.Addr().Is4In6() {
			add("ip", "ip names %s; write the IPv4 network itself", p)
		} else if p != p.Masked() {
			add("ip", "ip names %s, which is no network address; did you mean %s?", p, p.Masked())
		}
	}
	for _, m := range c.Method {
		upper := strings.ToUpper(m)
		switch {
		case slices.Contains(methods, m):
		case slices.Contains(methods, upper):
			add("method", "method names %q, did you mean %s? Methods are case-sensitive", m, upper)
		default:
			add("method", "method names %q, which is not passed on and so never comes; want GET, POST, PUT, PATCH, DELETE and the like", m)
		}
	}
}

// methods are those that the proxy passes on, a test sees to that: RFC 9110 and
// 5789, WebDAV and its children, LINK and UNLINK, and QUERY.
var methods = []string{
	"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
	"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL",
	"LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL",
	"MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPFIND",
	"PROPPATCH", "QUERY", "REBIND", "REPORT", "SEARCH", "UNBIND", "UNCHECKOUT",
	"UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
}

func (c *Condition) asksSignedIn() bool {
	if c.SignedIn {
		return true
	}
	below := func(x Condition) bool { return x.asksSignedIn() }
	return slices.ContainsFunc(c.AnyOf, below) || slices.ContainsFunc(c.AllOf, below) ||
		c.Not != nil && c.Not.asksSignedIn()
}

// list returns the list of strings under key.
func (c *Condition) list(key string) *[]string {
	switch key {
	case "groups":
		return &c.Groups
	case "scopes":
		return &c.Scopes
	case "users":
		return &c.Users
	case "clients":
		return &c.Clients
	default:
		return &c.EmailDomains
	}
}

// keys returns the keys in use in the order of the file, and in the order of
// the struct where positions are equal.
func (c *Condition) keys() []string {
	var keys []string
	for _, k := range []string{"groups", "scopes", "users", "clients", "email_domains"} {
		if len(*c.list(k)) > 0 {
			keys = append(keys, k)
		}
	}
	given := []struct {
		key   string
		there bool
	}{
		{"claims", len(c.Claims) > 0},
		{"ip", len(c.IP) > 0},
		{"time", len(c.Time) > 0},
		{"method", len(c.Method) > 0},
		{"any_of", len(c.AnyOf) > 0},
		{"all_of", len(c.AllOf) > 0},
		{"not", c.Not != nil},
		{"opa", c.OPA != nil},
	}
	for _, g := range given {
		if g.there {
			keys = append(keys, g.key)
		}
	}
	slices.SortStableFunc(keys, func(a, b string) int { return comparePos(c.at.pos(a), c.at.pos(b)) })
	return keys
}

func comparePos(a, b conf.Pos) int {
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	return a.Column - b.Column
}

// literal returns v, a scalar of YAML or JSON, as JSON text, which is also how
// Rego writes it.
func literal(v any) (string, error) {
	switch v := v.(type) {
	case string:
		if !utf8.ValidString(v) {
			return "", fmt.Errorf("%q is not UTF-8", v)
		}
		return quote(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case uint64:
		return strconv.FormatUint(v, 10), nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return "", fmt.Errorf("%v is no number that a claim can have", v)
		}
		text, err := json.Marshal(v)
		return string(text), err
	case json.Number:
		if !json.Valid([]byte(v)) {
			return "", fmt.Errorf("%q is no number", string(v))
		}
		return string(v), nil
	default:
		return "", fmt.Errorf("a value is a %T, want a string, a number or a boolean (put it in quotes)", v)
	}
}
