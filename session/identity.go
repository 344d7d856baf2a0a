package session

import (
	"time"
)

// Credential says what an identity was proved with.
type Credential string

const (
	// Cookie is the gateway's own session cookie.
	Cookie Credential = "session"
	// Bearer is an access token in an Authorization header.
	Bearer Credential = "bearer"
)

// Identity is who is asking, as far as the gateway believes it. It is made by
// this package (from a session) or by session/bearer (from an access token),
// never changed afterwards, and safe to share between goroutines.
//
// A user is (Issuer, Subject); no other pair of fields identifies anybody.
type Identity struct {
	// Credential is what proved this identity.
	Credential Credential
	// Issuer is the OpenID issuer URL, exactly as in the token's iss claim.
	Issuer string
	// Subject is the sub claim: opaque, stable, unique within Issuer.
	Subject string
	// Username is the name the person signs in with; empty for a machine.
	Username string
	// Email is the e-mail address the issuer told; it counts in rules only
	// together with EmailVerified.
	Email         string
	EmailVerified bool
	// Name is the person's display name, "" if the issuer told none.
	Name string
	// ClientID is the app client that the credential was issued to.
	ClientID string
	// ClientNamed is true when ClientID counts in `clients` rules: for the
	// embedded provider and for a session always, for a bearer of a foreign
	// issuer only if that issuer's clients list it.
	ClientNamed bool
	// Groups are the group names that count for rules. They come only from
	// the claim the configuration names for Issuer. Empty means in no group; nil
	// means unknown: no claim is named, or the credential lacks it. Only the
	// embedded provider says by leaving it out that a person is in no group.
	Groups []string
	// Scopes are the scopes granted to the access token: the one presented, or
	// the one behind the session. A foreign issuer's count only where the
	// configuration names the claim they come from; nil when none is named.
	Scopes []string
	// Person is true for a human being: it is what `signed-in` means. A
	// machine enters by scopes, clients and claims only.
	Person bool
	// Listed is true when groups, users and signed-in may be judged on this
	// credential: always for a session, for a bearer only if its client is
	// listed in bearer.clients.
	Listed bool
	// Claims are all verified claims, as encoding/json decodes them, with
	// numbers as json.Number. Rules of the kind `claims` and custom policies
	// read them. Nobody may write to it.
	Claims map[string]any
	// AuthTime is when the person last proved who they are; zero if unknown.
	AuthTime time.Time
	// ACR and AMR are the OpenID Connect claims of the same names.
	ACR string
	AMR []string
	// MFA is true when the issuer said that a second factor was used: mfa is
	// among AMR (RFC 8176 §2), or ACR is one that the configuration names for
	// that.
	MFA bool

	// SID ties the identity to one session: the gateway's own session id for
	// a cookie. IssuerSID is the issuer's sid claim (OpenID Connect
	// Front-Channel Logout §3), JTI and OriginJTI the token's claims. Each may
	// be empty; each non-empty one is a handle for revocation.
	SID       string
	IssuerSID string
	JTI       string
	OriginJTI string
	// IssuedAt is when the session began or the token was issued. It counts
	// in revocations by subject or client.
	IssuedAt time.Time
	// Expires is when the credential ends; never zero. For a bearer it is exp
	// and the issuer's leeway: as long as it is believed it has not ended.
	Expires time.Time
	// AccessToken is what the `alb` preset passes on in
	// x-amzn-oidc-accesstoken: the bearer token itself, or the session's
	// access token where the configuration keeps it; else "".
	AccessToken string
}
