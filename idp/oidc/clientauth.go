package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/idp/client"
	"gatehouse/internal/httpx"
)

// clientForm reads the form of an endpoint that clients call, and who calls.
// That comes before anything else is looked at: a wrong client learns nothing
// about grants, codes or tokens.
func (h *Handler) clientForm(w http.ResponseWriter, r *http.Request) (httpx.Form, client.Client, error) {
	form, err := httpx.ReadForm(w, r, httpx.MaxForm)
	if err != nil {
		return form, client.Client{}, err
	}
	c, err := h.authenticate(r, form)
	return form, c, err
}

// authenticate returns the client that sent r: by client_secret_basic, by
// client_secret_post, or, when it is public, by client_id alone (RFC 6749
// §2.3). A request that uses two ways is refused, as is one that names two
// clients.
func (h *Handler) authenticate(r *http.Request, f httpx.Form) (client.Client, error) {
	id, secret, basic, err := credentials(r, f)
	if err != nil {
		return client.Client{}, err
	}
	c, err := h.Clients.Authenticate(r.Context(), id, secret)
	if errors.Is(err, client.ErrAuthentication) {
		return client.Client{}, invalidClient(basic, err)
	}
	if err != nil {
		return client.Client{}, unavailable(err)
	}
	return c, nil
}

func credentials(r *http.Request, f httpx.Form) (id, secret string, basic bool, err error) {
	lines := r.Header.Values("Authorization")
	if len(lines) > 1 {
		return "", "", false, bad(codeInvalidRequest, "there is more than one Authorization header", nil)
	}
	if len(lines) == 0 {
		if f.Get("client_id") == "" {
			return "", "", false, invalidClient(false, nil)
		}
		return f.Get("client_id"), f.Get("client_secret"), false, nil
	}
	if f.Has("client_secret") {
		return "", "", false, bad(codeInvalidRequest, "the client authenticates in two ways at once", nil)
	}
	user, pass, ok := r.BasicAuth()
	if !ok || user == "" || pass == "" {
		return "", "", false, invalidClient(true, nil)
	}
	// RFC 6749 §2.3.1 has both form-encoded before they are joined. Ids and
	// secrets of ours have no character that this changes; a client's own
	// secret may.
	id, errID := url.QueryUnescape(user)
	secret, errSecret := url.QueryUnescape(pass)
	if errID != nil || errSecret != nil {
		return "", "", false, invalidClient(true, nil)
	}
	if named := f.Get("client_id"); named != "" && named != id {
		return "", "", false, bad(codeInvalidRequest, "two clients are named", nil)
	}
	return id, secret, true, nil
}

// invalidClient answers 401, with a challenge when the client used the
// Authorization header (RFC 6749 §5.2).
func invalidClient(basic bool, cause error) error {
	e := &httpx.Error{
		Status: http.StatusUnauthorized, Code: codeInvalidClient,
		Public: "unknown client, or wrong credentials", Err: cause,
	}
	if basic {
		e.Challenge = `Basic realm="gatehouse", charset="UTF-8"`
	}
	return e
}

// bearerToken returns the token of an Authorization: Bearer header, the only
// way we take one (RFC 6750 §2.1): in a query it would end in logs. ok is
// false when there is none; an error says that there is something else.
func bearerToken(r *http.Request) (compact string, ok bool, err error) {
	lines := r.Header.Values("Authorization")
	if len(lines) == 0 {
		return "", false, nil
	}
	scheme, rest, found := strings.Cut(lines[0], " ")
	if len(lines) > 1 || !found || !strings.EqualFold(scheme, "Bearer") || rest == "" {
		return "", false, bad(codeInvalidRequest, "there must be one Authorization header with a Bearer token", nil)
	}
	return strings.TrimSpace(rest), true, nil
}
