package oidc

import (
	"net/http"
	"strings"

	"gatehouse/idp/client"
	"gatehouse/idp/token"
	"gatehouse/internal/httpx"
)

// grantRefresh exchanges a refresh token (RFC 6749 §6). scope narrows what the
// answer carries; more than was granted is invalid_scope.
func (h *Handler) grantRefresh(r *http.Request, c client.Client, f httpx.Form) (token.Tokens, error) {
	if f.Get("refresh_token") == "" {
		return token.Tokens{}, bad(codeInvalidRequest, "refresh_token is missing", nil)
	}
	return h.Mint.Refresh(r.Context(), token.RefreshRequest{
		Client: c, Token: f.Get("refresh_token"),
		Scopes: strings.Fields(f.Get("scope")),
	})
}
