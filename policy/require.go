package policy

import (
	"time"

	"gatehouse/internal/conf"
)

// Require is a route's key `require`: how a person who may must have signed in.
// It is judged on what the issuer said when they did; what is missing leads to
// another sign-in (RFC 9470), not to a refusal. Machines cannot meet it.
type Require struct {
	Pos conf.Pos `yaml:"-"`
	// MFA asks for a second factor: the issuer says mfa among the amr (RFC 8176
	// §2), or an acr that login.providers.NAME.mfa_acr lists. Default false.
	MFA bool `yaml:"mfa"`
	// ACR asks for one of these authentication context classes (OpenID Connect
	// Core §2), the preferred one first. Default any.
	ACR []string `yaml:"acr"`
	// SignedInWithin asks for a sign-in at most so long ago; one without a known
	// time is too old. At least 1s. Default any time.
	SignedInWithin time.Duration `yaml:"signed_in_within"`
}
