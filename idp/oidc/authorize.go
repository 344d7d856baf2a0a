package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpx"
)

// maxAuthorize is how long the parameters of an authorization request may be
// when they are posted: they go on as a query.
const maxAuthorize = 6 << 10

// visitor is who sits before the browser, as far as the provider knows.
type visitor struct {
	session sso.Session
	user    pool.User
	// fresh tells that the sign-in was made for this very request.
	fresh bool
}

// Authorize answers the authorization endpoint, GET and POST (OpenID Connect
// Core §3.1.2).
func (h *Handler) Authorize(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodPost {
		return h.postedAuthorize(w, r)
	}
	if h.Shared {
		// A script of the same origin must not collect codes on its own.
		if err := httpx.CheckNavigation(r); err != nil {
			return err
		}
	}
	form, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	c, err := h.destination(r.Context(), form)
	if err != nil {
		return err
	}
	req, refused := parseRequest(form, c.Scopes)
	if refused == nil && !c.AllowsGrant(client.AuthorizationCode) {
		refused = refuse(codeUnauthorizedClient, "the client may not use authorization codes")
	}
	if refused == nil {
		refused = h.readHint(r.Context(), form, req)
	}
	if refused != nil {
		return h.deny(w, r, req, refused)
	}
	v, err := h.visitor(r)
	if err != nil {
		return err
	}
	return h.next(w, r, c, req, v)
}

// postedAuthorize asks the same question again by GET: a POST from another site
// does not bring the provider's cookie along, a navigation does.
func (h *Handler) postedAuthorize(w http.ResponseWriter, r *http.Request) error {
	form, err := httpx.ReadForm(w, r, maxAuthorize)
	if err != nil {
		return err
	}
	return goTo(w, r, h.base+PathAuthorize+"?"+form.Encode())
}

// destination checks where an answer may go: client and redirect URI. Both are
// answered with a page, never a redirect (RFC 6749 §4.1.2.1).
func (h *Handler) destination(ctx context.Context, form httpx.Form) (client.Client, error) {
	id, uri := target(form)
	c, err := h.Clients.Find(ctx, id)
	if errors.Is(err, client.ErrNotFound) {
		return client.Client{}, bad("unknown_client", "the application is not known here", err)
	}
	if err != nil {
		return client.Client{}, unavailable(err)
	}
	if !allowsRedirect(c.RedirectURIs, c.Public, uri) {
		return client.Client{}, bad("redirect_mismatch", "the redirect_uri is not one the application has registered", nil)
	}
	return c, nil
}

// readHint takes the subject of an id_token_hint of ours; one that is not ours
// is refused rather than ignored, since it is a demand for a certain person.
func (h *Handler) readHint(ctx context.Context, form httpx.Form, req *Request) *protocolError {
	compact := form.Get("id_token_hint")
	if compact == "" {
		return nil
	}
	hint, err := h.Mint.IDTokenHint(ctx, compact)
	if err != nil {
		return refuse(codeInvalidRequest, "id_token_hint is not an ID token of this issuer")
	}
	if req.Subject != "" && req.Subject != hint.UserID {
		return refuse(codeInvalidRequest, "id_token_hint and claims name two people")
	}
	req.Subject = hint.UserID
	return nil
}

