package session

import (
	"crypto/rand"
	"errors"
	"time"
)

// Session is one signed-in browser at one site. It is made by session/login or
// by opening a cookie, and never changed afterwards: a refresh makes a new one.
// It may be shared between goroutines.
type Session struct {
	// ID is our own name of the session: at least 128 random bits, new at each
	// sign-in. Whoever knows it can do nothing with it.
	ID string
	// Host is the Site.Host the session belongs to.
	Host string
	// Provider is the name of the login provider, a key of login.providers.
	Provider string
	// Issuer and ClientID are whom the tokens come from and to whom they were
	// issued.
	Issuer   string
	ClientID string

	// Created is when the tokens were asked for, so that a revocation which
	// the tokens could not know of is later. Seen is when the cookie was last
	// written, and Expires the end however busy the session is. All are kept
	// in milliseconds.
	Created time.Time
	Seen    time.Time
	Expires time.Time

	// Subject, Username, Email, EmailVerified, Name, Groups, Scopes, Claims,
	// AuthTime, ACR, AMR and MFA are as in Identity.
	Subject       string
	Username      string
	Email         string
	EmailVerified bool
	Name          string
	Groups        []string
	Scopes        []string
	Claims        map[string]any
	AuthTime      time.Time
	ACR           string
	AMR           []string
	MFA           bool

	// IssuerSID is the sid claim, OriginJTI the origin_jti claim of the ID
	// token: handles for revocation.
	IssuerSID string
	OriginJTI string

	// RefreshToken renews the session; "" when the issuer gave none.
	RefreshToken string
	// AccessToken is kept only where an upstream is to get it.
	AccessToken string
	// AccessExpires is when the access token ends; zero if the issuer did not
	// say.
	AccessExpires time.Time
	// IDToken is kept only where signing out at the issuer needs it.
	IDToken string

	parts int // cookies the session was read from; 0 for a new one
}

// NewID returns a fresh session id: 130 random bits in base32.
func NewID() string { return rand.Text() }

// Identity returns who the session speaks for. Its slices and claims are the
// session's own: nobody may write to them.
func (s *Session) Identity() *Identity {
	return &Identity{
		Credential: Cookie,
		Issuer:     s.Issuer, Subject: s.Subject, Username: s.Username,
		Email: s.Email, EmailVerified: s.EmailVerified, Name: s.Name,
		ClientID: s.ClientID, ClientNamed: true, Groups: s.Groups, Scopes: s.Scopes,
		Person: true, Listed: true,
		Claims:   s.Claims,
		AuthTime: s.AuthTime, ACR: s.ACR, AMR: s.AMR, MFA: s.MFA,
		SID: s.ID, IssuerSID: s.IssuerSID, OriginJTI: s.OriginJTI,
		IssuedAt: s.Created, Expires: s.Expires, AccessToken: s.AccessToken,
	}
}

// ErrTooLarge means that a session does not fit into four cookies.
var ErrTooLarge = errors.New("session too large for cookies")
