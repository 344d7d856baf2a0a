package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/pool"
	"gatehouse/internal/jose"
)

// The claims that our tokens may carry. A name that is not here is never signed,
// whatever asked for it.
var (
	accessClaims = []string{
		"iss", "sub", "client_id", "token_use", "scope", "version", "auth_time", "iat", "exp",
		"jti", "origin_jti", "event_id", "username", "cognito:groups",
	}
	idClaims = []string{
		"iss", "sub", "aud", "token_use", "auth_time", "iat", "exp", "jti", "origin_jti", "event_id",
		"sid", "nonce", "at_hash", "acr", "amr", "cognito:username", "cognito:groups", "cognito:roles",
		"cognito:preferred_role", "email", "email_verified", "name",
	}
)

// issue is one issuance: for whom, by whom, how much.
type issue struct {
	client client.Client
	// user is nil for a machine, and then groups, auth and family are empty.
	user    *pool.User
	groups  []pool.Group
	scopes  []string
	auth    Authorization
	family  string
	refresh string
}

// sign makes the tokens of an issuance. It runs outside the transaction: a
// signature takes longer than a row, and the store has one writer.
func (m *Mint) sign(ctx context.Context, is issue) (Tokens, error) {
	key, err := m.has.Keys.Signer(ctx)
	if err != nil {
		return Tokens{}, fmt.Errorf("sign tokens: %w", err)
	}
	now, event := m.has.Now(), uuid()
	access, err := signed(key, accessClaims, m.access(is, now, event))
	if err != nil {
		return Tokens{}, fmt.Errorf("sign access token: %w", err)
	}
	out := Tokens{Access: access, Refresh: is.refresh, ExpiresIn: is.client.AccessTTL, Scopes: is.scopes}
	if is.user == nil || !slices.Contains(is.scopes, client.OpenID) {
		return out, nil
	}
	claims := m.id(is, now, event)
	claims["at_hash"] = halfHash(access)
	if out.ID, err = signed(key, idClaims, claims); err != nil {
		return Tokens{}, fmt.Errorf("sign ID token: %w", err)
	}
	return out, nil
}

// signed refuses claims that are not allowed and signs the others.
func signed(key *jose.Key, allowed []string, claims map[string]any) (string, error) {
	for name := range claims {
		if !slices.Contains(allowed, name) {
			return "", fmt.Errorf("claim %q is not allowed", name)
		}
	}
	return jose.Sign(key, nil, claims)
}

// access returns the claims of an access token in Cognito's shape: no aud,
// client_id instead, version 2 as from its token endpoint.
func (m *Mint) access(is issue, now time.Time, event string) map[string]any {
	c := map[string]any{
		"iss": m.has.Issuer, "sub": is.client.ID, "client_id": is.client.ID, "token_use": "access",
		"scope": strings.Join(is.scopes, " "), "version": 2, "jti": uuid(),
		"iat": now.Unix(), "exp": now.Add(is.client.AccessTTL).Unix(), "auth_time": now.Unix(),
	}
	if is.user == nil {
		return c
	}
	c["sub"], c["username"], c["auth_time"] = is.user.ID, is.user.Username, is.auth.AuthTime.Unix()
	c["origin_jti"], c["event_id"] = is.family, event
	if names := pool.Names(is.groups); len(names) > 0 {
		c["cognito:groups"] = names
	}
	return c
}

// id returns the claims of an ID token: aud is a string, and who the person is
// comes by scope.
func (m *Mint) id(is issue, now time.Time, event string) map[string]any {
	c := map[string]any{
		"iss": m.has.Issuer, "sub": is.user.ID, "aud": is.client.ID, "token_use": "id",
		"iat": now.Unix(), "exp": now.Add(is.client.IDTTL).Unix(), "auth_time": is.auth.AuthTime.Unix(),
		"jti": uuid(), "origin_jti": is.family, "event_id": event, "cognito:username": is.user.Username,
	}
	if is.auth.SessionID != "" {
		c["sid"] = is.auth.SessionID
	}
	if is.auth.Nonce != "" {
		c["nonce"] = is.auth.Nonce
	}
	if is.auth.ACR != "" {
		c["acr"] = is.auth.ACR
	}
	if len(is.auth.AMR) > 0 {
		c["amr"] = is.auth.AMR
	}
	for name, value := range Profile(*is.user, is.scopes) {
		c[name] = value
	}
	roles(c, is.groups)
	return c
}

// Profile returns what scopes tell of a person: email and email_verified (a
// boolean) for email, name for profile. An ID token and userinfo say the same.
func Profile(u pool.User, scopes []string) map[string]any {
	c := map[string]any{}
	if slices.Contains(scopes, client.Email) && u.Email != "" {
		c["email"], c["email_verified"] = u.Email, u.EmailVerified
	}
	if slices.Contains(scopes, client.Profile) && u.Name != "" {
		c["name"] = u.Name
	}
	return c
}

// roles adds what groups give: their names in order of precedence, their roles,
// and the role of the best group unless two of the best differ (Cognito).
func roles(c map[string]any, groups []pool.Group) {
	if len(groups) == 0 {
		return
	}
	c["cognito:groups"] = pool.Names(groups)
	var arns []string
	for _, g := range groups {
		if g.RoleARN != "" && !slices.Contains(arns, g.RoleARN) {
			arns = append(arns, g.RoleARN)
		}
	}
	if len(arns) > 0 {
		c["cognito:roles"] = arns
	}
	if role := preferred(groups); role != "" {
		c["cognito:preferred_role"] = role
	}
}

// preferred returns the role of the group with the lowest precedence, "" when
// groups of the same precedence have different ones.
func preferred(groups []pool.Group) string {
	var best *pool.Group
	for i, g := range groups {
		switch {
		case g.RoleARN == "" || g.Precedence == nil:
		case best == nil:
			best = &groups[i]
		case *g.Precedence == *best.Precedence && g.RoleARN != best.RoleARN:
			return ""
		}
	}
	if best == nil {
		return ""
	}
	return best.RoleARN
}

// halfHash is at_hash: the left half of the SHA-256 (Core §3.1.3.6, for RS256).
func halfHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
