package token

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is what the stores return for a code or a token they do not have.
// It does not leave this package.
var ErrNotFound = errors.New("grant not found")

// Authorization is what one sign-in gave one client.
type Authorization struct {
	ClientID string
	// UserID is the sub of the person.
	UserID string
	// SessionID is the provider session (the sid claim) it was given in.
	SessionID string
	// Scopes are what was granted; later issuances give these or less.
	Scopes []string
	// Nonce is the client's, "" if it sent none (OpenID Connect Core §3.1.2.1).
	Nonce string
	// AuthTime is when the person last proved who they are.
	AuthTime time.Time
	// ACR and AMR are the claims of these names; "" and nil if unknown.
	ACR string
	AMR []string
}

// Code is an authorization code as stored.
type Code struct {
	// Hash is the SHA-256 of the code.
	Hash []byte
	Authorization
	// RedirectURI is the redirect_uri of the authorize request.
	RedirectURI string
	// Challenge is the S256 code_challenge (RFC 7636): 43 characters.
	Challenge string
	// Family is the id that the family will have.
	Family           string
	Created, Expires time.Time
}

// Family is all that follows from one redeemed code. Its id is the origin_jti
// claim of its tokens. Its Nonce is not kept: a nonce belongs to the answer of its
// own authorize request (OpenID Connect Core §12.2).
type Family struct {
	ID string
	Authorization
	Created, Expires time.Time
}

// Refresh is a refresh token as stored.
type Refresh struct {
	// Hash is the SHA-256 of the token.
	Hash []byte
	// Rotated is when it was exchanged for Successor, the hash of the next one;
	// zero and nil for the family's newest token.
	Rotated   time.Time
	Successor []byte
}

// Codes keeps authorization codes. All methods take part in the transaction of
// their context.
type Codes interface {
	// Insert adds a code.
	Insert(ctx context.Context, c Code) error
	// Consume removes the code in one statement and returns it, expired or not;
	// of callers at once exactly one gets it, the others ErrNotFound. It leaves
	// the hash with the family's id behind until keep.
	Consume(ctx context.Context, hash []byte, keep time.Time) (Code, error)
	// Consumed returns the family of a code that was consumed, or ErrNotFound.
	Consumed(ctx context.Context, hash []byte) (string, error)
}

// Families keeps refresh families and their tokens. All methods take part in the
// transaction of their context.
type Families interface {
	// Insert adds a family; first is the hash of its first refresh token, nil
	// for a client that gets none.
	Insert(ctx context.Context, f Family, first []byte) error
	// Find returns the token with that hash and its family, or ErrNotFound.
	Find(ctx context.Context, hash []byte) (Family, Refresh, error)
	// Rotate marks the token as exchanged for successor, unless it was already,
	// and adds successor to its family. It reports whether it did: of callers at
	// once exactly one is told true.
	Rotate(ctx context.Context, hash, successor []byte, now time.Time) (bool, error)
	// End removes a family with its tokens and reports whether it was there.
	End(ctx context.Context, id string) (bool, error)
}

// Handles are what a token can be revoked by; empty ones do not count.
type Handles struct {
	Subject, ClientID, OriginJTI, JTI, SessionID string
	IssuedAt                                     time.Time
}

// Revocations answers whether a token has been revoked.
type Revocations interface {
	Revoked(ctx context.Context, h Handles) (bool, error)
}
