package policy

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/session"
)

// maxInput bounds the strings of one input, in bytes.
const maxInput = 256 << 10

var errTooBig = errors.New("the input of the policy is more than 256 KiB")

// field is a part of the input that a rule may read.
type field uint16

const (
	fSubject field = 1 << iota
	fUsername
	fEmailDomain
	fGroups
	fUser // that there is a user at all
	fClient
	fScopes
	fClientIP
	// fAll is everything, for the rules of operators.
	fAll
)

// reads are the parts of the input that a rule reads. Others are left out of
// its input, which is cheaper, and makes the rule a function of exactly these.
type reads struct {
	fields field
	// claims are the names that YAML conditions look at, sorted.
	claims []string
}

func readsOf(n *node) reads {
	of := [...]field{
		kSignedIn: fUser, kGroups: fGroups, kScopes: fScopes, kUsers: fSubject | fUsername, kClients: fClient,
		kEmailDomains: fEmailDomain, kIP: fClientIP, kOPA: fAll,
	}
	var r reads
	for _, l := range n.leaves() {
		if l.kind == kClaim {
			r.claims = append(r.claims, l.claim)
			continue
		}
		r.fields |= of[l.kind]
	}
	slices.Sort(r.claims)
	r.claims = slices.Compact(r.claims)
	return r
}

// has tells whether f is read.
func (r reads) has(f field) bool { return r.fields&(f|fAll) != 0 }

// projection builds an input; it counts bytes as it goes.
type projection struct {
	size int
}

// Terms that every input is made of. They are constants: OPA does not change
// what it is given.
var (
	keyRoute       = ast.StringTerm("route")
	keyUser        = ast.StringTerm("user")
	keySubject     = ast.StringTerm("subject")
	keyUsername    = ast.StringTerm("username")
	keyName        = ast.StringTerm("name")
	keyEmail       = ast.StringTerm("email")
	keyEmailDomain = ast.StringTerm("email_domain")
	keyGroups      = ast.StringTerm("groups")
	keyACR         = ast.StringTerm("acr")
	keyAMR         = ast.StringTerm("amr")
	keyAuthTime    = ast.StringTerm("auth_time")
	keyCredential  = ast.StringTerm("credential")
	keyKind        = ast.StringTerm("kind")
	keyIssuer      = ast.StringTerm("issuer")
	keyClient      = ast.StringTerm("client")
	keyScopes      = ast.StringTerm("scopes")
	keyClaims      = ast.StringTerm("claims")
	keyClaimValues = ast.StringTerm("claim_values")
	keyRequest     = ast.StringTerm("request")
	keyMethod      = ast.StringTerm("method")
	keyHost        = ast.StringTerm("host")
	keyPath        = ast.StringTerm("path")
	keyQuery       = ast.StringTerm("query")
	keyClientIP    = ast.StringTerm("client_ip")
)

type pairs = [][2]*ast.Term

// input returns what rt's rule is evaluated on. q.Identity is not nil.
func (rt *route) input(q Query) (_ ast.Value, err error) {
	defer recovered(&err)
	var p projection
	top := make(pairs, 0, 5)
	top = append(top, [2]*ast.Term{keyRoute, rt.term})
	const ofUser = fSubject | fUsername | fEmailDomain | fGroups | fUser
	if rt.reads.has(ofUser) && isUser(q.Identity) {
		top = append(top, [2]*ast.Term{keyUser, p.user(rt.reads, q.Identity)})
	}
	if rt.reads.has(fClient | fScopes) {
		credential, err := p.credential(rt.reads, q.Identity)
		if err != nil {
			return nil, err
		}
		top = append(top, [2]*ast.Term{keyCredential, credential})
	}
	if len(rt.reads.claims) > 0 {
		top = append(top, [2]*ast.Term{keyClaimValues, p.claimValues(rt.reads.claims, q.Identity.Claims)})
	}
	if rt.reads.has(fClientIP) {
		top = append(top, [2]*ast.Term{keyRequest, p.request(rt.reads, q)})
	}
	if p.size > maxInput {
		return nil, errTooBig
	}
	return ast.NewObject(top...), nil
}

// isUser tells whether rules for people may be judged on id.
func isUser(id *session.Identity) bool { return id.Person && id.Listed }

func (p *projection) user(r reads, id *session.Identity) *ast.Term {
	var o pairs
	if r.has(fSubject) {
		o = p.add(o, keySubject, id.Subject)
	}
	if r.has(fUsername) {
		o = p.add(o, keyUsername, id.Username)
	}
	if r.has(fEmailDomain) {
		o = p.add(o, keyEmailDomain, emailDomain(id))
	}
	// An issuer that tells no groups is not one that says there are none.
	if r.has(fGroups) && id.Groups != nil {
		o = append(o, [2]*ast.Term{keyGroups, p.list(id.Groups)})
	}
	if r.has(fAll) {
		o = p.add(o, keyName, id.Name)
		if id.EmailVerified {
			o = p.add(o, keyEmail, id.Email)
		}
		o = p.add(o, keyACR, id.ACR)
		if len(id.AMR) > 0 {
			o = append(o, [2]*ast.Term{keyAMR, p.list(id.AMR)})
		}
		if !id.AuthTime.IsZero() {
			o = append(o, [2]*ast.Term{keyAuthTime, ast.InternedTerm(id.AuthTime.Unix())})
		}
	}
	return ast.ObjectTerm(o...)
}

