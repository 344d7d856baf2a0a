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

var (
	errTooBig     = errors.New("the input of the policy is more than 256 KiB")
	errBodyTooBig = errors.New("the body in the input of the policy is more than 1 MiB")
)

// projection builds an input; it counts bytes as it goes.
type projection struct {
	size int
}

// Terms that every input is made of. They are constants: OPA does not change
// what it is given.
var (
	keyRoute        = ast.StringTerm("route")
	keyUser         = ast.StringTerm("user")
	keySubject      = ast.StringTerm("subject")
	keyUsername     = ast.StringTerm("username")
	keyName         = ast.StringTerm("name")
	keyEmail        = ast.StringTerm("email")
	keyEmailDomain  = ast.StringTerm("email_domain")
	keyGroups       = ast.StringTerm("groups")
	keyACR          = ast.StringTerm("acr")
	keyAMR          = ast.StringTerm("amr")
	keyMFA          = ast.StringTerm("mfa")
	keyAuthTime     = ast.StringTerm("auth_time")
	keyCredential   = ast.StringTerm("credential")
	keyKind         = ast.StringTerm("kind")
	keyIssuer       = ast.StringTerm("issuer")
	keyClient       = ast.StringTerm("client")
	keyScopes       = ast.StringTerm("scopes")
	keyClaims       = ast.StringTerm("claims")
	keyClaimValues  = ast.StringTerm("claim_values")
	keyClaimKnown   = ast.StringTerm("claim_known")
	keyClaimScalars = ast.StringTerm("claim_scalars")
	keyClaimLists   = ast.StringTerm("claim_lists")
	keyRequest      = ast.StringTerm("request")
	keyMethod       = ast.StringTerm("method")
	keyHost         = ast.StringTerm("host")
	keyPath         = ast.StringTerm("path")
	keyQuery        = ast.StringTerm("query")
	keyClientIP     = ast.StringTerm("client_ip")
	keyVariables    = ast.StringTerm("variables")
	keyBodyState    = ast.StringTerm("body_state")
	keyBody         = ast.StringTerm("body")
	keyTime         = ast.StringTerm("time")
)

type pairs = [][2]*ast.Term

// maxBody bounds the parsed body of one input, in bytes: the largest that a
// route can ask for.
const maxBody = 1 << 20

