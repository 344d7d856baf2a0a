package login

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/session"
)

const (
	clockLeeway = 30 * time.Second
	maxSubject  = 255 // characters (OpenID Connect Core §2)
)

// proof is a verified ID token.
type proof struct {
	token  *oidc.IDToken
	raw    string
	claims map[string]any
}

// verify checks the ID token of a token response: signature by a key of the
// issuer under a pinned algorithm, iss, aud and exp by go-oidc; and here what
// it leaves to us (OpenID Connect Core §3.1.3.7): azp, iat, at_hash. The nonce
// is the caller's.
func (p *provider) verify(ctx context.Context, m *metadata, token *oauth2.Token) (*proof, error) {
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return nil, errors.New("no ID token")
	}
	verified, err := m.verifier.Verify(p.context(ctx), raw)
	if err != nil {
		return nil, errors.New("ID token does not verify: " + verifyWord(err))
	}
	v := &proof{token: verified, raw: raw}
	if v.claims, err = claimsOf(verified); err != nil {
		return nil, err
	}
	// go-oidc lets one issuer leave out its scheme; identities do not.
	if verified.Issuer != p.Issuer {
		return nil, errors.New("ID token of another issuer")
	}
	if verified.Subject == "" || len(verified.Subject) > maxSubject {
		return nil, errors.New("ID token has no usable sub")
	}
	if azp, found := v.claims["azp"]; found && azp != any(p.ClientID) || !found && len(verified.Audience) > 1 {
		return nil, errors.New("ID token was issued to another client")
	}
	if use, found := v.claims["token_use"]; found && use != any("id") {
		return nil, errors.New("ID token is another kind of token")
	}
	if _, found := v.claims["iat"]; !found || time.Until(verified.IssuedAt) > clockLeeway {
		return nil, errors.New("ID token comes from the future or does not say when")
	}
	if hash, found := v.claims["at_hash"]; found {
		if s, ok := hash.(string); !ok || s == "" || verified.VerifyAccessToken(token.AccessToken) != nil {
			return nil, errors.New("ID token belongs to another access token")
		}
	}
	return v, nil
}

// verifyWord says in our words why go-oidc refused: its own text quotes the
// token.
func verifyWord(err error) string {
	var expired *oidc.TokenExpiredError
	text := err.Error()
	switch {
	case errors.As(err, &expired):
		return "expired"
	case strings.Contains(text, "fetching keys"):
		return "keys cannot be had"
	case strings.Contains(text, "signature"):
		return "signature"
	case strings.Contains(text, "audience"):
		return "audience"
	case strings.Contains(text, "different provider"):
		return "issuer"
	}
	return "form"
}

