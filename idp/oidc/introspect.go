package oidc

import (
	"errors"
	"net/http"
	"strings"

	"gatehouse/idp/token"
	"gatehouse/internal/httpx"
)

// introspection is RFC 7662 §2.2. Everything but Active is absent for a token
// that is not active, whatever the reason.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	Username  string `json:"username,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Exp       int64  `json:"exp,omitempty"`
	Iat       int64  `json:"iat,omitempty"`
	Sub       string `json:"sub,omitempty"`
	Iss       string `json:"iss,omitempty"`
	JTI       string `json:"jti,omitempty"`
}

// Introspect answers POST /oauth2/introspect (RFC 7662) for access tokens. Only
// clients with a secret may ask, and each only for what was issued to itself: a
// token that came into other hands tells them nothing (RFC 7662 §4). A refresh
// token is reported as not active.
func (h *Handler) Introspect(w http.ResponseWriter, r *http.Request) error {
	form, c, err := h.clientForm(w, r)
	if err != nil {
		return err
	}
	if c.Public {
		return &httpx.Error{Status: http.StatusUnauthorized, Code: codeInvalidClient, Public: "only a client with a secret may ask"}
	}
	if form.Get("token") == "" {
		return bad(codeInvalidRequest, "token is missing", nil)
	}
	access, err := h.Mint.Introspect(r.Context(), form.Get("token"))
	noStore(w)
	if errors.Is(err, token.ErrInvalidToken) || err == nil && access.ClientID != c.ID {
		httpx.WriteJSON(w, http.StatusOK, introspection{})
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	answer := introspection{
		Active: true, Scope: strings.Join(access.Scopes, " "), ClientID: access.ClientID, TokenType: "Bearer",
		Exp: access.Expires.Unix(), Iat: access.IssuedAt.Unix(), Sub: access.ClientID, Iss: h.issuer, JTI: access.JTI,
	}
	if access.User != nil {
		answer.Sub, answer.Username = access.User.ID, access.User.Username
	}
	httpx.WriteJSON(w, http.StatusOK, answer)
	return nil
}
