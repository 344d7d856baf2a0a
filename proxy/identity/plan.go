package identity

import (
	"errors"
	"fmt"
	"net/http"
	"time"
	"unsafe"

	"gatehouse/session"
)

// source is where the value of a header comes from.
type source string

const (
	fromUsername  source = "username"
	fromEmail     source = "email"
	fromName      source = "name"
	fromGroups    source = "groups"
	fromSubject   source = "sub"
	fromAssertion source = "assertion"
	fromClaim     source = "claim"
	fromStatic    source = "static"
	fromToken     source = "access_token"
	fromPreferred source = "preferred_username"
)

// field is one header; name is in canonical form.
type field struct {
	name   string
	source source
	arg    string // the claim, or the text itself
}

var presets = map[string][]field{
	presetDefault: {
		{name: "X-Forwarded-User", source: fromUsername},
		{name: "X-Forwarded-Email", source: fromEmail},
		{name: "X-Forwarded-Groups", source: fromGroups},
		{name: "X-Forwarded-Preferred-Username", source: fromPreferred},
	},
	presetALB: {
		{name: "X-Amzn-Oidc-Accesstoken", source: fromToken},
		{name: "X-Amzn-Oidc-Identity", source: fromSubject},
		{name: "X-Amzn-Oidc-Data", source: fromAssertion},
	},
	presetNone: {},
}

// Plan is Headers, ready for requests of one route. It is safe for concurrent
// use.
type Plan struct {
	fields   []field
	signer   *Signer
	audience string
}

// ErrNoSigner means that headers need a signed assertion and there is no key.
var ErrNoSigner = errors.New("identity headers need a signer")

// Compile prepares h for one upstream. audience is the aud of its assertions,
// a name that no other upstream has, so that one application cannot show
// another's assertion around. signer may be nil if h needs none; else Compile
// returns ErrNoSigner.
func (h Headers) Compile(signer *Signer, audience string) (*Plan, error) {
	p := &Plan{fields: h.fields, signer: signer, audience: audience}
	if p.fields == nil {
		preset := h.preset
		if preset == "" {
			preset = presetDefault
		}
		p.fields = presets[preset]
	}
	for _, f := range p.fields {
		if f.source != fromAssertion {
			continue
		}
		if signer == nil {
			return nil, fmt.Errorf("compile header %s: %w", f.name, ErrNoSigner)
		}
		if audience == "" {
			return nil, fmt.Errorf("compile header %s: the audience is empty", f.name)
		}
	}
	return p, nil
}

// Names returns the names that Tell may set, in canonical form. An answer
// that carries headers for another proxy names each of them, empty or not.
func (p *Plan) Names() []string {
	names := make([]string, 0, len(p.fields))
	for _, f := range p.fields {
		names = append(names, f.name)
	}
	return names
}

// NeedsAccessToken reports whether Tell passes on the access token, so that
// sessions have to keep it.
func (p *Plan) NeedsAccessToken() bool {
	for _, f := range p.fields {
		if f.source == fromToken {
			return true
		}
	}
	return false
}

// Told is what a Plan tells an application about one identity: made once, set on
// many requests. It never changes and is safe for concurrent use.
type Told struct {
	// Left counts headers that had a value which cannot be sent.
	Left int

	plan   *Plan
	keys   *published // that signed; nil if nothing is
	until  time.Time  // how long it may be sent; zero if as long as the identity
	fields []line
}

// line is one header; its name is in canonical form, its values are one.
type line struct {
	name   string
	values []string
}

