package token

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"time"

	"gatehouse/idp/client"
	"gatehouse/internal/audit"
)

// CodeRequest is a finished authorize request.
type CodeRequest struct {
	// Client is the client that asked; the code is bound to it.
	Client client.Client
	// Authorization.Scopes are what was asked for; empty means all the client
	// may have. ClientID is taken from Client.
	Authorization
	// RedirectURI must be one of the client's; the code is bound to it.
	RedirectURI string
	// Challenge is the S256 code_challenge, 43 characters; mandatory.
	Challenge string
}

var (
	challengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	verifierPattern  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
)

// IssueCode returns an authorization code: 43 characters, good once and for
// CodeTTL. ErrInvalidScope when nothing that was asked for may be given to this
// user, ErrInvalidGrant when the user may not sign in, ErrUnauthorizedClient when
// the client may not use codes or the redirect URI is not its own.
func (m *Mint) IssueCode(ctx context.Context, r CodeRequest) (string, error) {
	if !r.Client.AllowsGrant(client.AuthorizationCode) || !r.Client.AllowsRedirect(r.RedirectURI) {
		return "", ErrUnauthorizedClient
	}
	if !challengePattern.MatchString(r.Challenge) {
		return "", fmt.Errorf("issue code: %w: no S256 code_challenge", ErrInvalidGrant)
	}
	if err := m.CheckScopes(r.Client, r.Scopes); err != nil {
		return "", err
	}
	wanted := r.Scopes
	if len(wanted) == 0 {
		wanted = r.Client.Scopes
	}
	given, err := m.granted(ctx, r.Client, r.UserID, wanted)
	if err != nil {
		return "", err
	}
	raw, hash := opaque()
	now := m.has.Now()
	code := Code{
		Hash: hash, Authorization: r.Authorization, RedirectURI: r.RedirectURI, Challenge: r.Challenge,
		Family: uuid(), Created: now, Expires: now.Add(CodeTTL),
	}
	code.ClientID, code.Scopes = r.Client.ID, given.scopes
	if err := m.has.Codes.Insert(ctx, code); err != nil {
		return "", fmt.Errorf("store code: %w", err)
	}
	return encode(raw), nil
}

// Redemption is a token request with a code (RFC 6749 §4.1.3).
type Redemption struct {
	// Client is the client that authenticated.
	Client client.Client
	Code   string
	// RedirectURI must equal that of the authorize request.
	RedirectURI string
	// Verifier is the code_verifier (RFC 7636 §4.5).
	Verifier string
}

// RedeemCode returns the tokens that a code stands for and begins its family. The
// code is gone whatever comes of it; a second use ends what the first gave. Every
// mismatch is ErrInvalidGrant; ErrInvalidScope when the user's groups or the
// client's scopes leave nothing.
func (m *Mint) RedeemCode(ctx context.Context, r Redemption) (Tokens, error) {
	raw, ok := decode(r.Code)
	if !ok {
		return Tokens{}, ErrInvalidGrant
	}
	var out issue
	var refusal error
	err := m.has.Journal.InTx(ctx, func(ctx context.Context) error {
		var err error
		// Consume before anything else: a code that was tried is a code that
		// leaked. A refusal is kept apart from err, so that the consumption is
		// committed with it.
		out, err = m.redeem(ctx, hashOf(raw), r)
		if isRefusal(err) {
			refusal = err
			return nil
		}
		return err
	})
	if err != nil {
		return Tokens{}, fmt.Errorf("redeem code: %w", err)
	}
	if refusal != nil {
		return Tokens{}, refusal
	}
	return m.sign(ctx, out)
}

func isRefusal(err error) bool {
	return errors.Is(err, ErrInvalidGrant) || errors.Is(err, ErrInvalidScope) || errors.Is(err, ErrUnauthorizedClient)
}

// redeem consumes the code, checks it and begins the family.
func (m *Mint) redeem(ctx context.Context, hash []byte, r Redemption) (issue, error) {
	now := m.has.Now()
	code, err := m.has.Codes.Consume(ctx, hash, now.Add(keepConsumed))
	if errors.Is(err, ErrNotFound) {
		return issue{}, m.reusedCode(ctx, hash, r.Client.ID)
	}
	if err != nil {
		return issue{}, err
	}
	switch {
	case code.ClientID != r.Client.ID, code.RedirectURI != r.RedirectURI, !now.Before(code.Expires):
		return issue{}, ErrInvalidGrant
	case !verified(code.Challenge, r.Verifier):
		return issue{}, ErrInvalidGrant
	case !r.Client.AllowsGrant(client.AuthorizationCode):
		return issue{}, ErrUnauthorizedClient
	}
	if over, err := m.over(ctx, code.SessionID); err != nil {
		return issue{}, err
	} else if over {
		return issue{}, ErrInvalidGrant
	}
	out, err := m.granted(ctx, r.Client, code.UserID, code.Scopes)
	if err != nil {
		return issue{}, err
	}
	out.auth, out.family = code.Authorization, code.Family
	return out, m.begin(ctx, &out, now)
}

// begin stores the family of out, with a first refresh token if the client may
// have one. Every family has a row, so that ending the session finds it.
func (m *Mint) begin(ctx context.Context, out *issue, now time.Time) error {
	f := Family{ID: out.family, Authorization: out.auth, Created: now, Expires: now.Add(out.client.RefreshTTL)}
	var first []byte
	if out.client.AllowsGrant(client.RefreshToken) {
		raw, hash := opaque()
		out.refresh, first = encode(raw), hash
	} else {
		f.Expires = now.Add(max(out.client.AccessTTL, out.client.IDTTL))
	}
	if err := m.has.Families.Insert(ctx, f, first); err != nil {
		return fmt.Errorf("store family: %w", err)
	}
	return nil
}

// reusedCode ends what a consumed code gave (RFC 6749 §4.1.2); the answer is the
// same for a code that never was.
func (m *Mint) reusedCode(ctx context.Context, hash []byte, clientID string) error {
	family, err := m.has.Codes.Consumed(ctx, hash)
	if errors.Is(err, ErrNotFound) {
		return ErrInvalidGrant
	}
	if err != nil {
		return err
	}
	if err := m.endFamily(ctx, family, "code.reused", clientID); err != nil {
		return err
	}
	return ErrInvalidGrant
}

// endFamily ends a family and revokes its tokens, also when its row is gone: the
// tokens may be alive.
func (m *Mint) endFamily(ctx context.Context, family, event, clientID string) error {
	if _, err := m.has.Families.End(ctx, family); err != nil {
		return fmt.Errorf("end family: %w", err)
	}
	return m.has.Journal.Append(ctx, audit.Event{
		Type: event, Target: family, Client: clientID,
		Revoke: []audit.Revoke{{Kind: audit.KindOriginJTI, Value: family}},
	})
}

// verified compares the verifier with the S256 challenge (RFC 7636 §4.6).
func verified(challenge, verifier string) bool {
	if !verifierPattern.MatchString(verifier) {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
