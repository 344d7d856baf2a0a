package proxy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/httpx"
	"gatehouse/internal/page"
	"gatehouse/session"
)

// ours tells whether a canonical path belongs to the gateway. What does is
// never routed and never reaches an upstream, whatever routes say.
func ours(path string) bool {
	return path == PathCallback || strings.HasPrefix(path, prefixOurs) || path == strings.TrimSuffix(prefixOurs, "/")
}

// serveOurs dispatches the gateway's own paths on the canonical path.
func (x *exchange) serveOurs(w http.ResponseWriter, r *http.Request) {
	v := &x.v
	hurry(w, r)
	transportSecurity(w, v.Site)
	if v.Request.Odd != 0 {
		v.refuse(http.StatusBadRequest, ReasonPathRejected)
		x.refuse(w, r)
		return
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	path := v.Request.Path
	switch {
	case path == PathSignOut && (read || r.Method == http.MethodPost):
		x.signOut(w, r)
	case !read && path != PathSignOut:
		v.refuse(http.StatusMethodNotAllowed, ReasonMethod)
		x.refuse(w, r)
	case path == PathCallback:
		x.callback(w, r)
	case path == pathSignIn:
		x.signIn(w, r)
	case path == pathMe || path == pathMeJSON:
		x.me(w, r)
	case path == pathHealth:
		noStore(w.Header())
		writeBytes(w, "text/plain; charset=utf-8", []byte("ok\n"))
	case path == pathJWKS && x.h.keys != nil:
		w.Header().Set("Cache-Control", "public, max-age=300")
		writeBytes(w, "application/jwk-set+json", x.h.keys.JWKS())
	case strings.HasPrefix(path, prefixKeys) && x.h.keys != nil:
		x.key(w, r)
	default:
		v.refuse(http.StatusNotFound, ReasonNoRoute)
		x.refuse(w, r)
	}
}

// key serves one public key as PEM, as AWS's load balancers do for the
// verifiers of x-amzn-oidc-data.
func (x *exchange) key(w http.ResponseWriter, r *http.Request) {
	v := &x.v
	pem, ok := x.h.keys.PEM(strings.TrimPrefix(v.Request.Path, prefixKeys))
	if !ok {
		v.refuse(http.StatusNotFound, ReasonNoRoute)
		x.refuse(w, r)
		return
	}
	w.Header().Set("Cache-Control", "public, max-age=86400, immutable")
	writeBytes(w, "application/x-pem-file", pem)
}

// signIn begins an attempt on request, and returns to rd when that is a path
// of this site; step_up names the route whose `require` it shall meet.
// A picture or a frame on a foreign page must not pile up attempts.
func (x *exchange) signIn(w http.ResponseWriter, r *http.Request) {
	g, v := x.g, &x.v
	if r.Header.Get("Sec-Fetch-Mode") != "" && !page.Navigation(r) {
		v.refuse(http.StatusForbidden, ReasonOrigin)
		x.refuse(w, r)
		return
	}
	if a, ok := g.attempt(r, v); ok {
		v.begin(r, g.parts.SignIn, a)
	}
	x.answer(w, r)
}

// callback takes the browser back from the issuer.
func (x *exchange) callback(w http.ResponseWriter, r *http.Request) {
	g, v := x.g, &x.v
	location, cookies, err := g.parts.SignIn.Callback(r.Context(), *v.Site, r)
	v.Cookies = cookies
	var failure *CallbackError
	switch {
	case err == nil:
		v.Action, v.Status, v.Location = Redirect, http.StatusFound, location
		x.answer(w, r)
	case errors.As(err, &failure):
		x.callbackFailed(w, r, failure)
	default:
		x.h.log.WarnContext(r.Context(), "sign-in failed", "request_id", x.id(), "error", err)
		v.refuse(http.StatusServiceUnavailable, ReasonIssuerDown)
		x.answer(w, r)
	}
}

// CallbackError is a sign-in that did not succeed for a reason the person can
// be told.
type CallbackError struct {
	// Status is the HTTP status: 400 for an answer that is not ours or too
	// late, 403 when the issuer refused, 502 when its answer was unusable.
	Status int
	// Code is a word of a closed list for machines and logs.
	Code string
	// Text is a sentence for the person.
	Text string
	Err  error
}

// Error describes the failure for the log.
func (e *CallbackError) Error() string { return "sign-in: " + e.Code + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *CallbackError) Unwrap() error { return e.Err }

func (x *exchange) callbackFailed(w http.ResponseWriter, r *http.Request, f *CallbackError) {
	for _, c := range x.v.Cookies {
		http.SetCookie(w, c)
	}
	x.h.log.InfoContext(r.Context(), "sign-in failed", "request_id", x.id(), "gatehouse.reason", f.Code, "error", f.Err)
	page.Write(w, r, page.Refusal{
		Status: f.Status, Code: f.Code, Title: "Signing in did not work", Text: f.Text,
		RequestID: x.id(), LoginURL: x.v.Site.Origin + pathSignIn,
	})
}

// current returns the live session of a request to one of our pages, or nil;
// v then carries what to answer instead, and always the cookies to set.
func (g *Gate) current(r *http.Request, v *Verdict) *session.Session {
	v.refuse(http.StatusUnauthorized, ReasonSignInRequired)
	s, state := g.parts.Cookies.Open(*v.Site, r)
	if state == session.None {
		return nil
	}
	if state == session.Invalid || g.parts.Revocations.Revoked(s.Identity()) {
		v.Cookies = g.parts.Cookies.Clear(*v.Site, r)
		return nil
	}
	if !g.parts.Revocations.Fresh(g.now()) {
		v.refuse(http.StatusServiceUnavailable, ReasonFeedStale)
		return nil
	}
	return s
}

// me tells who is signed in: a page for people, JSON for scripts.
func (x *exchange) me(w http.ResponseWriter, r *http.Request) {
	g, v := x.g, &x.v
	s := g.current(r, v)
	if s != nil && !g.parts.SignIn.Knows(s.Identity()) {
		// Routes do not believe it either.
		v.Cookies, s = g.parts.Cookies.Clear(*v.Site, r), nil
	}
	if s == nil {
		v.SignIn = v.Status == http.StatusUnauthorized
		if v.SignIn && v.Request.Path == pathMe && page.Navigation(r) {
			v.begin(r, g.parts.SignIn, Attempt{ReturnTo: pathMe})
		}
		x.answer(w, r)
		return
	}
	identity := s.Identity()
	noStore(w.Header())
	w.Header().Set("Vary", "Cookie")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	if v.Request.Path == pathMeJSON {
		body, err := json.Marshal(meOf(identity))
		if err != nil {
			v.refuse(http.StatusServiceUnavailable, ReasonSessionRevoked)
			x.refuse(w, r)
			return
		}
		writeBytes(w, "application/json", body)
		return
	}
	writeMe(w, meOf(identity))
}

// signOut asks on GET and signs out on POST. The form's token is bound to the
// session, and the browser must say that the form is ours.
func (x *exchange) signOut(w http.ResponseWriter, r *http.Request) {
	g, v := x.g, &x.v
	s := g.current(r, v)
	for _, c := range v.Cookies {
		http.SetCookie(w, c)
	}
	v.Cookies = nil
	if s == nil && v.Status == http.StatusServiceUnavailable {
		x.refuse(w, r)
		return
	}
	if s == nil {
		elsewhere := ""
		if r.URL.Query().Get("state") != session.SignedOutState {
			elsewhere = g.parts.SignIn.Elsewhere(r.Context(), *v.Site)
		}
		writeSignedOut(w, elsewhere)
		return
	}
	if r.Method != http.MethodPost {
		writeConfirm(w, s, signOutToken(s))
		return
	}
	r.Body = http.MaxBytesReader(httpx.Bare(w), r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		v.hangUp = true
		v.refuse(http.StatusBadRequest, ReasonOrigin)
		x.refuse(w, r)
		return
	}
	if !fromUs(r, v.Site.Origin) || !hmac.Equal([]byte(r.PostForm.Get("token")), []byte(signOutToken(s))) {
		v.refuse(http.StatusForbidden, ReasonOrigin)
		x.refuse(w, r)
		return
	}
	out, err := g.parts.SignIn.SignOut(r.Context(), *v.Site, s)
	if err != nil {
		// Nobody is told "signed out" while the session is not dead.
		x.h.log.ErrorContext(r.Context(), "sign-out not recorded", "request_id", x.id(), "error", err)
		v.refuse(http.StatusServiceUnavailable, ReasonFeedStale)
		x.refuse(w, r)
		return
	}
	for _, c := range g.parts.Cookies.Clear(*v.Site, r) {
		http.SetCookie(w, c)
	}
	x.signedOut(w, r, out)
}

func (x *exchange) signedOut(w http.ResponseWriter, r *http.Request, out SignedOut) {
	noStore(w.Header())
	switch {
	case out.Location == "":
		http.Redirect(w, r, x.v.Site.Origin+PathSignOut, http.StatusSeeOther)
	case out.Form == nil:
		w.Header().Set("Location", out.Location)
		w.WriteHeader(http.StatusSeeOther)
	default:
		writeContinue(w, out)
	}
}

// signOutToken is what only our own page for this session can know: the
// session's id never leaves the sealed cookie.
func signOutToken(s *session.Session) string {
	mac := hmac.New(sha256.New, []byte(s.ID))
	mac.Write([]byte("gatehouse sign-out"))
	return hex.EncodeToString(mac.Sum(nil))
}

// fromUs tells whether a POST comes from a page of origin, by what the browser
// says and a script cannot forge. Silence is a refusal.
func fromUs(r *http.Request, origin string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	return r.Header.Get("Origin") == origin
}

// hurry bounds how long a client may take over a form of ours.
func hurry(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		// What has no deadlines, as a recorder in a test, has no connection.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(formTime))
	}
}

// formTime is how long a client may take to send a form, which is 64 KiB at most.
const formTime = 10 * time.Second

// transportSecurity keeps browsers from asking for our own pages in clear
// (RFC 6797). What an application says about its pages is its own affair.
func transportSecurity(w http.ResponseWriter, site *session.Site) {
	if site != nil && site.Secure {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func writeBytes(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body) // a client that went away is no error of ours
}
