package declog

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gatehouse/policy"
	"gatehouse/session"
)

// mask is what is left out of the input: pointers as policy.ParseMask returns
// them.
type mask [][]string

// repeats are parts of the input that say the same: masking one masks the other.
var repeats = [][2][]string{
	{{"user", "subject"}, {"credential", "subject"}},
	{{"request", "variables"}, {"request", "path"}},
}

// newMask compiles pointers and adds what repeats the parts they name.
func newMask(pointers []string) (mask, error) {
	var m mask
	for _, pointer := range pointers {
		tokens, err := policy.ParseMask(pointer)
		if err != nil {
			return nil, fmt.Errorf("mask %q %w", pointer, err)
		}
		m.add(tokens)
	}
	for _, pair := range repeats {
		for i, part := range pair {
			if m.touches(part) {
				m.add(pair[1-i])
			}
		}
	}
	whole := m
	m = slices.DeleteFunc(slices.Clone(m), func(tokens []string) bool { return whole.covers(tokens[:len(tokens)-1]...) })
	// Backwards, so that taking an item out of a list moves none that is still
	// to be taken out.
	slices.SortFunc(m, func(a, b []string) int { return slices.CompareFunc(b, a, compareTokens) })
	return m, nil
}

func (m *mask) add(tokens []string) {
	if !slices.ContainsFunc(*m, func(have []string) bool { return slices.Equal(have, tokens) }) {
		*m = append(*m, tokens)
	}
}

// compareTokens orders indexes by number.
func compareTokens(a, b string) int {
	x, errA := strconv.ParseUint(a, 10, 31)
	y, errB := strconv.ParseUint(b, 10, 31)
	if errA == nil && errB == nil {
		return cmp.Compare(x, y)
	}
	return strings.Compare(a, b)
}

// touches tells whether m erases part, a part of it, or what it is a part of.
func (m mask) touches(part []string) bool {
	return slices.ContainsFunc(m, func(tokens []string) bool {
		n := min(len(tokens), len(part))
		return slices.Equal(tokens[:n], part[:n])
	})
}

// covers tells whether m erases all of part.
func (m mask) covers(part ...string) bool {
	return slices.ContainsFunc(m, func(tokens []string) bool {
		return len(tokens) <= len(part) && slices.Equal(tokens, part[:len(tokens)])
	})
}

// apply erases from ev what m names and what repeats it; id is who asked.
func (m mask) apply(ev *Event, id *session.Identity) {
	for _, tokens := range m {
		ev.erase(tokens...)
	}
	m.eraseRepeated(ev, id)
	if m.touches([]string{"request", "client_ip"}) {
		ev.RequestedBy = ""
	}
	if m.touches([]string{"request", "path"}) {
		ev.Custom.Other = ""
	}
	if m.touches([]string{"route"}) {
		ev.Result.Route = ""
	}
}

// erase takes what tokens point to out of the input, if it is there.
func (ev *Event) erase(tokens ...string) {
	if input, ok := erase(ev.Input, tokens); ok {
		ev.Input = input.(map[string]any)
		ev.Erased = append(ev.Erased, policy.MaskPointer(tokens))
	}
}

// naming are the parts of the input that name a person.
var naming = [][]string{{"user", "username"}, {"user", "name"}, {"user", "subject"}, {"credential", "subject"}}

// eraseRepeated erases each claim that holds what m hides of id and, with the
// e-mail address, names and subjects that are an address: where people sign in
// with one, it may be known by no other name.
func (m mask) eraseRepeated(ev *Event, id *session.Identity) {
	if id == nil {
		return
	}
	if claims, _ := object(ev.Input, "credential")["claims"].(map[string]any); len(claims) > 0 {
		hidden := m.hidden(id)
		for _, name := range slices.Sorted(maps.Keys(claims)) {
			if holds(claims[name], hidden) {
				ev.erase("credential", "claims", name)
			}
		}
	}
	if !m.hidesAddress() {
		return
	}
	for _, part := range naming {
		if strings.Contains(text(ev.Input, part...), "@") {
			ev.erase(part...)
		}
	}
}