func (p *projection) credential(r reads, id *session.Identity) (*ast.Term, error) {
	var o pairs
	// A client of an issuer that does not name it is nobody we know, whatever
	// it is called.
	if r.has(fClient) && id.ClientNamed {
		o = p.add(o, keyClient, id.ClientID)
	}
	// A session has no scopes to lack: they stay unknown.
	if r.has(fScopes) && id.Credential == session.Bearer && id.Scopes != nil {
		o = append(o, [2]*ast.Term{keyScopes, p.list(id.Scopes)})
	}
	if r.has(fAll) {
		o = p.add(o, keyKind, string(id.Credential))
		o = p.add(o, keyIssuer, id.Issuer)
		o = p.add(o, keySubject, id.Subject)
		if p.count(id.Claims); p.size > maxInput {
			return nil, errTooBig
		}
		claims, err := ast.InterfaceToValue(id.Claims)
		if err != nil {
			return nil, err
		}
		o = append(o, [2]*ast.Term{keyClaims, ast.NewTerm(claims)})
	}
	return ast.ObjectTerm(o...), nil
}

func (p *projection) request(r reads, q Query) *ast.Term {
	var o pairs
	if q.ClientIP.IsValid() {
		o = p.add(o, keyClientIP, q.ClientIP.Unmap().WithZone("").String())
	}
	if r.has(fAll) {
		o = p.add(o, keyMethod, q.Method)
		o = p.add(o, keyHost, q.Host)
		o = p.add(o, keyPath, q.Path)
		o = append(o, [2]*ast.Term{keyQuery, p.string(q.RawQuery)})
	}
	return ast.ObjectTerm(o...)
}

// claimValues lists the values of each named claim that is present: a scalar as
// a list of one. Null and maps count as absent; so do such items of a list.
func (p *projection) claimValues(names []string, claims map[string]any) *ast.Term {
	var o pairs
	for _, name := range names {
		if values, ok := p.scalars(claims[name]); ok {
			o = append(o, [2]*ast.Term{ast.StringTerm(name), ast.ArrayTerm(values...)})
		}
	}
	return ast.ObjectTerm(o...)
}

func (p *projection) scalars(v any) (values []*ast.Term, ok bool) {
	switch v := v.(type) {
	case []any:
		values = make([]*ast.Term, 0, len(v))
		for _, item := range v {
			if t := p.scalar(item); t != nil {
				values = append(values, t)
			}
		}
		return values, true
	case []string:
		for _, item := range v {
			values = append(values, p.string(item))
		}
		return values, true
	}
	t := p.scalar(v)
	return []*ast.Term{t}, t != nil
}

// scalar returns v as a term, nil if it is no string, number or boolean, or a
// number out of all proportion.
func (p *projection) scalar(v any) *ast.Term {
	switch v := v.(type) {
	case string:
		return p.string(v)
	case bool:
		return ast.InternedTerm(v)
	case json.Number, float64, int, int64:
		value, err := ast.InterfaceToValue(v)
		if err != nil {
			return nil
		}
		return ast.NewTerm(value)
	}
	return nil
}

// add appends key: value; an empty value is an absent one.
func (p *projection) add(o pairs, key *ast.Term, value string) pairs {
	if value == "" {
		return o
	}
	return append(o, [2]*ast.Term{key, p.string(value)})
}

func (p *projection) string(s string) *ast.Term {
	p.size += len(s)
	return ast.InternedTerm(s)
}

func (p *projection) list(values []string) *ast.Term {
	terms := make([]*ast.Term, len(values))
	for i, v := range values {
		terms[i] = p.string(v)
	}
	return ast.ArrayTerm(terms...)
}

// count adds the size of the strings in v.
func (p *projection) count(v any) {
	switch v := v.(type) {
	case string:
		p.size += len(v)
	case json.Number:
		p.size += len(v)
	case []any:
		p.size += len(v)
		for _, item := range v {
			p.count(item)
		}
	case map[string]any:
		for name, item := range v {
			p.size += len(name)
			p.count(item)
		}
	}
}

// emailDomain returns the domain of id's verified address in lower case, "" if
// there is none. An address with several @ has no domain: parsers differ on
// which part of it that is.
func emailDomain(id *session.Identity) string {
	if !id.EmailVerified || strings.Count(id.Email, "@") != 1 {
		return ""
	}
	return lowerASCII(id.Email[strings.IndexByte(id.Email, '@')+1:])
}
