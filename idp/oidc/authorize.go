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
	if refused == nil && req.Strong && !h.Machine.CanBeStrong() {
		// Nobody has a second factor here: a wish is passed over.
		req.Strong = false
		if req.Essential {
			refused = refuse(codeUnmet, "this issuer has no second factors")
		}
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

// lack is what is missing before a request can be answered with a code.
type lack int

const (
	lackNothing lack = iota
	// lackFactor: who is signed in has to show a second factor.
	lackFactor
	// lackSignIn: the person has to sign in.
	lackSignIn
)

// factorAlone is how old a sign-in may be that a second factor alone steps up;
// an older one begins with the password again.
const factorAlone = time.Hour

// setUpFresh is how old a sign-in may be that a second factor is set up in, as on
// the person's own page: whoever found an open browser must not add a factor.
const setUpFresh = 10 * time.Minute

// next is the one place that decides between "sign in first" and "here is a
// code". Every way to an authorization code ends here.
func (h *Handler) next(w http.ResponseWriter, r *http.Request, c client.Client, req *Request, v *visitor) error {
	missing := lacking(req, v, h.Now())
	switch {
	case missing == lackNothing:
		return h.code(w, r, c, req, v)
	case req.Silent && missing == lackSignIn:
		return h.deny(w, r, req, refuse("login_required", "the person has to sign in"))
	case req.Silent && req.Essential:
		return h.deny(w, r, req, refuse("interaction_required", "the person has to show a second factor"))
	case req.Silent:
		// A wish that cannot be met without a page is not met.
		return h.code(w, r, c, req, v)
	case missing == lackFactor:
		return h.stepUp(w, r, c, req, v)
	}
	return h.begin(w, r, req, h.ask(r, c, req))
}

// lacking tells what v is short of, as the request demands it.
func lacking(req *Request, v *visitor, now time.Time) lack {
	switch {
	case v == nil:
		return lackSignIn
	case req.Subject != "" && req.Subject != v.user.ID:
		return lackSignIn
	case v.fresh:
	case req.Again:
		return lackSignIn
	case req.MaxAge != nil && now.Sub(v.session.AuthTime.Truncate(time.Second)) > *req.MaxAge:
		// In whole seconds, as auth_time tells it: the client will count from
		// there, and must not find too old what passed here.
		return lackSignIn
	}
	switch {
	case !req.Strong || signin.Satisfies(v.session.AMR):
		return lackNothing
	case now.Sub(v.session.AuthTime) > factorAlone:
		return lackSignIn
	}
	return lackFactor
}

// ask is what waits for the person to sign in.
func (h *Handler) ask(r *http.Request, c client.Client, req *Request) signin.Ask {
	app := c.Name
	if app == "" {
		app = c.ID
	}
	return signin.Ask{
		App: app, Client: c.ID, Destination: req.RedirectURI, Hint: req.LoginHint, Strong: req.Strong,
		Restart: h.base + PathAuthorize + "?" + r.URL.RawQuery,
	}
}

// stepUp asks who is signed in for a second factor, and for nothing else; who has
// none to show, and has not just signed in, for everything.
func (h *Handler) stepUp(w http.ResponseWriter, r *http.Request, c client.Client, req *Request, v *visitor) error {
	ask := h.ask(r, c, req)
	set, err := h.Machine.Factors.Of(r.Context(), v.user.ID)
	if err != nil {
		return unavailable(err)
	}
	if !set.Enrolled() && h.Now().Sub(v.session.AuthTime) > setUpFresh {
		return h.begin(w, r, req, ask)
	}
	ask.Known = &signin.Known{Session: v.session.ID, UserID: v.user.ID, AuthTime: v.session.AuthTime, AMR: v.session.AMR}
	return h.begin(w, r, req, ask)
}

// begin keeps the request in a flow and sends the browser to its first page.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, req *Request, ask signin.Ask) error {
	data, err := json.Marshal(req)
	if err != nil {
		return err
	}
	ask.Request = data
	secret := h.NewSecret()
	flow, err := h.Machine.Start(r.Context(), secret, h.ClientIP(r), ask)
	var limited *signin.LimitedError
	switch {
	case errors.As(err, &limited):
		return &httpx.Error{
			Status: http.StatusTooManyRequests, Public: "too many sign-ins were begun from your network",
			RetryAfter: limited.RetryAfter, Err: err,
		}
	case errors.Is(err, signin.ErrUnmet), errors.Is(err, signin.ErrNoFactor):
		return h.deny(w, r, req, refuse(codeUnmet, "the person has no second factor"))
	case err != nil:
		return unavailable(err)
	}
	h.Pages.RememberFlow(w, r, flow, secret)
	return goTo(w, r, h.Pages.SignInPath(flow))
}

// code sends the browser back with an authorization code for v.
func (h *Handler) code(w http.ResponseWriter, r *http.Request, c client.Client, req *Request, v *visitor) error {
	answer, err := h.answer(r.Context(), c, req, v)
	if err != nil {
		return unavailable(err)
	}
	return h.back(w, r, req, answer)
}

// answer mints an authorization code for v, and returns what the browser takes
// back to the client: the code, or why there is none. An error is the store's.
func (h *Handler) answer(ctx context.Context, c client.Client, req *Request, v *visitor) (url.Values, error) {
	if !c.AllowsRedirect(req.RedirectURI) {
		// The port of a loopback address: decided by allowsRedirect, while the
		// mint compares exactly.
		c.RedirectURIs = append(slices.Clone(c.RedirectURIs), req.RedirectURI)
	}
	acr := ""
	if signin.Satisfies(v.session.AMR) {
		acr = signin.ACR
	}
	code, err := h.Mint.IssueCode(ctx, token.CodeRequest{
		Client: c, RedirectURI: req.RedirectURI, Challenge: req.Challenge,
		Authorization: token.Authorization{
			ClientID: c.ID, UserID: v.user.ID, SessionID: v.session.ID, Scopes: req.Scopes,
			Nonce: req.Nonce, AuthTime: v.session.AuthTime, ACR: acr, AMR: v.session.AMR,
		},
	})
	switch {
	case errors.Is(err, token.ErrInvalidScope):
		return denied(refuse(codeInvalidScope, "the person may not be given any of these scopes")), nil
	case errors.Is(err, token.ErrUnauthorizedClient):
		return denied(refuse(codeUnauthorizedClient, "the client may not use authorization codes")), nil
	case errors.Is(err, token.ErrInvalidGrant):
		// Disabled between the two look-ups.
		return denied(refuse("access_denied", "the person may not sign in")), nil
	case err != nil:
		return nil, err
	}
	return url.Values{"code": {code}}, nil
}

// deny sends the browser back with an error (RFC 6749 §4.1.2.1).
func (h *Handler) deny(w http.ResponseWriter, r *http.Request, req *Request, e *protocolError) error {
	return h.back(w, r, req, denied(e))
}

func denied(e *protocolError) url.Values {
	return url.Values{"error": {e.code}, "error_description": {e.description}}
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