// input returns what rt's rule is evaluated on. q.Identity is not nil and q.Time
// not zero.
func (rt *route) input(q Query) (_ ast.Value, err error) {
	defer recovered(&err)
	var p projection
	r := rt.reads
	top := make(pairs, 0, 8)
	top = append(top, [2]*ast.Term{keyRoute, rt.term})
	if r.has(fTime) {
		top = append(top, [2]*ast.Term{keyTime, ast.InternedTerm(q.Time.UnixNano())})
	}
	const ofUser = fSubject | fUsername | fEmailDomain | fGroups | fMFA | fACR | fAuthTime | fUser | fName | fEmail | fAMR
	if r.has(ofUser) && isUser(q.Identity) {
		top = append(top, [2]*ast.Term{keyUser, p.user(r, q.Identity)})
	}
	if r.has(fClient|fScopes|fKind|fIssuer|fCredentialSubject) || len(r.asked) > 0 {
		credential, err := p.credential(r, q.Identity)
		if err != nil {
			return nil, err
		}
		top = append(top, [2]*ast.Term{keyCredential, credential})
	}
	top = p.claims(top, r, q.Identity.Claims)
	if r.has(fClientIP | fMethod | fVariables | fHost | fPath) {
		request, err := p.request(r, q)
		if err != nil {
			return nil, err
		}
		top = append(top, [2]*ast.Term{keyRequest, request})
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
	if r.has(fName) {
		o = p.add(o, keyName, id.Name)
	}
	if r.has(fEmail) && id.EmailVerified {
		o = p.add(o, keyEmail, id.Email)
	}
	if r.has(fAMR) && len(id.AMR) > 0 {
		o = append(o, [2]*ast.Term{keyAMR, p.list(id.AMR)})
	}
	if r.has(fACR) {
		o = p.add(o, keyACR, id.ACR)
	}
	if r.has(fMFA) {
		o = append(o, [2]*ast.Term{keyMFA, ast.InternedTerm(id.MFA)})
	}
	if r.has(fAuthTime) && !id.AuthTime.IsZero() {
		o = append(o, [2]*ast.Term{keyAuthTime, ast.InternedTerm(id.AuthTime.Unix())})
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
	// A credential that tells no scopes is not one that was granted none.
	if r.has(fScopes) && id.Scopes != nil {
		o = append(o, [2]*ast.Term{keyScopes, p.list(id.Scopes)})
	}
	if r.has(fKind) {
		o = p.add(o, keyKind, string(id.Credential))
	}
	if r.has(fIssuer) {
		o = p.add(o, keyIssuer, id.Issuer)
	}
	if r.has(fCredentialSubject) {
		o = p.add(o, keySubject, id.Subject)
	}
	if given := askedClaims(r, id.Claims); given != nil {
		if p.count(given); p.size > maxInput {
			return nil, errTooBig
		}
		claims, err := ast.InterfaceToValue(given)
		if err != nil {
			return nil, err
		}
		o = append(o, [2]*ast.Term{keyClaims, ast.NewTerm(claims)})
	}
	return ast.ObjectTerm(o...), nil
}

func (p *projection) request(r reads, q Query) (*ast.Term, error) {
	var o pairs
	if r.has(fClientIP) && q.ClientIP.IsValid() {
		o = p.add(o, keyClientIP, q.ClientIP.Unmap().WithZone("").String())
	}
	if r.has(fMethod) {
		o = p.add(o, keyMethod, q.Method)
	}
	if r.has(fVariables) {
		if variables := p.variables(r, q.Variables); len(variables) > 0 {
			o = append(o, [2]*ast.Term{keyVariables, ast.ObjectTerm(variables...)})
		}
	}
	if r.has(fHost) {
		o = p.add(o, keyHost, q.Host)
	}
	if r.has(fPath) {
		o = p.add(o, keyPath, q.Path)
	}
	if r.has(fAll) {
		o = append(o, [2]*ast.Term{keyQuery, p.string(q.RawQuery)})
		o = p.add(o, keyBodyState, q.Body.State.String())
		if q.Body.State == BodyParsed {
			body, err := bodyTerm(q.Body.Value)
			if err != nil {
				return nil, err
			}
			o = append(o, [2]*ast.Term{keyBody, body})
		}
	}
	return ast.ObjectTerm(o...), nil
}

func (p *projection) variables(r reads, given []Variable) pairs {
	var o pairs
	for _, v := range given {
		if r.has(fAll) || slices.Contains(r.variables, v.Name) {
			o = p.add(o, ast.StringTerm(v.Name), v.Value)
		}
	}
	return o
}

// bodyTerm has a limit of its own: bodies are larger than all else together.
func bodyTerm(value any) (*ast.Term, error) {
	var p projection
	if p.count(value); p.size > maxBody {
		return nil, errBodyTooBig
	}
	v, err := ast.InterfaceToValue(value)
	if err != nil {
		return nil, err
	}
	return ast.NewTerm(v), nil
}

// claims appends what r reads of claims: the values of each as a list, those that
// are one value, and those that are a list; and of which claims these are all
// values.
func (p *projection) claims(top pairs, r reads, claims map[string]any) pairs {
	if len(r.values) > 0 {
		top = append(top, [2]*ast.Term{keyClaimValues, p.claimValues(r.values, claims)})
	}
	if len(r.scalars) > 0 {
		top = append(top, [2]*ast.Term{keyClaimScalars, p.claimScalars(r.scalars, claims)})
	}
	if len(r.lists) > 0 {
		lists := slices.DeleteFunc(slices.Clone(r.lists), func(name string) bool { return !isList(claims[name]) })
		top = append(top, [2]*ast.Term{keyClaimLists, p.claimValues(lists, claims)})
	}
	if len(r.values)+len(r.lists) > 0 {
		top = append(top, [2]*ast.Term{keyClaimKnown, claimKnown(slices.Concat(r.values, r.lists), claims)})
	}
	return top
}

// claimKnown tells of which claims the values are all that there is. A list with
// anything else among its items may mean by that what a rule excludes.
func claimKnown(names []string, claims map[string]any) *ast.Term {
	var o pairs
	for _, name := range names {
		if entire(claims[name]) {
			o = append(o, [2]*ast.Term{ast.StringTerm(name), ast.InternedTerm(true)})
		}
	}
	return ast.ObjectTerm(o...)
}

// entire tells whether v is a scalar or a list of nothing but scalars.
func entire(v any) bool {
	switch v := v.(type) {
	case []any:
		return !slices.ContainsFunc(v, func(item any) bool { return !isScalar(item) })
	case []string:
		return true
	}
	return isScalar(v)
}

func isScalar(v any) bool {
	var p projection
	return p.scalar(v) != nil
}

func isList(v any) bool {
	switch v.(type) {
	case []any, []string:
		return true
	}
	return false
}

func (p *projection) claimScalars(names []string, claims map[string]any) *ast.Term {
	var o pairs
	for _, name := range names {
		if t := p.scalar(claims[name]); t != nil {
			o = append(o, [2]*ast.Term{ast.StringTerm(name), t})
		}
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
