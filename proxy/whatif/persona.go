package whatif

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/session"
)

// The words that stand for a persona.
const (
	// Visitor is nobody: no credential.
	Visitor = "visitor"
	// SignedIn is a person with a session, in no group.
	SignedIn = "signed-in"
)

// World is what personas need to know of the configuration.
type World struct {
	// Origin is scheme and host of the first public URL.
	Origin string
	// Issuer is where people sign in; Client is the gateway's client there.
	Issuer, Client string
	// MFA are the acr values that mean a second factor.
	MFA []string
	// Bearers are the issuers whose access tokens are taken, the built-in
	// provider first.
	Bearers []Bearer
}

// Bearer is an issuer whose access tokens are taken.
type Bearer struct {
	Issuer string
	// Clients are those whose tokens count for groups, users and signed-in.
	Clients []string
	// Own is true for the built-in provider, all of whose clients count in rules
	// of the kind clients.
	Own bool
}

// bearer returns the issuer of an access token: the one that is named, else the
// first that lists the client, else the first.
func (w World) bearer(issuer, client string) Bearer {
	for _, b := range w.Bearers {
		if issuer == b.Issuer || issuer == "" && slices.Contains(b.Clients, client) {
			return b
		}
	}
	if issuer == "" && len(w.Bearers) > 0 {
		return w.Bearers[0]
	}
	return Bearer{Issuer: issuer}
}

// Persona is somebody who might ask, as a test describes them: visitor,
// signed-in, the name of one of the file's personas, or a map of these keys.
//
// A map is a person with a session, who signed in just now and is in the groups
// it names and no other. It is a machine with an access token if it names
// scopes, client or credential: bearer, and nothing that only people have.
type Persona struct {
	Pos conf.Pos `yaml:"-"`
	// Word is visitor, signed-in or a name; "" for a map.
	Word string `yaml:"-"`
	// User is the username. Default test-user.
	User string `yaml:"user"`
	// Subject is the sub claim. Default subject-of-USER, and for a machine its
	// client.
	Subject string `yaml:"subject"`
	// Issuer is the OpenID issuer. Default: where the configuration lets people
	// sign in; for an access token one that lists its client, else the first.
	Issuer string `yaml:"issuer"`
	// Groups default to none; they are then known to be none.
	Groups []string `yaml:"groups"`
	// Scopes are those of the access token, a session's too. Default none.
	Scopes []string `yaml:"scopes"`
	// Client is the app client the credential was issued to. Default: the
	// gateway's own for a session, else test-client.
	Client string `yaml:"client"`
	// Claims are the verified claims. Default none.
	Claims map[string]any `yaml:"claims"`
	// Name is the display name. Default none.
	Name string `yaml:"name"`
	// Email defaults to none; EmailVerified to true where there is one.
	Email         string `yaml:"email"`
	EmailVerified bool   `yaml:"email_verified"`
	// ACR and AMR are the claims of the same names. MFA says that a second factor
	// was used; default: what ACR and AMR say.
	ACR string   `yaml:"acr"`
	AMR []string `yaml:"amr"`
	MFA bool     `yaml:"mfa"`
	// SignedIn is how long ago the person signed in. Default 0s.
	SignedIn time.Duration `yaml:"signed_in"`
	// Credential is session or bearer. Default session for people.
	Credential string `yaml:"credential"`
	// Listed says whether groups, users and signed-in count for a bearer token.
	// Default: whether its issuer's clients list Client.
	Listed bool `yaml:"listed"`
	// Unknown lists what the credential does not tell: groups, scopes,
	// signed_in. Default none.
	Unknown []string `yaml:"unknown"`

	given  []string // keys, in the order of the file
	text   string
	claims map[string]any
}

// UnmarshalConf reads a word or a map.
func (p *Persona) UnmarshalConf(n *conf.Node) {
	switch n.Kind() {
	case conf.Scalar:
		if p.Word = n.Scalar(); p.Word == "" {
			n.Errorf("a persona is empty, want visitor, signed-in, a name below personas, or a map such as { groups: [admins] }")
		}
		return
	case conf.List:
		n.Errorf("a persona is a list, want a word, or a map such as { groups: [admins] }")
		return
	}
	if p.given = n.Keys(); !n.Decode(p) {
		return
	}
	p.check(n)
}

func (p *Persona) check(n *conf.Node) {
	if !slices.Contains([]string{"", string(session.Cookie), string(session.Bearer)}, p.Credential) {
		n.Get("credential").Errorf("credential is %q, want session or bearer", p.Credential)
	}
	if p.has("listed") && p.kind() != session.Bearer {
		n.Get("listed").Errorf("listed is about access tokens: write credential: bearer beside it")
	}
	if p.SignedIn < 0 {
		n.Get("signed_in").Errorf("signed_in is how long ago, and cannot be negative")
	}
	for i, what := range p.Unknown {
		switch {
		case !slices.Contains([]string{"groups", "scopes", "signed_in"}, what):
			n.Get("unknown").Items()[i].Errorf("unknown lists %q, want groups, scopes or signed_in", what)
		case p.has(what):
			n.Get("unknown").Items()[i].Errorf("%s is both told and unknown", what)
		}
	}
	if p.has("claims") {
		var err error
		if p.claims, err = asJSON(p.Claims); err != nil {
			n.Get("claims").Errorf("claims: %v", err)
		}
	}
	p.text = p.describe()
}

