package login

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/session"
)

// Attempt is what a sign-in shall lead to.
type Attempt struct {
	// ReturnTo is where it ends: a page of the site, see ReturnPath.
	ReturnTo string
	// StepUp is how the person shall sign in; nil for any way.
	StepUp *StepUp
}

// StepUp asks for a sign-in of a certain kind (RFC 9470 §4). Of somebody who is
// signed in, whom Issuer and Subject name, it is demanded: only the ID token of
// a new sign-in counts. Without them it is asked of the issuer and no more:
// whoever protects the page will see what came.
type StepUp struct {
	// MFA asks for a second factor.
	MFA bool
	// ACR asks for one of these authentication context classes, the preferred
	// one first; empty for any.
	ACR []string
	// MaxAge is how long ago the person may have signed in; 0 for any time.
	MaxAge time.Duration
	// Issuer and Subject are who steps up; "" for a first sign-in.
	Issuer, Subject string
}

// demand is a StepUp as an attempt carries it.
type demand struct {
	mfa    bool
	acr    []string
	maxAge time.Duration
	// strict tells that what was asked for must have come, for person.
	strict bool
	// person is who steps up; zero unless strict.
	person person
}

// person names a user of an issuer in 128 bits: an attempt has no room for the
// names themselves.
type person [16]byte

func personOf(issuer, subject string) person {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s %s", len(issuer), issuer, subject))
	return person(sum[:16])
}

func (s *StepUp) demand() demand {
	if s == nil {
		return demand{}
	}
	d := demand{mfa: s.MFA, acr: s.ACR, maxAge: s.MaxAge, strict: s.Subject != ""}
	if d.strict {
		d.person = personOf(s.Issuer, s.Subject)
	}
	return d
}

// at returns the provider with an issuer, nil if there is none: of several the
// one that the browser's session came from, or else the default.
func (l *Login) at(issuer string, have *session.Session) *provider {
	names := append([]string{l.standard.name}, slices.Sorted(maps.Keys(l.providers))...)
	if have != nil {
		names = slices.Insert(names, 0, have.Provider)
	}
	for _, name := range names {
		if p := l.providers[name]; p != nil && p.Issuer == issuer {
			return p
		}
	}
	return nil
}

// stepping returns the session that steps up in a, nil if the browser does not
// carry it.
func (l *Login) stepping(site session.Site, r *http.Request, d demand) *session.Session {
	have, state := l.has.Cookies.Open(site, r)
	if !d.strict || state != session.Valid || personOf(have.Issuer, have.Subject) != d.person {
		return nil
	}
	return have
}

// parameters are what an authorization request asks for because of d (OpenID
// Connect Core §3.1.2.1). have is the session that steps up, or nil.
func (d demand) parameters(p *provider, m *metadata, have *session.Session) []oauth2.AuthCodeOption {
	var options []oauth2.AuthCodeOption
	set := func(name, value string) {
		if value != "" {
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	var acr []string
	if d.mfa {
		acr = append(acr, p.MFAACR...)
	}
	for _, class := range d.acr {
		if !slices.Contains(acr, class) {
			acr = append(acr, class)
		}
	}
	set("acr_values", strings.Join(acr, " "))
	if d.maxAge > 0 {
		set("max_age", strconv.FormatInt(int64(d.maxAge/time.Second), 10))
	}
	if have == nil {
		return options
	}
	set("login_hint", loginHint(p, have))
	if p.own || m.doc.TakesClaims {
		// So that the issuer refuses anybody else, instead of ending this
		// person's session there for theirs (OpenID Connect Core §5.5.1).
		set("claims", subClaim(have.Subject))
	}
	return options
}

// loginHint is the name that the issuer's page fills in.
func loginHint(p *provider, have *session.Session) string {
	if have.Email != "" && !p.own {
		return have.Email
	}
	return have.Username
}

// subClaim asks for an ID token of one subject.
func subClaim(subject string) string {
	type value struct {
		Value string `json:"value"`
	}
	text, err := json.Marshal(map[string]map[string]value{"id_token": {"sub": {subject}}})
	if err != nil {
		return "" // a string always has JSON
	}
	return string(text)
}

// errTooOld means that the issuer did not ask the person anew although max_age
// said so.
var errTooOld = errors.New("the person signed in too long ago")

// met tells whether s, made of a new ID token, has all that was demanded, as
// the policy will judge it: what passed here and failed there would go round
// in circles. So clocks that differ are forgiven where they make a sign-in
// seem to come from the future, and nowhere else.
func (d demand) met(s *session.Session, now time.Time) error {
	switch {
	case d.mfa && !s.MFA:
		return errors.New("no second factor was used")
	case len(d.acr) > 0 && !slices.Contains(d.acr, s.ACR):
		return errors.New("the acr is none of those asked for")
	case d.maxAge == 0:
		return nil
	case s.AuthTime.IsZero() || s.AuthTime.Sub(now) > clockLeeway:
		return errors.New("the ID token does not say when the person signed in")
	case now.Sub(s.AuthTime) > d.maxAge:
		return errTooOld
	}
	return nil
}

// refusal is the code for an error that the issuer answers (RFC 6749 §4.1.2.1).
func (d demand) refusal(failed string) string {
	switch {
	case failed == CodeDenied:
		return CodeDenied
	case failed == "unmet_authentication_requirements":
		return CodeStepUp
	case failed == "login_required" && d.strict:
		// We never ask for silence: the issuer means who signed in.
		return CodeOther
	}
	return CodeRefused
}

// forced asks the issuer to have the person sign in anew.
func forced(a attempt) []oauth2.AuthCodeOption {
	if !a.force {
		return nil
	}
	return []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("prompt", "login")}
}

// secrets are the parameters that bind the answer to the attempt.
func secrets(a attempt) []oauth2.AuthCodeOption {
	return []oauth2.AuthCodeOption{oidc.Nonce(a.nonceParam()), oauth2.S256ChallengeOption(a.verifierParam())}
}