// visitor returns who has signed in from the browser that sent r, nil for
// nobody. A session whose user is gone or disabled counts as none.
func (h *Handler) visitor(r *http.Request) (*visitor, error) {
	s, err := h.SSO.Load(r.Context(), r)
	if sso.IsNone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	user, err := h.Pool.Get(r.Context(), s.UserID)
	if errors.Is(err, pool.ErrNotFound) || err == nil && !user.Enabled {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return &visitor{session: s, user: user}, nil
}

// next is the one place that decides between "sign in first" and "here is a
// code". Every way to an authorization code ends here.
func (h *Handler) next(w http.ResponseWriter, r *http.Request, c client.Client, req *Request, v *visitor) error {
	switch {
	case proved(req, v, h.Now()):
		return h.code(w, r, c, req, v)
	case req.Silent:
		return h.deny(w, r, req, refuse("login_required", "the person has to sign in"))
	}
	return h.begin(w, r, c, req)
}

// proved tells whether v is a sign-in as the request demands it.
func proved(req *Request, v *visitor, now time.Time) bool {
	switch {
	case v == nil:
		return false
	case req.Subject != "" && req.Subject != v.user.ID:
		return false
	case v.fresh:
		return true
	case req.Again:
		return false
	case req.MaxAge != nil && now.Sub(v.session.AuthTime.Truncate(time.Second)) > *req.MaxAge:
		// In whole seconds, as auth_time tells it: the client will count from
		// there, and must not find too old what passed here.
		return false
	}
	return true
}

// begin keeps the request in a flow and sends the browser to the sign-in page.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, c client.Client, req *Request) error {
	data, err := json.Marshal(req)
	if err != nil {
		return err
	}
	app := c.Name
	if app == "" {
		app = c.ID
	}
	secret := h.NewSecret()
	flow, err := h.Machine.Start(r.Context(), secret, h.ClientIP(r), signin.Ask{
		App: app, Destination: req.RedirectURI,
		Restart: h.base + PathAuthorize + "?" + r.URL.RawQuery, Hint: req.LoginHint, Request: data,
	})
	var limited *signin.LimitedError
	if errors.As(err, &limited) {
		return &httpx.Error{
			Status: http.StatusTooManyRequests, Public: "too many sign-ins were begun from your network",
			RetryAfter: limited.RetryAfter, Err: err,
		}
	}
	if err != nil {
		return unavailable(err)
	}
	h.Pages.RememberFlow(w, r, flow, secret)
	return goTo(w, r, h.Pages.SignInPath(flow))
}

// Finish goes on with a request whose sign-in is complete: it ends the flow and
// begins the provider's session, both or neither, and asks next.
func (h *Handler) Finish(w http.ResponseWriter, r *http.Request, done signin.Done) error {
	var req Request
	if err := json.Unmarshal(done.Pending.Request, &req); err != nil {
		return err
	}
	// The client may have changed while the person typed.
	c, err := h.Clients.Find(r.Context(), req.ClientID)
	if errors.Is(err, client.ErrNotFound) || err == nil && !allowsRedirect(c.RedirectURIs, c.Public, req.RedirectURI) {
		return bad("unknown_client", "the application is not known here any more", err)
	}
	if err != nil {
		return unavailable(err)
	}
	if req.Subject != "" && req.Subject != done.User.ID {
		return h.otherPerson(w, r, &req, done)
	}
	s, err := h.BeginSession(w, r, done)
	if err != nil {
		return err
	}
	return h.next(w, r, c, &req, &visitor{session: s, user: done.User, fresh: true})
}

// BeginSession ends the flow of a complete sign-in and begins the provider's
// session of the browser that sent r, both or neither; the browser gets the
// session's cookie with w. It returns signin.ErrUsed when the flow has ended
// before, and else an *httpx.Error.
func (h *Handler) BeginSession(w http.ResponseWriter, r *http.Request, done signin.Done) (sso.Session, error) {
	s, ticket, err := h.signedIn(r, done)
	if errors.Is(err, signin.ErrUsed) {
		return sso.Session{}, err
	}
	if err != nil {
		return sso.Session{}, unavailable(err)
	}
	h.SSO.SetCookie(w, ticket)
	return s, nil
}

// otherPerson refuses a sign-in of somebody who was not asked for. The flow
// ends, and that is all: whoever was signed in here before stays so.
func (h *Handler) otherPerson(w http.ResponseWriter, r *http.Request, req *Request, done signin.Done) error {
	err := h.Journal.InTx(r.Context(), func(ctx context.Context) error { return h.Machine.Close(ctx, done) })
	if errors.Is(err, signin.ErrUsed) {
		return err
	}
	if err != nil {
		return unavailable(err)
	}
	return h.deny(w, r, req, refuse("login_required", "another person signed in"))
}

