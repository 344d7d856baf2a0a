package oidc

import (
	"net/http"

	"gatehouse/internal/audit"
)

// Revoke answers POST /oauth2/revoke (RFC 7009). A token that is unknown, or
// another client's, is 200 and changes nothing; 200 also means that what was
// the client's is dead. When that could not be written the answer is 503.
func (h *Handler) Revoke(w http.ResponseWriter, r *http.Request) error {
	form, c, err := h.clientForm(w, r)
	if err != nil {
		return err
	}
	if form.Get("token") == "" {
		return bad(codeInvalidRequest, "token is missing", nil)
	}
	if c.NoRevocation {
		return bad(codeInvalidRequest, "revocation is turned off for this client", nil)
	}
	ctx := audit.WithActor(r.Context(), h.actor(r, c))
	if err := h.Mint.Revoke(ctx, c, form.Get("token")); err != nil {
		return unavailable(err)
	}
	noStore(w)
	w.WriteHeader(http.StatusOK)
	return nil
}