// hidesAddress tells whether the e-mail address is to be hidden.
func (m mask) hidesAddress() bool { return m.touches([]string{"user", "email"}) }

// hidden returns, in lower case, what m hides of id. That is more than was
// erased: the record leaves out a user whose credential does not count, and an
// e-mail address that is not verified, but the claims tell of them.
func (m mask) hidden(id *session.Identity) []string {
	whole := *id
	whole.Person, whole.Listed, whole.EmailVerified, whole.ClientNamed, whole.Claims = true, true, true, true, nil
	all := policy.Record(policy.Query{Identity: &whole})
	var list []string
	for _, tokens := range m {
		switch {
		case len(tokens) > 2 && tokens[0] == "credential" && tokens[1] == "claims":
			list = scalars(find(id.Claims, tokens[2:]), list)
		case tokens[0] == "user" || tokens[0] == "credential":
			list = scalars(find(all, tokens), list)
		}
	}
	if !m.hidesAddress() {
		return list
	}
	for _, part := range naming {
		if name := text(all, part...); strings.Contains(name, "@") {
			list = append(list, strings.ToLower(name))
		}
	}
	return list
}

func object(in map[string]any, key string) map[string]any {
	o, _ := in[key].(map[string]any)
	return o
}

// holds tells whether one of the strings and numbers in v contains one of list,
// which is in lower case.
func holds(v any, list []string) bool {
	if len(list) == 0 {
		return false
	}
	return slices.ContainsFunc(scalars(v, nil), func(have string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return strings.Contains(have, s) })
	})
}

// find returns what tokens point to, nil if nothing is there.
func find(v any, tokens []string) any {
	for _, token := range tokens {
		switch w := v.(type) {
		case map[string]any:
			v = w[token]
		case []any:
			i, ok := index(token, len(w))
			if !ok {
				return nil
			}
			v = w[i]
		case []string:
			i, ok := index(token, len(w))
			if !ok {
				return nil
			}
			v = w[i]
		default:
			return nil
		}
	}
	return v
}

// index returns the index that token is, below n and without leading zeros (RFC
// 6901 §4).
func index(token string, n int) (i int, ok bool) {
	u, err := strconv.ParseUint(token, 10, 31)
	return int(u), err == nil && u < uint64(n) && strconv.FormatUint(u, 10) == token
}

// erase returns a copy of v without what tokens point to. The copy shares with
// v what is not on the way: values of an identity are not ours to change. ok is
// false when nothing is there.
func erase(v any, tokens []string) (without any, ok bool) {
	switch v := v.(type) {
	case map[string]any:
		child, there := v[tokens[0]]
		if !there {
			return nil, false
		}
		c := maps.Clone(v)
		if len(tokens) == 1 {
			delete(c, tokens[0])
			return c, true
		}
		c[tokens[0]], ok = erase(child, tokens[1:])
		return c, ok
	case []any:
		i, there := index(tokens[0], len(v))
		if !there {
			return nil, false
		}
		c := slices.Clone(v)
		if len(tokens) == 1 {
			return slices.Delete(c, i, i+1), true
		}
		c[i], ok = erase(v[i], tokens[1:])
		return c, ok
	case []string:
		i, there := index(tokens[0], len(v))
		if !there || len(tokens) > 1 {
			return nil, false
		}
		return slices.Delete(slices.Clone(v), i, i+1), true
	}
	return nil, false
}

// scalars appends the strings and numbers in v as text in lower case, but empty
// ones; booleans say nothing.
func scalars(v any, found []string) []string {
	switch v := v.(type) {
	case string:
		if v != "" {
			found = append(found, strings.ToLower(v))
		}
	case json.Number:
		found = append(found, string(v))
	case int, int64, float64:
		found = append(found, fmt.Sprint(v))
	case []string:
		for _, s := range v {
			found = scalars(s, found)
		}
	case []any:
		for _, item := range v {
			found = scalars(item, found)
		}
	case map[string]any:
		for _, item := range v {
			found = scalars(item, found)
		}
	}
	return found
}
