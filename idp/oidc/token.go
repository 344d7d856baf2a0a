package oidc

import (
	"errors"
	"net/http"
	"strings"

	"gatehouse/idp/client"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpx"
)

// grant exchanges what a token request holds for tokens.
type grant func(h *Handler, r *http.Request, c client.Client, f httpx.Form) (token.Tokens, error)

// grants are the grants of the token endpoint by grant_type.
var grants = map[string]grant{
	client.AuthorizationCode: (*Handler).grantCode,
	client.RefreshToken:      (*Handler).grantRefresh,
	client.ClientCredentials: (*Handler).grantCredentials,
}

// tokenResponse is RFC 6749 §5.1, with id_token of OpenID Connect Core §3.1.3.3.
type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	IDToken      string `json:"id_token,omitempty"`
	RefreshToken string `json:"refresh_token,omitempty"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	Scope        string `json:"scope"`
}

// Token answers POST /oauth2/token.
func (h *Handler) Token(w http.ResponseWriter, r *http.Request) error {
	form, c, err := h.clientForm(w, r)
	if err != nil {
		return err
	}
	kind := form.Get("grant_type")
	exchange := grants[kind]
	switch {
	case kind == "":
		return bad(codeInvalidRequest, "grant_type is missing", nil)
	case exchange == nil:
		return bad(codeUnsupportedGrant, "this grant_type is not supported", nil)
	case !c.AllowsGrant(kind):
		return bad(codeUnauthorizedClient, "the client may not use this grant_type", nil)
	}
	r = r.WithContext(audit.WithActor(r.Context(), h.actor(r, c)))
	tokens, err := exchange(h, r, c, form)
	if err != nil {
		return grantError(err)
	}
	noStore(w)
	httpx.WriteJSON(w, http.StatusOK, tokenResponse{
		AccessToken: tokens.Access, IDToken: tokens.ID, RefreshToken: tokens.Refresh,
		TokenType: "Bearer", ExpiresIn: int64(tokens.ExpiresIn.Seconds()), Scope: strings.Join(tokens.Scopes, " "),
	})
	return nil
}

// actor names a client for the record.
func (h *Handler) actor(r *http.Request, c client.Client) audit.Actor {
	a := audit.Actor{Name: "client:" + c.ID}
	if ip := h.ClientIP(r); ip.IsValid() {
		a.IP = ip.String()
	}
	return a
}

// grantError maps what the mint says to RFC 6749 §5.2.
func grantError(err error) error {
	switch {
	case errors.Is(err, token.ErrInvalidGrant):
		return bad(codeInvalidGrant, "the code or token is unknown, used, expired or not yours", err)
	case errors.Is(err, token.ErrInvalidScope):
		return bad(codeInvalidScope, "a scope is unknown, or more than was granted", err)
	case errors.Is(err, token.ErrUnauthorizedClient):
		return bad(codeUnauthorizedClient, "the client may not use this grant_type", err)
	}
	return unavailable(err)
}
