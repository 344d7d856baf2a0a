package token

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
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
		"cognito:preferred_role", "email", "email_verified", "phone_number", "phone_number_verified", "name", "address", "updated_at",
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
	if out.ID, err = signed(key, idAllowed(claims), claims); err != nil {
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

// idAllowed returns the claims that an ID token with claims may carry: those of
// the protocol, those of the scope profile, and custom attributes.
func idAllowed(claims map[string]any) []string {
	allowed := slices.Concat(idClaims, profileClaims)
	for name := range claims {
		if customClaim.MatchString(name) {
			allowed = append(allowed, name)
		}
	}
	return allowed
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
	for name, value := range Profile(*is.user, is.client, is.scopes) {
		c[name] = value
	}
	roles(c, is.groups)
	return c
}

// profileClaims are what the scope profile tells besides the name (Core §5.4).
var profileClaims = []string{
	"birthdate", "family_name", "gender", "given_name", "locale", "middle_name", "nickname", "picture",
	"preferred_username", "profile", "website", "zoneinfo",
}

// customClaim is the name of a claim that an operator has defined; no name of a
// protocol has a colon after custom.
var customClaim = regexp.MustCompile(`^custom:[A-Za-z0-9_-]{1,20}$`)

// Profile returns what scopes tell the client c of a person: for email and phone
// the address or number and whether it is verified (a boolean); for profile the
// name, the other standard attributes, an address as {formatted}, updated_at in
// seconds since the Unix epoch, and custom attributes as texts. What the client
// may not read is left out. An ID token and userinfo say the same.
func Profile(u pool.User, c client.Client, scopes []string) map[string]any {
	claims := map[string]any{}
	if slices.Contains(scopes, client.Email) && u.Email != "" && c.Reads("email") {
		claims["email"], claims["email_verified"] = u.Email, u.EmailVerified
	}
	if slices.Contains(scopes, client.Phone) && u.Phone != "" && c.Reads("phone_number") {
		claims["phone_number"], claims["phone_number_verified"] = u.Phone, u.PhoneVerified
	}
	if !slices.Contains(scopes, client.Profile) {
		return claims
	}
	if u.Name != "" && c.Reads("name") {
		claims["name"] = u.Name
	}
	for name, value := range u.Attributes {
		switch {
		case !c.Reads(name):
		case name == "address":
			claims[name] = map[string]any{"formatted": value}
		default:
			claims[name] = value
		}
	}
	claims["updated_at"] = u.Updated.Unix()
	return claims
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

// preferred returns the role of the group with the lowest precedence, none being
// the highest; "" when groups of that precedence have different roles.
func preferred(groups []pool.Group) string {
	var best *pool.Group
	for i, g := range groups {
		switch {
		case g.RoleARN == "":
		case best == nil || rank(g) < rank(*best):
			best = &groups[i]
		case rank(g) == rank(*best) && g.RoleARN != best.RoleARN:
			// groups are in order of precedence: no better one follows.
			return ""
		}
	}
	if best == nil {
		return ""
	}
	return best.RoleARN
}

func rank(g pool.Group) int {
	if g.Precedence == nil {
		return math.MaxInt
	}
	return *g.Precedence
}

// halfHash is at_hash: the left half of the SHA-256 (Core §3.1.3.6, for RS256).
func halfHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
