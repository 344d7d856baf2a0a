package policy

// The independent reading of a YAML condition that the generated Rego is held
// against: three-valued, in plain Go, without OPA.

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/session"
)

// judge is the meaning of conditions, written a second time from its
// description: nil is unknown.
func judge(c Condition, q Query) *bool {
	id := q.Identity
	user := id != nil && id.Person && id.Listed
	parts := judgePerson(c, q, user)
	if c.Scopes != nil {
		parts = append(parts, oneOf(id != nil && id.Scopes != nil, scopesOfIdentity(id), c.Scopes))
	}
	if c.Clients != nil {
		known := id != nil && id.ClientID != "" && id.ClientNamed
		var have []string
		if known {
			have = []string{id.ClientID}
		}
		parts = append(parts, oneOf(known, have, c.Clients))
	}
	for name, want := range c.Claims {
		parts = append(parts, judgeClaim(name, want, q)...)
	}
	parts = append(parts, judgeRequest(c, q)...)
	if c.OPA != nil {
		parts = append(parts, judgeOPA(c.OPA.Rule, id, user))
	}
	if c.AnyOf != nil {
		var below []*bool
		for _, x := range c.AnyOf {
			below = append(below, opposite(judge(x, q)))
		}
		parts = append(parts, opposite(every(below)))
	}
	for _, x := range c.AllOf {
		parts = append(parts, judge(x, q))
	}
	if c.Not != nil {
		parts = append(parts, opposite(judge(*c.Not, q)))
	}
	return every(parts)
}

// oneOf tells whether one of want is among have, if that is known.
func oneOf(known bool, have, want []string) *bool {
	if !known {
		return nil
	}
	hit := slices.ContainsFunc(want, func(w string) bool { return slices.Contains(have, w) })
	return &hit
}

func judgePerson(c Condition, q Query, user bool) (parts []*bool) {
	id := q.Identity
	if c.SignedIn {
		parts = append(parts, &user)
	}
	if c.Groups != nil {
		want, set := put(c.Groups, q)
		parts = append(parts, unless(set, oneOf(user && id.Groups != nil, groupsOf(id), want)))
	}
	if c.Users != nil {
		parts = append(parts, judgeUsers(c.Users, q, user))
	}
	if c.EmailDomains != nil {
		if !user || !id.EmailVerified || id.Email == "" {
			return append(parts, nil)
		}
		_, domain, _ := strings.Cut(id.Email, "@")
		hit := slices.ContainsFunc(c.EmailDomains, func(d string) bool { return strings.EqualFold(d, domain) })
		parts = append(parts, &hit)
	}
	return parts
}

// put replaces "{name}" by what the path has there; all is false if it has
// nothing for one of them.
func put(want []string, q Query) (out []string, all bool) {
	all = true
	for _, w := range want {
		if !strings.HasPrefix(w, "{") || !strings.HasSuffix(w, "}") {
			out = append(out, w)
			continue
		}
		i := slices.IndexFunc(q.Variables, func(v Variable) bool { return "{"+v.Name+"}" == w })
		if all = all && i >= 0; i >= 0 {
			out = append(out, q.Variables[i].Value)
		}
	}
	return out, all
}

// unless makes a miss unknown where not all that is wanted is known.
func unless(all bool, v *bool) *bool {
	if v != nil && !*v && !all {
		return nil
	}
	return v
}

func scopesOfIdentity(id *session.Identity) []string {
	if id == nil {
		return nil
	}
	return id.Scopes
}

func groupsOf(id *session.Identity) []string {
	if id == nil {
		return nil
	}
	return id.Groups
}

// judgeUsers: plain values are a subject or a username, what the path has is a
// username.
func judgeUsers(users []string, q Query, user bool) *bool {
	if !user {
		return nil
	}
	id := q.Identity
	want, set := put(users, q)
	plain := slices.DeleteFunc(slices.Clone(users), func(u string) bool { return strings.HasPrefix(u, "{") })
	hit := id.Username != "" && slices.Contains(want, id.Username) || id.Subject != "" && slices.Contains(plain, id.Subject)
	if !hit && (id.Username == "" || id.Subject == "" && len(plain) > 0) {
		return nil
	}
	return unless(set, &hit)
}

