package token

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/keys"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
)

var (
	// ErrInvalidGrant is RFC 6749's invalid_grant: the code or refresh token is
	// unknown, used, expired, another client's, or its user may not sign in.
	ErrInvalidGrant = errors.New("invalid grant")
	// ErrInvalidScope is RFC 6749's invalid_scope: more was asked for than was
	// or may be granted, or nothing is left.
	ErrInvalidScope = errors.New("invalid scope")
	// ErrUnauthorizedClient means that the client may not use this grant.
	ErrUnauthorizedClient = errors.New("client may not use this grant")
	// ErrInvalidToken means that an access token or ID token is not one of ours,
	// has expired, or has been revoked.
	ErrInvalidToken = errors.New("invalid token")
)

// CodeTTL is how long an authorization code can be redeemed.
const CodeTTL = time.Minute

// keepConsumed is how long a consumed code is recognised when it comes again: as
// long as an access token made from it can live.
const keepConsumed = client.MaxTTL

// successorPurpose derives the key that makes successors of refresh tokens.
const successorPurpose = "refresh token successor"

// Parts are what a Mint is made of. All are required but Now.
type Parts struct {
	// Issuer is the iss claim, exactly.
	Issuer      string
	Users       *pool.Pool
	Clients     *client.Clients
	Keys        *keys.Ring
	Codes       Codes
	Families    Families
	Revocations Revocations
	Journal     audit.Journal
	Sealer      *keyring.Sealer
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Mint makes, checks and ends tokens. It is safe for concurrent use.
type Mint struct{ has Parts }

// New returns a Mint; it starts nothing.
func New(p Parts) *Mint {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Mint{has: p}
}

// Tokens are the answer of the token endpoint (RFC 6749 §5.1).
type Tokens struct {
	// Access is a signed JWT.
	Access string
	// ID is a signed JWT, "" when openid was not granted.
	ID string
	// Refresh is opaque, "" when the client gets none.
	Refresh string
	// ExpiresIn is the life of Access.
	ExpiresIn time.Duration
	// Scopes are what Access carries.
	Scopes []string
}

// CheckScopes returns ErrInvalidScope when requested holds a scope that cl may
// never have. An authorize request is checked with it before anybody signs in.
// offline_access counts as known: refresh tokens do not depend on it.
func (m *Mint) CheckScopes(cl client.Client, requested []string) error {
	for _, s := range requested {
		if s != "offline_access" && !slices.Contains(cl.Scopes, s) {
			return ErrInvalidScope
		}
	}
	return nil
}

// ClientCredentials returns an access token for cl itself (RFC 6749 §4.4): its
// sub is the client's id, and it has neither username nor groups. No requested
// scope means all it may have; scopes of OpenID Connect and scopes tied to groups
// are for people. ErrUnauthorizedClient, ErrInvalidScope.
func (m *Mint) ClientCredentials(ctx context.Context, cl client.Client, requested []string) (Tokens, error) {
	if cl.Public || !cl.AllowsGrant(client.ClientCredentials) {
		return Tokens{}, ErrUnauthorizedClient
	}
	wanted := requested
	if len(wanted) == 0 {
		wanted = cl.Scopes
	}
	scopes, err := m.has.Clients.AllowedMachine(ctx, cl, wanted)
	if err != nil {
		return Tokens{}, err
	}
	// What was asked for by name and may not be had is an error, not left out.
	for _, s := range requested {
		if !slices.Contains(scopes, s) {
			return Tokens{}, ErrInvalidScope
		}
	}
	if len(scopes) == 0 {
		return Tokens{}, ErrInvalidScope
	}
	return m.sign(ctx, issue{client: cl, scopes: scopes})
}

// granted returns what of wanted cl may be given for the user now; ErrInvalidScope
// when nothing is left. A user who is gone or disabled is ErrInvalidGrant.
func (m *Mint) granted(ctx context.Context, cl client.Client, userID string, wanted []string) (issue, error) {
	user, err := m.has.Users.Get(ctx, userID)
	if errors.Is(err, pool.ErrNotFound) || err == nil && !user.Enabled {
		return issue{}, ErrInvalidGrant
	}
	if err != nil {
		return issue{}, fmt.Errorf("find user: %w", err)
	}
	groups, err := m.has.Users.GroupsOf(ctx, userID)
	if err != nil {
		return issue{}, err
	}
	scopes, err := m.has.Clients.Allowed(ctx, cl, wanted, pool.Names(groups))
	if err != nil {
		return issue{}, err
	}
	if len(scopes) == 0 {
		return issue{}, ErrInvalidScope
	}
	return issue{client: cl, user: &user, groups: groups, scopes: scopes}, nil
}

// opaque returns 256 random bits and their hash.
func opaque() (raw, hash []byte) {
	raw = make([]byte, 32)
	rand.Read(raw)
	return raw, hashOf(raw)
}

func hashOf(raw []byte) []byte {
	h := sha256.Sum256(raw)
	return h[:]
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// decode reads an opaque value in its one spelling.
func decode(s string) ([]byte, bool) {
	if len(s) != 43 {
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return raw, err == nil && len(raw) == 32
}

func successor(key, predecessor []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(predecessor)
	return mac.Sum(nil)
}

// uuid returns a random UUID (RFC 9562, version 4).
func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
