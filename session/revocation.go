package session

import (
	"context"
	"time"
)

// RevocationKind says which handle of an identity a revocation names.
type RevocationKind string

const (
	// RevokeSID ends one session of the gateway.
	RevokeSID RevocationKind = "sid"
	// RevokeIssuerSID ends every session and token that carries this sid
	// claim: one sign-in at the provider.
	RevokeIssuerSID RevocationKind = "issuer_sid"
	// RevokeSubject ends what was issued to a subject at or before NotBefore.
	RevokeSubject RevocationKind = "sub"
	// RevokeClient ends what was issued to an app client at or before NotBefore.
	RevokeClient RevocationKind = "client"
	// RevokeOriginJTI ends every token of one refresh-token family.
	RevokeOriginJTI RevocationKind = "origin_jti"
	// RevokeJTI ends one token.
	RevokeJTI RevocationKind = "jti"
)

// Revocation says that credentials issued at or before NotBefore which carry
// Value under Kind are dead. For the kinds sid, issuer_sid, origin_jti and jti
// NotBefore does not count: they end for good.
type Revocation struct {
	// Seq orders revocations of one journal; the journal assigns it, from 1.
	Seq  int64
	Kind RevocationKind
	// Issuer namespaces Value; empty only for RevokeSID, which is our own.
	Issuer string
	Value  string
	// NotBefore is compared with Identity.IssuedAt, in whole seconds for
	// tokens (RFC 7519 §2) and rounded up, so that doubt is a refusal.
	NotBefore time.Time
	// Expires is when every credential it could touch has ended, so that it
	// may be forgotten.
	Expires time.Time
}

// Journal is the durable home of revocations: the provider's event table, or
// an fsynced file for a gateway without a provider. An appended revocation
// survives a crash once Append has returned nil. All methods are safe for
// concurrent use.
type Journal interface {
	// Append stores rs and returns once they are durable.
	Append(ctx context.Context, rs ...Revocation) error
	// Since returns the unexpired revocations with Seq > seq in order, and
	// the highest Seq the journal has assigned so far.
	Since(ctx context.Context, seq int64) ([]Revocation, int64, error)
}
