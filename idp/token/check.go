package token

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"
	"gatehouse/internal/jose"
)

// Access is an access token of ours that holds now.
type Access struct {
	// User is whose it is, as the pool has it now; nil for a machine.
	User     *pool.User
	ClientID string
	Scopes   []string
	JTI      string
	// OriginJTI names the family, "" for a machine.
	OriginJTI         string
	IssuedAt, Expires time.Time
	// Claims are all claims, numbers as json.Number.
	Claims map[string]any
}

// Introspect returns what an access token says, after checking signature, issuer,
// kind, time, revocation, and that its client and user are still there; anything
// else is ErrInvalidToken. It is for the provider's own endpoints (userinfo).
func (m *Mint) Introspect(ctx context.Context, token string) (Access, error) {
	claims, err := m.verify(ctx, token, "access")
	if err != nil {
		return Access{}, err
	}
	a := Access{
		ClientID: text(claims, "client_id"), Scopes: strings.Fields(text(claims, "scope")), JTI: text(claims, "jti"),
		OriginJTI: text(claims, "origin_jti"), IssuedAt: instant(claims, "iat"), Expires: instant(claims, "exp"), Claims: claims,
	}
	if !m.has.Now().Before(a.Expires) || a.IssuedAt.IsZero() {
		return Access{}, ErrInvalidToken
	}
	if _, err := m.has.Clients.Find(ctx, a.ClientID); errors.Is(err, client.ErrNotFound) {
		return Access{}, ErrInvalidToken
	} else if err != nil {
		return Access{}, fmt.Errorf("find client: %w", err)
	}
	h := Handles{Subject: text(claims, "sub"), ClientID: a.ClientID, OriginJTI: a.OriginJTI, JTI: a.JTI, IssuedAt: a.IssuedAt}
	if revoked, err := m.has.Revocations.Revoked(ctx, h); err != nil {
		return Access{}, fmt.Errorf("check revocation: %w", err)
	} else if revoked {
		return Access{}, ErrInvalidToken
	}
	if text(claims, "username") == "" {
		return a, nil
	}
	user, err := m.has.Users.Get(ctx, h.Subject)
	if errors.Is(err, pool.ErrNotFound) || err == nil && !user.Enabled {
		return Access{}, ErrInvalidToken
	}
	if err != nil {
		return Access{}, fmt.Errorf("find user: %w", err)
	}
	a.User = &user
	return a, nil
}

// Hint is what an ID token says to a sign-out (OpenID Connect RP-Initiated
// Logout §2): whom it was for, not that it still holds.
type Hint struct {
	UserID, ClientID string
	// SessionID is the sid claim.
	SessionID string
	Expires   time.Time
}

// IDTokenHint returns what an ID token of ours says, expired or not; anything
// that is not our ID token is ErrInvalidToken.
func (m *Mint) IDTokenHint(ctx context.Context, token string) (Hint, error) {
	claims, err := m.verify(ctx, token, "id")
	if err != nil {
		return Hint{}, err
	}
	return Hint{
		UserID: text(claims, "sub"), ClientID: text(claims, "aud"), SessionID: text(claims, "sid"), Expires: instant(claims, "exp"),
	}, nil
}

// verify returns the claims of a token that a published key of ours signed.
func (m *Mint) verify(ctx context.Context, token, use string) (map[string]any, error) {
	set, err := m.has.Keys.Public(ctx)
	if err != nil {
		return nil, err
	}
	t, err := jose.Verify(token, set, jose.RS256)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidToken, err)
	}
	if text(t.Claims, "iss") != m.has.Issuer || text(t.Claims, "token_use") != use {
		return nil, ErrInvalidToken
	}
	return t.Claims, nil
}

// Revoke ends what a token of cl stands for (RFC 7009): a refresh token ends its
// family, an access token itself. A token that is unknown, ended or another
// client's is no error and changes nothing; an error means that it is not known
// to have ended.
func (m *Mint) Revoke(ctx context.Context, cl client.Client, token string) error {
	if strings.Count(token, ".") == 2 {
		return m.revokeAccess(ctx, cl, token)
	}
	raw, ok := decode(token)
	if !ok {
		return nil
	}
	return m.has.Journal.InTx(ctx, func(ctx context.Context) error {
		family, _, err := m.has.Families.Find(ctx, hashOf(raw))
		if errors.Is(err, ErrNotFound) || err == nil && family.ClientID != cl.ID {
			return nil
		}
		if err != nil {
			return fmt.Errorf("revoke refresh token: %w", err)
		}
		return m.endFamily(ctx, family.ID, "token.revoked", cl.ID)
	})
}

func (m *Mint) revokeAccess(ctx context.Context, cl client.Client, token string) error {
	claims, err := m.verify(ctx, token, "access")
	if errors.Is(err, ErrInvalidToken) || err == nil && text(claims, "client_id") != cl.ID {
		return nil
	}
	if err != nil {
		return fmt.Errorf("revoke access token: %w", err)
	}
	return m.has.Journal.Append(ctx, audit.Event{
		Type: "token.revoked", Target: text(claims, "jti"), Client: cl.ID,
		Revoke: []audit.Revoke{{Kind: audit.KindJTI, Value: text(claims, "jti")}},
	})
}

// EndSession ends a provider session and what was issued in it: codes, families
// and all tokens that carry its sid or one of its families. The journal does that
// with the revocation of a sid, whoever appends it.
func (m *Mint) EndSession(ctx context.Context, sessionID, userID string) error {
	return m.has.Journal.Append(ctx, audit.Event{
		Type: "session.ended", Target: userID,
		Revoke: []audit.Revoke{{Kind: audit.KindIssuerSID, Value: sessionID}},
	})
}

// over reports whether the provider session that something was granted in has
// been revoked. Ending it removes codes and families, but not the code that is
// being written at the same moment.
func (m *Mint) over(ctx context.Context, sessionID string) (bool, error) {
	return m.has.Revocations.Revoked(ctx, Handles{SessionID: sessionID})
}

// text returns a string claim, "" when it is absent or something else.
func text(claims map[string]any, name string) string {
	s, _ := claims[name].(string)
	return s
}

// instant returns a NumericDate claim (RFC 7519 §2), zero when it is absent.
func instant(claims map[string]any, name string) time.Time {
	n, ok := claims[name].(json.Number)
	if !ok {
		return time.Time{}
	}
	seconds, err := n.Int64()
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}