// claimsOf decodes all claims, numbers as json.Number.
func claimsOf(t *oidc.IDToken) (map[string]any, error) {
	var raw json.RawMessage
	if err := t.Claims(&raw); err != nil {
		return nil, errors.New("ID token has no claims")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var claims map[string]any
	if err := dec.Decode(&claims); err != nil || claims == nil {
		return nil, errors.New("ID token's claims are no object")
	}
	return claims, nil
}

// hasNonce checks the nonce. An empty one never equals an empty one.
func (v *proof) hasNonce(want string) error {
	if want == "" || subtle.ConstantTimeCompare([]byte(v.token.Nonce), []byte(want)) != 1 {
		return errors.New("ID token has another nonce")
	}
	return nil
}

// authTime is when the person last signed in, in whole seconds; zero if unknown.
func (v *proof) authTime() time.Time { return timeOf(v.claims["auth_time"]) }

// protocol are claims that only the protocol needs.
var protocol = []string{"aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "s_hash", "jti", "event_id", "token_use"}

// fill writes what tokens say into a session that nobody else sees yet. proof
// is nil after a refresh without ID token: who the person is stays as it was.
func (l *Login) fill(s *session.Session, p *provider, m *metadata, token *oauth2.Token, v *proof) {
	s.RefreshToken = token.RefreshToken
	// As a cookie keeps it, so that a session read back is no older than itself.
	s.AccessExpires = token.Expiry.Truncate(time.Millisecond)
	s.AccessToken = ""
	if l.has.KeepAccessToken {
		s.AccessToken = token.AccessToken
	}
	if v != nil {
		l.fillPerson(s, p, v)
		// Our provider takes the sid as hint; a foreign one wants its token back.
		if !p.own && m.doc.EndSession != "" {
			s.IDToken = v.raw
		}
	}
	switch granted, told := token.Extra("scope").(string); {
	case !p.own:
		if v != nil && p.ScopeClaim != "" {
			s.Scopes = stringsOf(v.claims[p.ScopeClaim])
		}
	case told:
		s.Scopes = strings.Fields(granted)
	case s.Scopes == nil:
		// Not told means as asked for (RFC 6749 §5.1).
		s.Scopes = slices.Clone(p.Scopes)
	}
}

func (l *Login) fillPerson(s *session.Session, p *provider, v *proof) {
	text := func(name string) string {
		str, _ := v.claims[name].(string)
		return str
	}
	s.Subject = v.token.Subject
	s.Email, s.EmailVerified = text("email"), v.claims["email_verified"] == true
	s.Name = text("name")
	s.Username = ""
	if p.UsernameClaim != "" {
		s.Username = text(p.UsernameClaim)
	}
	s.Groups = p.groups(v.claims)
	// A refresh need not repeat these; what was known stays true.
	if acr := text("acr"); acr != "" {
		s.ACR = acr
	}
	if amr, ok := session.StringList(v.claims["amr"]); ok {
		s.AMR = amr
	}
	s.MFA = p.mfa(s)
	if sid := text("sid"); sid != "" {
		s.IssuerSID = sid
	}
	if family := text("origin_jti"); family != "" {
		s.OriginJTI = family
	}
	if at := v.authTime(); !at.IsZero() {
		s.AuthTime = at
	}
	s.Claims = l.keep(v.claims)
}

// mfa tells whether the issuer said that a second factor was used.
func (p *provider) mfa(s *session.Session) bool {
	return slices.Contains(s.AMR, "mfa") || s.ACR != "" && slices.Contains(p.MFAACR, s.ACR)
}

// weaken takes from next, which nobody else sees yet, what a refresh says beyond
// was: nobody has signed in, so it proves nothing anew, whatever the issuer
// thinks (OpenID Connect Core §12.2). It may say less. What is unknown, such as
// the zero time, stays unknown.
func (p *provider) weaken(next, was *session.Session) {
	if next.AuthTime.After(was.AuthTime) {
		next.AuthTime = was.AuthTime
	}
	if next.ACR != was.ACR {
		next.ACR = ""
	}
	next.AMR = slices.DeleteFunc(slices.Clone(next.AMR), func(method string) bool { return !slices.Contains(was.AMR, method) })
	next.MFA = was.MFA && p.mfa(next)
	// Rules of the kind `claims` read the same from here. What is equal needs no
	// writing, so that a map which both sessions share stays as it is.
	for _, name := range []string{"acr", "amr", "auth_time"} {
		if claim, found := next.Claims[name]; found && !reflect.DeepEqual(claim, was.Claims[name]) {
			delete(next.Claims, name)
		}
	}
}

// groups returns the person's groups: empty when there are none, nil when that
// is unknown. Our own provider leaves the claim out for a person in no group; a
// foreign one that does may just not have been asked.
func (p *provider) groups(claims map[string]any) []string {
	if p.GroupsClaim == "" {
		return nil
	}
	claim, found := claims[p.GroupsClaim]
	if !found && p.own {
		return []string{}
	}
	names, ok := session.StringList(claim)
	if ok && names == nil {
		return []string{}
	}
	return names
}

// keep returns the claims that rules and headers may read.
func (l *Login) keep(claims map[string]any) map[string]any {
	kept := map[string]any{"iss": claims["iss"], "sub": claims["sub"]}
	for name, value := range claims {
		if l.has.Claims == nil && !slices.Contains(protocol, name) || slices.Contains(l.has.Claims, name) {
			kept[name] = value
		}
	}
	return kept
}

// stringsOf returns a claim that is a list, or words with spaces between.
func stringsOf(claim any) []string {
	if s, ok := claim.(string); ok {
		return strings.Fields(s)
	}
	list, _ := session.StringList(claim)
	return list
}

// timeOf reads a NumericDate (RFC 7519 §2); the zero time for anything else.
func timeOf(claim any) time.Time {
	n, ok := claim.(json.Number)
	if !ok {
		return time.Time{}
	}
	f, err := n.Float64()
	if err != nil || math.IsNaN(f) || f <= 0 || f > 253402300799 {
		return time.Time{}
	}
	return time.Unix(int64(f), 0)
}

// sameUser checks the ID token of a refresh: it must speak of the same person
// (OpenID Connect Core §12.2).
func (v *proof) sameUser(s *session.Session) error {
	if v.token.Subject != s.Subject {
		return fmt.Errorf("refreshed ID token: %w", errOtherUser)
	}
	return nil
}

var errOtherUser = errors.New("it speaks of another person")
