package token

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse/idp/client"
)

// RefreshRequest is a token request with a refresh token (RFC 6749 §6).
type RefreshRequest struct {
	// Client is the client that authenticated.
	Client client.Client
	Token  string
	// Scopes narrow what the answer carries; empty means all that was granted.
	Scopes []string
}

// Refresh exchanges a refresh token for new tokens and its successor. A token
// that was exchanged before gets the same successor again within the client's
// grace; later it ends the family (RFC 9700 §4.14.2). The family ends RefreshTTL
// after the sign-in, however often it is refreshed. ErrInvalidGrant,
// ErrInvalidScope (nothing is consumed), ErrUnauthorizedClient.
func (m *Mint) Refresh(ctx context.Context, r RefreshRequest) (Tokens, error) {
	raw, ok := decode(r.Token)
	if !ok {
		return Tokens{}, ErrInvalidGrant
	}
	if !r.Client.AllowsGrant(client.RefreshToken) {
		return Tokens{}, ErrUnauthorizedClient
	}
	var out issue
	var refusal error
	err := m.has.Journal.InTx(ctx, func(ctx context.Context) error {
		var err error
		// A refusal may have ended the family, which must be committed.
		out, err = m.rotate(ctx, raw, r)
		if isRefusal(err) {
			refusal = err
			return nil
		}
		return err
	})
	if err != nil {
		return Tokens{}, fmt.Errorf("refresh: %w", err)
	}
	if refusal != nil {
		return Tokens{}, refusal
	}
	return m.sign(ctx, out)
}

// rotate checks the token, decides what is issued, and stores the successor.
func (m *Mint) rotate(ctx context.Context, raw []byte, r RefreshRequest) (issue, error) {
	now := m.has.Now()
	family, row, err := m.has.Families.Find(ctx, hashOf(raw))
	if errors.Is(err, ErrNotFound) {
		return issue{}, ErrInvalidGrant
	}
	if err != nil {
		return issue{}, err
	}
	if family.ClientID != r.Client.ID || !now.Before(family.Expires) {
		return issue{}, ErrInvalidGrant
	}
	if m.reused(row, r.Client, now) {
		return issue{}, m.refuse(ctx, family, "token.reused")
	}
	if over, err := m.over(ctx, family.SessionID); err != nil {
		return issue{}, err
	} else if over {
		return issue{}, m.refuse(ctx, family, "token.refused")
	}
	out, err := m.regrant(ctx, family, r)
	if err != nil {
		return issue{}, err
	}
	next, err := m.next(ctx, raw, row, now)
	if err != nil {
		return issue{}, err
	}
	if next == nil {
		// The sealing keys changed since the token was exchanged, so that its
		// successor cannot be made again.
		return issue{}, m.refuse(ctx, family, "token.reused")
	}
	out.refresh = encode(next)
	return out, nil
}

// reused reports whether row was exchanged before, longer ago than the grace.
func (m *Mint) reused(row Refresh, cl client.Client, now time.Time) bool {
	return !row.Rotated.IsZero() && !now.Before(row.Rotated.Add(cl.Grace()))
}

// refuse ends the family and returns ErrInvalidGrant.
func (m *Mint) refuse(ctx context.Context, family Family, event string) error {
	if err := m.endFamily(ctx, family.ID, event, family.ClientID); err != nil {
		return err
	}
	return ErrInvalidGrant
}

// regrant decides what the family may have now: what was granted, or the part of
// it that r asks for, and never more.
func (m *Mint) regrant(ctx context.Context, family Family, r RefreshRequest) (issue, error) {
	wanted := family.Scopes
	if len(r.Scopes) > 0 {
		wanted = r.Scopes
	}
	for _, s := range wanted {
		if s != "offline_access" && !slices.Contains(family.Scopes, s) {
			return issue{}, ErrInvalidScope
		}
	}
	out, err := m.granted(ctx, r.Client, family.UserID, wanted)
	if errors.Is(err, ErrInvalidGrant) {
		return issue{}, m.refuse(ctx, family, "token.refused")
	}
	if err != nil {
		return issue{}, err
	}
	out.auth, out.family = family.Authorization, family.ID
	return out, nil
}

// next returns the successor of the token raw and stores it if it is new. It is
// nil when the token was exchanged and no key makes its successor any more.
func (m *Mint) next(ctx context.Context, raw []byte, row Refresh, now time.Time) ([]byte, error) {
	all := m.has.Sealer.DeriveAll(successorPurpose, 32)
	if row.Rotated.IsZero() {
		next := successor(all[0], raw)
		first, err := m.has.Families.Rotate(ctx, row.Hash, hashOf(next), now)
		if err != nil {
			return nil, fmt.Errorf("rotate refresh token: %w", err)
		}
		if first {
			return next, nil
		}
		// Another caller was first between Find and Rotate.
		if _, row, err = m.has.Families.Find(ctx, row.Hash); err != nil {
			return nil, fmt.Errorf("find refresh token: %w", err)
		}
	}
	for _, key := range all {
		if next := successor(key, raw); bytes.Equal(hashOf(next), row.Successor) {
			return next, nil
		}
	}
	return nil, nil
}
