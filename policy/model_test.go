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
	var parts []*bool
	id := q.Identity
	user := id != nil && id.Person && id.Listed
	one := func(known bool, have []string, want []string) {
		if !known {
			parts = append(parts, nil)
			return
		}
		hit := slices.ContainsFunc(want, func(w string) bool { return slices.Contains(have, w) })
		parts = append(parts, &hit)
	}
	if c.SignedIn {
		parts = append(parts, &user)
	}
	if c.Groups != nil {
		one(user && id.Groups != nil, groupsOf(id), c.Groups)
	}
	if c.Scopes != nil {
		known := id != nil && id.Credential == session.Bearer && id.Scopes != nil
		var have []string
		if known {
			have = id.Scopes
		}
		one(known, have, c.Scopes)
	}
	if c.Users != nil {
		parts = append(parts, judgeUsers(c.Users, id, user))
	}
	if c.Clients != nil {
		if id == nil {
			parts = append(parts, nil)
		} else {
			one(id.ClientID != "" && id.ClientNamed, []string{id.ClientID}, c.Clients)
		}
	}
	if c.EmailDomains != nil {
		if !user || !id.EmailVerified || id.Email == "" {
			parts = append(parts, nil)
		} else {
			_, domain, _ := strings.Cut(id.Email, "@")
			hit := slices.ContainsFunc(c.EmailDomains, func(d string) bool { return strings.EqualFold(d, domain) })
			parts = append(parts, &hit)
		}
	}
	for name, want := range c.Claims {
		parts = append(parts, judgeClaim(name, want.Is, id))
	}
	if c.IP != nil {
		hit := slices.ContainsFunc(c.IP, func(p netip.Prefix) bool { return p.Contains(q.ClientIP) })
		if id == nil || !q.ClientIP.IsValid() {
			parts = append(parts, nil)
		} else {
			parts = append(parts, &hit)
		}
	}
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

func groupsOf(id *session.Identity) []string {
	if id == nil {
		return nil
	}
	return id.Groups
}

func judgeUsers(want []string, id *session.Identity, user bool) *bool {
	if !user {
		return nil
	}
	hit := id.Subject != "" && slices.Contains(want, id.Subject) || id.Username != "" && slices.Contains(want, id.Username)
	if !hit && (id.Subject == "" || id.Username == "") {
		return nil
	}
	return &hit
}

func judgeClaim(name string, want []any, id *session.Identity) *bool {
	if id == nil {
		return nil
	}
	same := func(a, b any) bool {
		x, isX := a.(json.Number)
		y, isY := b.(json.Number)
		if isX && isY {
			return strings.TrimSuffix(string(x), ".0") == strings.TrimSuffix(string(y), ".0")
		}
		return a == b
	}
	hit := false
	check := func(v any) {
		switch v.(type) {
		case string, bool, json.Number:
			hit = hit || slices.ContainsFunc(want, func(w any) bool { return same(w, v) })
		}
	}
	switch v := id.Claims[name].(type) {
	case nil, map[string]any:
		return nil
	case []any:
		for _, item := range v {
			check(item)
		}
	default:
		check(v)
	}
	return &hit
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
