package oidc

import (
	"net/http"

	"gatehouse/idp/client"
	"gatehouse/idp/token"
	"gatehouse/internal/httpx"
)

// grantCode redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
// A code whose redirect_uri or verifier is missing is tried all the same: a
// code that was shown is a code that must not be used again.
func (h *Handler) grantCode(r *http.Request, c client.Client, f httpx.Form) (token.Tokens, error) {
	if f.Get("code") == "" {
		return token.Tokens{}, bad(codeInvalidRequest, "code is missing", nil)
	}
	return h.Mint.RedeemCode(r.Context(), token.Redemption{
		Client: c, Code: f.Get("code"),
		RedirectURI: f.Get("redirect_uri"), Verifier: f.Get("code_verifier"),
	})
}
