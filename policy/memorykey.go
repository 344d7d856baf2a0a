package policy

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"

	"gatehouse/session"
)

// keyed are the parts of the input that keys hold. A rule that reads anything
// else is not remembered.
const keyed = fSubject | fUsername | fEmailDomain | fGroups | fUser | fClient | fScopes | fMFA | fACR | fMethod | fVariables |
	fName | fEmail | fAMR | fKind | fIssuer | fCredentialSubject | fHost | fPath

// memorable tells whether decisions on rt are a function of what appendKey
// writes.
func (rt *route) memorable() bool { return rt.reads.remembered() && rt.reads.fields&^keyed == 0 }

// appendKey appends to key all that the decision on q depends on: the route, the
// parts of the input that its rule reads, and what reasons depend on besides.
// Two queries with equal keys have equal inputs and equal decisions: each part
// has its length before it or a fixed size, and the route says which parts
// there are. It reports false where a part is too intricate to be worth it.
func appendKey(key []byte, rt *route, q Query) (_ []byte, ok bool) {
	id, r := q.Identity, rt.reads
	key = binary.AppendUvarint(key, uint64(q.Route))
	key = append(key, bits(id.Person, id.Listed, id.ClientNamed, id.EmailVerified, r.has(fMFA) && id.MFA))
	key = appendText(key, string(id.Credential))
	key = appendPerson(key, r, id)
	if r.has(fClient) {
		key = appendText(key, id.ClientID)
	}
	if r.has(fIssuer) {
		key = appendText(key, id.Issuer)
	}
	if r.has(fScopes) {
		key = appendTexts(key, id.Scopes)
	}
	if r.has(fMethod) {
		key = appendText(key, q.Method)
	}
	if r.has(fHost) {
		key = appendText(key, q.Host)
	}
	if r.has(fPath) {
		key = appendText(key, q.Path)
	}
	if r.has(fVariables) {
		key = appendVariables(key, r.variables, q.Variables)
	}
	if key, ok = appendClaims(key, r.claims, id); !ok {
		return key, false
	}
	return appendClaims(key, r.asked, id)
}

// appendPerson writes what is read of input.user.
func appendPerson(key []byte, r reads, id *session.Identity) []byte {
	if r.has(fSubject | fCredentialSubject) {
		key = appendText(key, id.Subject)
	}
	if r.has(fUsername) {
		key = appendText(key, id.Username)
	}
	if r.has(fName) {
		key = appendText(key, id.Name)
	}
	if r.has(fEmail) {
		key = appendText(key, id.Email)
	}
	if r.has(fEmailDomain) {
		key = appendText(key, emailDomain(id))
	}
	if r.has(fGroups) {
		key = appendTexts(key, id.Groups)
	}
	if r.has(fACR) {
		key = appendText(key, id.ACR)
	}
	if r.has(fAMR) {
		key = appendTexts(key, id.AMR)
	}
	return key
}

func bits(flags ...bool) byte {
	var b byte
	for i, f := range flags {
		if f {
			b |= 1 << i
		}
	}
	return b
}

func appendText(key []byte, s string) []byte {
	key = binary.AppendUvarint(key, uint64(len(s)))
	return append(key, s...)
}

// appendTexts tells an unknown list, nil, from one without items.
func appendTexts(key []byte, list []string) []byte {
	if list == nil {
		return append(key, 0)
	}
	key = binary.AppendUvarint(key, uint64(len(list))+1)
	for _, s := range list {
		key = appendText(key, s)
	}
	return key
}

// appendVariables writes the path variables that are read, in the order in which
// they are given.
func appendVariables(key []byte, names []string, given []Variable) []byte {
	for _, v := range given {
		if slices.Contains(names, v.Name) {
			key = appendText(appendText(append(key, '+'), v.Name), v.Value)
		}
	}
	return append(key, '.')
}

func appendClaims(key []byte, names []string, id *session.Identity) (_ []byte, ok bool) {
	for _, name := range names {
		value, present := id.Claims[name]
		if !present {
			key = append(key, '-')
			continue
		}
		if key, ok = appendValue(key, value, 0); !ok {
			return key, false
		}
	}
	return key, true
}

// appendValue writes scalars and lists of them. Objects have no order of their
// own and are not worth sorting.
func appendValue(key []byte, v any, depth int) (_ []byte, ok bool) {
	switch v := v.(type) {
	case nil:
		return append(key, 'n'), true
	case bool:
		return append(key, 'b', bits(v)), true
	case string:
		return appendText(append(key, 's'), v), true
	case json.Number:
		return appendText(append(key, 'd'), string(v)), true
	case float64:
		return binary.BigEndian.AppendUint64(append(key, 'f'), math.Float64bits(v)), true
	case int:
		return binary.BigEndian.AppendUint64(append(key, 'i'), uint64(v)), true
	case int64:
		return binary.BigEndian.AppendUint64(append(key, 'i'), uint64(v)), true
	case []string:
		return appendTexts(append(key, 'l'), v), true
	case []any:
		if depth > 0 || len(key) > memoryKey {
			return key, false
		}
		key = binary.AppendUvarint(append(key, 'a'), uint64(len(v)))
		for _, item := range v {
			if key, ok = appendValue(key, item, depth+1); !ok {
				return key, false
			}
		}
		return key, true
	}
	return key, false
}