// asJSON returns v as encoding/json would have decoded it, with numbers as
// json.Number: that is how claims and bodies reach a rule.
func asJSON[T any](v T) (out T, err error) {
	text, err := json.Marshal(v)
	if err != nil {
		return out, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	err = dec.Decode(&out)
	return out, err
}

func (p *Persona) has(key string) bool { return slices.Contains(p.given, key) }

// person tells people from machines.
func (p *Persona) person() bool {
	if p.Word != "" {
		return p.Word == SignedIn
	}
	for _, key := range []string{
		"user", "groups", "name", "email", "email_verified", "acr", "amr", "mfa", "signed_in", "listed",
	} {
		if p.has(key) {
			return true
		}
	}
	if p.Credential != "" {
		return p.Credential == string(session.Cookie)
	}
	return !p.has("scopes") && !p.has("client")
}

func (p *Persona) kind() session.Credential {
	if !p.person() || p.Credential == string(session.Bearer) {
		return session.Bearer
	}
	return session.Cookie
}

// Identity returns who the gate would believe to be asking at the time now; nil
// for a visitor. Word is visitor, signed-in or "".
func (p *Persona) Identity(w World, now time.Time) *session.Identity {
	if p.Word == Visitor {
		return nil
	}
	id := &session.Identity{
		Credential: p.kind(), Subject: p.Subject, Person: p.person(),
		Scopes: known(p.Scopes, !slices.Contains(p.Unknown, "scopes")), Claims: p.claims,
		IssuedAt: now, Expires: now.Add(time.Hour),
	}
	if id.Claims == nil {
		id.Claims = map[string]any{}
	}
	if id.Credential == session.Cookie {
		id.Issuer, id.ClientID = cmp.Or(p.Issuer, w.Issuer), cmp.Or(p.Client, w.Client)
		id.Listed, id.ClientNamed = true, true
	} else {
		id.ClientID = cmp.Or(p.Client, "test-client")
		from := w.bearer(p.Issuer, id.ClientID)
		listed := slices.Contains(from.Clients, id.ClientID)
		id.Issuer, id.ClientNamed = from.Issuer, from.Own || listed
		if id.Listed = listed; p.has("listed") {
			id.Listed = p.Listed
		}
	}
	if !id.Person {
		id.Subject = cmp.Or(id.Subject, id.ClientID)
		return id
	}
	p.fillPerson(id, w, now)
	return id
}

func (p *Persona) fillPerson(id *session.Identity, w World, now time.Time) {
	id.Username = cmp.Or(p.User, "test-user")
	id.Subject = cmp.Or(id.Subject, "subject-of-"+id.Username)
	id.Name, id.Email = p.Name, p.Email
	id.EmailVerified = p.Email != "" && (p.EmailVerified || !p.has("email_verified"))
	id.Groups = known(p.Groups, !slices.Contains(p.Unknown, "groups"))
	id.ACR, id.AMR = p.ACR, p.AMR
	if id.MFA = p.MFA; !p.has("mfa") {
		id.MFA = slices.Contains(p.AMR, "mfa") || p.ACR != "" && slices.Contains(w.MFA, p.ACR)
	}
	if !slices.Contains(p.Unknown, "signed_in") {
		id.AuthTime = now.Add(-p.SignedIn)
	}
}

// known returns list as an identity holds it: empty for none, nil for unknown.
func known(list []string, told bool) []string {
	if !told {
		return nil
	}
	return append([]string{}, list...)
}

// String describes the persona in one line.
func (p *Persona) String() string {
	switch {
	case p.Word != "":
		return p.Word
	case p.text == "":
		return SignedIn
	}
	return p.text
}

// describe writes a map as YAML does, in one line.
func (p *Persona) describe() string {
	values := map[string]any{
		"user": p.User, "subject": p.Subject, "issuer": p.Issuer, "groups": p.Groups, "scopes": p.Scopes, "client": p.Client,
		"claims": p.claims, "name": p.Name, "email": p.Email, "email_verified": p.EmailVerified, "acr": p.ACR, "amr": p.AMR,
		"mfa": p.MFA, "signed_in": p.SignedIn, "credential": p.Credential, "listed": p.Listed, "unknown": p.Unknown,
	}
	var parts []string
	for _, key := range p.given {
		text := fmt.Sprint(values[key])
		switch v := values[key].(type) {
		case []string:
			text = "[" + strings.Join(v, ", ") + "]"
		case map[string]any:
			raw, _ := json.Marshal(v) // asJSON has seen to the error
			text = string(raw)
		}
		parts = append(parts, key+": "+text)
	}
	return strings.Join(parts, ", ")
}

// Personas are personas by name, in the order of the file.
type Personas []*Named

// Named is a persona with a name.
type Named struct {
	Name    string
	Persona Persona
}

// UnmarshalConf reads a map of personas.
func (ps *Personas) UnmarshalConf(n *conf.Node) {
	if n.Kind() != conf.Map {
		n.Errorf("personas is %s, want a map such as alice: { user: alice, groups: [admins] }", n.Kind())
		return
	}
	for _, name := range n.Keys() {
		x := &Named{Name: name}
		value := n.Get(name)
		if name == Visitor || name == SignedIn {
			value.Errorf("the persona %q has a word's name, which means something already", name)
		}
		if value.Kind() != conf.Map {
			value.Errorf("the persona %q is %s, want a map such as { groups: [admins] }", name, value.Kind())
			continue
		}
		value.Decode(&x.Persona)
		*ps = append(*ps, x)
	}
}

func (ps Personas) find(name string) *Persona {
	for _, x := range ps {
		if x.Name == name {
			return &x.Persona
		}
	}
	return nil
}

func (ps Personas) names() []string {
	names := []string{Visitor, SignedIn}
	for _, x := range ps {
		names = append(names, x.Name)
	}
	return names
}
