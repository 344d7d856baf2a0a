package oidc

import (
	"net/http"
	"strings"

	"gatehouse/idp/client"
	"gatehouse/idp/token"
	"gatehouse/internal/httpx"
)

// grantCredentials gives a client a token for itself (RFC 6749 §4.4).
func (h *Handler) grantCredentials(r *http.Request, c client.Client, f httpx.Form) (token.Tokens, error) {
	return h.Mint.ClientCredentials(r.Context(), c, strings.Fields(f.Get("scope")))
}