// signedIn writes all that a sign-in changes, in one transaction.
func (h *Handler) signedIn(r *http.Request, done signin.Done) (s sso.Session, ticket string, err error) {
	address := ""
	if ip := h.ClientIP(r); ip.IsValid() {
		address = ip.String()
	}
	ctx := audit.WithActor(r.Context(), audit.Actor{Name: done.User.Username, IP: address})
	err = h.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := h.Machine.Close(ctx, done); err != nil {
			return err
		}
		// Inside the transaction, so that a session that is being revoked right
		// now is not gone on with.
		before, err := h.SSO.Find(ctx, r)
		if err != nil && !sso.IsNone(err) {
			return err
		}
		if before.ID != "" && before.UserID != done.User.ID {
			// One browser, one person: who was here before is signed out.
			if err := h.Mint.EndSession(ctx, before.ID, before.UserID); err != nil {
				return err
			}
		}
		s, ticket, err = h.SSO.Begin(ctx, sso.Start{
			UserID: done.User.ID, AuthTime: done.AuthTime, AMR: done.AMR,
			IP: address, UserAgent: r.UserAgent(), Previous: before,
		})
		if err != nil {
			return err
		}
		return h.Journal.Append(ctx, audit.Event{Type: "user.signed_in", Target: done.User.ID, Detail: map[string]string{"sid": s.ID}})
	})
	return s, ticket, err
}

// code mints an authorization code for v and sends the browser back with it.
func (h *Handler) code(w http.ResponseWriter, r *http.Request, c client.Client, req *Request, v *visitor) error {
	if !c.AllowsRedirect(req.RedirectURI) {
		// The port of a loopback address: decided by allowsRedirect, while the
		// mint compares exactly.
		c.RedirectURIs = append(slices.Clone(c.RedirectURIs), req.RedirectURI)
	}
	code, err := h.Mint.IssueCode(r.Context(), token.CodeRequest{
		Client: c, RedirectURI: req.RedirectURI, Challenge: req.Challenge,
		Authorization: token.Authorization{
			ClientID: c.ID, UserID: v.user.ID, SessionID: v.session.ID, Scopes: req.Scopes,
			Nonce: req.Nonce, AuthTime: v.session.AuthTime, AMR: v.session.AMR,
		},
	})
	switch {
	case errors.Is(err, token.ErrInvalidScope):
		return h.deny(w, r, req, refuse(codeInvalidScope, "the person may not be given any of these scopes"))
	case errors.Is(err, token.ErrUnauthorizedClient):
		return h.deny(w, r, req, refuse(codeUnauthorizedClient, "the client may not use authorization codes"))
	case errors.Is(err, token.ErrInvalidGrant):
		// Disabled between the two look-ups.
		return h.deny(w, r, req, refuse("access_denied", "the person may not sign in"))
	case err != nil:
		return unavailable(err)
	}
	return h.back(w, r, req, url.Values{"code": {code}})
}

// deny sends the browser back with an error (RFC 6749 §4.1.2.1).
func (h *Handler) deny(w http.ResponseWriter, r *http.Request, req *Request, e *protocolError) error {
	return h.back(w, r, req, url.Values{"error": {e.code}, "error_description": {e.description}})
}

// back sends the browser to the client: with the state as it came, and with
// the issuer, so that a client of many issuers cannot mix them up (RFC 9207).
func (h *Handler) back(w http.ResponseWriter, r *http.Request, req *Request, params url.Values) error {
	params.Set("iss", h.issuer)
	if req.HasState {
		params.Set("state", req.State)
	}
	return goTo(w, r, withParams(req.RedirectURI, params))
}

// goTo redirects and writes no body: some of these addresses hold a code.
func goTo(w http.ResponseWriter, r *http.Request, location string) error {
	noStore(w)
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", location)
	status := http.StatusFound
	if r.Method == http.MethodPost {
		// 302 after a POST is repeated as a POST by some; 303 never is (RFC 9700 §4.12).
		status = http.StatusSeeOther
	}
	w.WriteHeader(status)
	return nil
}