// Tell makes the headers for id; nil, a request of nobody, has none. What id does
// not have is left out, besides groups: they are sent empty, because applications
// take a missing list for "as before". The error means that an assertion could
// not be signed: the request must not be passed on. It is ErrExpired, ErrTooLong
// or one of the signature.
func (p *Plan) Tell(id *session.Identity, now time.Time) (*Told, error) {
	t := &Told{plan: p}
	if id == nil {
		return t, nil
	}
	for _, f := range p.fields {
		if f.source == fromAssertion {
			said, err := p.signer.Sign(id, p.audience, now)
			if err != nil {
				return nil, fmt.Errorf("set header %s: %w", f.name, err)
			}
			t.add(f.name, said.Token)
			t.keys, t.until = said.keys, said.Until
			continue
		}
		value, state := f.value(id)
		switch state {
		case unfit:
			t.Left++
		case cut:
			t.add(f.name+truncated, "true")
			fallthrough
		case fit:
			t.add(f.name, value)
		}
	}
	return t, nil
}

func (t *Told) add(name, value string) { t.fields = append(t.fields, line{name, []string{value}}) }

// Of tells whether plan made t.
func (t *Told) Of(plan *Plan) bool { return t.plan == plan }

// Good tells whether t may be sent at this time, as far as its assertion goes:
// that is sent for a minute, and not once another key signs. It says nothing
// about the identity.
func (t *Told) Good(now time.Time) bool {
	return t.keys == nil || t.keys == t.plan.signer.keys.Load() && now.Before(t.until)
}

// SetOn sets the headers on h, which must have been stripped. The values are
// shared: nobody may write to them.
func (t *Told) SetOn(h http.Header) {
	for i := range t.fields {
		h[t.fields[i].name] = t.fields[i].values
	}
}

// Size returns about how many bytes t takes; 0 for nil.
func (t *Told) Size() int64 {
	if t == nil {
		return 0
	}
	n := int64(unsafe.Sizeof(*t)) + int64(cap(t.fields))*int64(unsafe.Sizeof(line{}))
	for _, f := range t.fields {
		n += int64(unsafe.Sizeof(f.values[0])) + int64(len(f.values[0]))
	}
	return n
}

// state says what became of a value.
type state int

const (
	absent state = iota // there is none
	fit                 // it can be sent
	cut                 // as much of it as fits can be sent
	unfit               // it cannot be sent
)

func (f field) value(id *session.Identity) (string, state) {
	switch f.source {
	case fromUsername:
		return one(id.Username)
	case fromPreferred:
		if s, ok := id.Claims["preferred_username"].(string); ok && s != "" {
			return one(s)
		}
		return one(id.Username)
	case fromEmail:
		if !id.EmailVerified {
			return "", absent
		}
		return one(id.Email)
	case fromName:
		return one(id.Name)
	case fromSubject:
		return one(id.Subject)
	case fromGroups:
		if !id.Listed {
			// What does not count for our rules must not count for the
			// application's.
			return "", fit
		}
		return many(id.Groups)
	case fromClaim:
		return f.claim(id)
	case fromToken:
		return raw(id.AccessToken)
	case fromStatic:
		return f.arg, fit
	}
	return "", absent
}

func (f field) claim(id *session.Identity) (string, state) {
	claim, ok := id.Claims[f.arg]
	if !ok || claim == nil || !id.Listed && authority[f.arg] {
		return "", absent
	}
	if s, ok := claim.(string); ok {
		return one(s)
	}
	words, ok := texts(claim)
	if !ok {
		return "", unfit
	}
	return many(words)
}

// authority are claims that applications read as rights.
var authority = map[string]bool{
	"cognito:groups": true, "cognito:roles": true, "cognito:preferred_role": true,
	"groups": true, "roles": true, "role": true, "entitlements": true, "realm_access": true, "resource_access": true,
}

func one(s string) (string, state) {
	if s == "" {
		return "", absent
	}
	value, ok := encode(s)
	if !ok || len(value) > maxValue {
		return "", unfit
	}
	return value, fit
}

func many(items []string) (string, state) {
	value, whole, ok := join(items)
	switch {
	case !ok:
		return "", unfit
	case !whole:
		return value, cut
	}
	return value, fit
}

// raw is a token: sent as it is or not at all.
func raw(s string) (string, state) {
	if s == "" {
		return "", absent
	}
	if value, ok := encode(s); !ok || value != s || len(s) > maxValue {
		return "", unfit
	}
	return s, fit
}
