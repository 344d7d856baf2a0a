package oidc

import (
	"errors"
	"net/http"
	"slices"

	"gatehouse/idp/client"
	"gatehouse/idp/token"
	"gatehouse/internal/httpx"
)

// UserInfo answers GET and POST /oauth2/userInfo (OpenID Connect Core §5.3):
// what the scopes of the access token tell of its person, as the pool has them
// now. A machine's token, or one without openid, is refused.
func (h *Handler) UserInfo(w http.ResponseWriter, r *http.Request) error {
	compact, ok, err := bearerToken(r)
	if err != nil {
		return err
	}
	if !ok {
		return &httpx.Error{
			Status: http.StatusUnauthorized, Code: codeInvalidToken, Public: "an access token is needed",
			Challenge: `Bearer realm="gatehouse"`,
		}
	}
	access, err := h.Mint.Introspect(r.Context(), compact)
	if errors.Is(err, token.ErrInvalidToken) {
		return &httpx.Error{
			Status: http.StatusUnauthorized, Code: codeInvalidToken, Err: err,
			Public:    "the access token is expired, revoked or not ours",
			Challenge: `Bearer realm="gatehouse", error="invalid_token", error_description="the access token is expired, revoked or not ours"`,
		}
	}
	if err != nil {
		return unavailable(err)
	}
	if access.User == nil || !slices.Contains(access.Scopes, client.OpenID) {
		return &httpx.Error{
			Status: http.StatusForbidden, Code: "insufficient_scope", Public: "the access token lacks the scope openid",
			Challenge: `Bearer realm="gatehouse", error="insufficient_scope", scope="openid"`,
		}
	}
	user := *access.User
	c, err := h.Clients.Find(r.Context(), access.ClientID)
	if err != nil {
		return unavailable(err)
	}
	claims := token.Profile(user, c, access.Scopes)
	claims["sub"], claims["username"] = user.ID, user.Username
	if _, has := claims["preferred_username"]; !has && slices.Contains(access.Scopes, client.Profile) {
		claims["preferred_username"] = user.Username
	}
	groups, err := h.Pool.GroupsOf(r.Context(), user.ID)
	if err != nil {
		return unavailable(err)
	}
	var names []string
	for _, g := range groups {
		names = append(names, g.Name)
	}
	if len(names) > 0 {
		claims["cognito:groups"] = names
	}
	noStore(w)
	httpx.WriteJSON(w, http.StatusOK, claims)
	return nil
}
