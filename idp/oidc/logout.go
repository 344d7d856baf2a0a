package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"gatehouse/idp/client"
	"gatehouse/idp/sso"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpx"
)

// signOut is a request to sign out, as far as it can be believed.
type signOut struct {
	// destination is where the browser goes afterwards: a sign-out URI that the
	// client has registered, or "" for our own page.
	destination string
	// session is the sid that the hint names, "" without a good hint.
	session string
	// fields are what is asked again once the person has confirmed.
	fields map[string]string
}

// Logout answers GET and POST /logout: OpenID Connect RP-Initiated Logout, and
// Cognito's form of it (client_id, logout_uri). A hint that names the session
// of this very browser ends it at once; without one the person is asked, for
// any page can send a browser here.
func (h *Handler) Logout(w http.ResponseWriter, r *http.Request) error {
	if err := httpx.CheckNavigation(r); err != nil {
		return err
	}
	form, err := readParams(w, r)
	if err != nil {
		return err
	}
	ask, err := h.parseSignOut(r.Context(), form)
	if err != nil {
		return err
	}
	s, err := h.SSO.Find(r.Context(), r)
	none := sso.IsNone(err)
	switch {
	case err != nil && !none:
		return unavailable(err)
	case none && r.Method == http.MethodPost && ask.session != "":
		// A POST from another site does not bring the cookie along, a
		// navigation does. The token stays out of the address.
		return goTo(w, r, h.base+PathLogout+"?"+ask.again())
	case none:
		return h.signedOut(w, r, ask)
	case ask.session == s.ID:
		return h.endSession(w, r, s, ask)
	}
	user := ""
	if u, err := h.Pool.Get(r.Context(), s.UserID); err == nil {
		user = u.Username
	}
	return h.Pages.ConfirmSignOut(w, h.SSO.Ticket(r), user, ask.destination, ask.fields)
}

// LogoutConfirmed answers POST /logout/confirm: the person said yes.
func (h *Handler) LogoutConfirmed(w http.ResponseWriter, r *http.Request) error {
	form, err := h.Pages.ConfirmedSignOut(w, r, h.SSO.Ticket(r))
	if err != nil {
		return err
	}
	ask, err := h.parseSignOut(r.Context(), form)
	if err != nil {
		return err
	}
	s, err := h.SSO.Find(r.Context(), r)
	if sso.IsNone(err) {
		return h.signedOut(w, r, ask)
	}
	if err != nil {
		return unavailable(err)
	}
	return h.endSession(w, r, s, ask)
}

// parseSignOut reads a sign-out request. What does not fit together counts as
// not said: the person is asked, and stays on our page afterwards.
func (h *Handler) parseSignOut(ctx context.Context, f httpx.Form) (signOut, error) {
	clientID := f.Get("client_id")
	ask := signOut{session: f.Get("logout_hint"), fields: map[string]string{}}
	if compact := f.Get("id_token_hint"); compact != "" {
		hint, err := h.Mint.IDTokenHint(ctx, compact)
		switch {
		case errors.Is(err, token.ErrInvalidToken):
			return signOut{}, nil
		case err != nil:
			return signOut{}, unavailable(err)
		case clientID != "" && clientID != hint.ClientID:
			return signOut{}, nil
		}
		clientID, ask.session = hint.ClientID, hint.SessionID
	}
	c, err := h.Clients.Find(ctx, clientID)
	if errors.Is(err, client.ErrNotFound) {
		return signOut{session: ask.session}, nil
	}
	if err != nil {
		return signOut{}, unavailable(err)
	}
	ask.fields["client_id"] = clientID
	for _, name := range []string{"post_logout_redirect_uri", "logout_uri"} {
		if uri := f.Get(name); c.AllowsSignOut(uri) {
			ask.fields[name] = uri
			ask.destination = uri
			break
		}
	}
	if state := f.Get("state"); f.Has("state") && len(state) <= maxState && ask.destination != "" {
		ask.fields["state"] = state
	}
	return ask, nil
}

// again returns the query that asks the same with the sid as hint.
func (s signOut) again() string {
	query := url.Values{"logout_hint": {s.session}}
	for name, value := range s.fields {
		query.Set(name, value)
	}
	return query.Encode()
}

// endSession ends the provider's session and all that was issued in it, in one
// transaction. Where that cannot be written nobody is told that it was done.
func (h *Handler) endSession(w http.ResponseWriter, r *http.Request, s sso.Session, ask signOut) error {
	actor := audit.Actor{Name: s.UserID}
	if u, err := h.Pool.Get(r.Context(), s.UserID); err == nil {
		actor.Name = u.Username
	}
	if ip := h.ClientIP(r); ip.IsValid() {
		actor.IP = ip.String()
	}
	ctx := audit.WithActor(r.Context(), actor)
	if err := h.Mint.EndSession(ctx, s.ID, s.UserID); err != nil {
		return unavailable(err)
	}
	return h.signedOut(w, r, ask)
}

// signedOut answers a browser that has no session any more.
func (h *Handler) signedOut(w http.ResponseWriter, r *http.Request, ask signOut) error {
	if h.SSO.Ticket(r) != "" {
		h.SSO.ClearCookie(w)
	}
	if ask.destination == "" {
		return h.Pages.SignedOut(w)
	}
	params := url.Values{}
	if state, ok := ask.fields["state"]; ok {
		params.Set("state", state)
	}
	return goTo(w, r, withParams(ask.destination, params))
}