// judgeRequest reads the conditions on the request, which is unknown where
// nobody asks.
func judgeRequest(c Condition, q Query) (parts []*bool) {
	answer := func(hit, known bool) {
		if q.Identity == nil || !known {
			parts = append(parts, nil)
		} else {
			parts = append(parts, &hit)
		}
	}
	if c.IP != nil {
		answer(slices.ContainsFunc(c.IP, func(p netip.Prefix) bool { return p.Contains(q.ClientIP) }), q.ClientIP.IsValid())
	}
	if c.Method != nil {
		answer(slices.Contains(c.Method, q.Method) || q.Method == "HEAD" && slices.Contains(c.Method, "GET"), q.Method != "")
	}
	if c.Time != nil {
		answer(slices.ContainsFunc(c.Time, func(w Window) bool { return open(w, q.Time) }), true)
	}
	return parts
}

func judgeClaim(name string, want ClaimTest, q Query) (parts []*bool) {
	var claim any
	if q.Identity != nil {
		claim = q.Identity.Claims[name]
	}
	list, isList := claim.([]any)
	if !isList {
		list = []any{claim}
	}
	odd := slices.ContainsFunc(list, func(v any) bool { return !plainValue(v) })
	// known: a miss is one, and not another shape than was asked for.
	check := func(values []any, right, known bool, same func(want, have any) bool) {
		if len(values) == 0 {
			return
		}
		hit, all := false, true
		for _, w := range values {
			if text, ok := w.(string); ok {
				replaced, set := put([]string{text}, q)
				if !set {
					all = false
					continue
				}
				w = replaced[0]
			}
			hit = hit || right && slices.ContainsFunc(list, func(v any) bool { return same(w, v) })
		}
		parts = append(parts, unless(all && known, &hit))
	}
	check(want.Is, true, !odd, sameScalar)
	check(want.Equals, !isList, !isList && !odd, sameScalar)
	check(want.Contains, isList, isList && !odd, sameScalar)
	check(want.values(formPrefix), true, !odd, func(w, v any) bool {
		text, ok := v.(string)
		return ok && strings.HasPrefix(text, w.(string))
	})
	return parts
}

// plainValue tells whether v is a scalar.
func plainValue(v any) bool {
	switch v.(type) {
	case string, bool, json.Number:
		return true
	}
	return false
}

func sameScalar(a, b any) bool {
	switch b.(type) {
	case string, bool, json.Number:
	default:
		return false
	}
	x, isX := a.(json.Number)
	y, isY := b.(json.Number)
	if isX && isY {
		return strings.TrimSuffix(string(x), ".0") == strings.TrimSuffix(string(y), ".0")
	}
	return a == b
}

func judgeOPA(rule string, id *session.Identity, user bool) *bool {
	answer := rule == "data.op.yes"
	switch {
	case id == nil:
		return nil
	case rule == "data.op.yes" || rule == "data.op.no":
		return &answer
	case rule == "data.op.admin" && user && slices.Contains(id.Groups, "g1"):
		answer = true
		return &answer
	}
	return nil
}

func every(parts []*bool) *bool {
	result := true
	var unknown bool
	for _, p := range parts {
		if p == nil {
			unknown = true
		} else if !*p {
			result = false
		}
	}
	if result && unknown {
		return nil
	}
	return &result
}

func opposite(p *bool) *bool {
	if p == nil {
		return nil
	}
	v := !*p
	return &v
}

// names tells whether c cannot be true without a condition that names somebody.
func names(c Condition) bool {
	if c.SignedIn || c.Groups != nil || c.Scopes != nil || c.Users != nil || c.Clients != nil ||
		c.EmailDomains != nil || c.Claims != nil || c.OPA != nil {
		return true
	}
	if slices.ContainsFunc(c.AllOf, names) {
		return true
	}
	return c.AnyOf != nil && !slices.ContainsFunc(c.AnyOf, func(x Condition) bool { return !names(x) })
}

// may is the whole rule: true, and somebody was named or is signed in.
func may(c Condition, q Query) bool {
	if q.Identity == nil {
		return false
	}
	if keys := c.keys(); !names(c) && len(keys) == 1 && keys[0] == "any_of" {
		return slices.ContainsFunc(c.AnyOf, func(x Condition) bool { return may(x, q) })
	} else if !names(c) && len(keys) == 1 && keys[0] == "all_of" && len(c.AllOf) == 1 {
		return may(c.AllOf[0], q)
	}
	v := judge(c, q)
	return v != nil && *v && (names(c) || q.Identity.Person && q.Identity.Listed)
}
