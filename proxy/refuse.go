package proxy

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/page"
	"gatehouse/proxy/upstream"
	"gatehouse/session"
)

// Paths of the gateway on every public URL.
const (
	prefixOurs   = "/_gatehouse/"
	PathCallback = "/oauth2/idpresponse"
	pathSignIn   = "/_gatehouse/sign-in"
	PathSignOut  = "/_gatehouse/sign-out"
	pathMe       = "/_gatehouse/me"
	pathMeJSON   = "/_gatehouse/me.json"
	pathHealth   = "/_gatehouse/health"
	pathJWKS     = "/_gatehouse/jwks.json"
	prefixKeys   = "/_gatehouse/keys/"
)

// retryAfter is what clients are told when the issuer or the feed is down: it
// is looked at again every 30 s.
const retryAfter = 30 * time.Second

// sentences says what a refused person is told. What is not in it is told by
// its status alone; why a rule refused is for the log, not for the page.
var sentences = map[int]struct{ title, text string }{
	http.StatusBadRequest:            {"This address cannot be used", "The request is written in a way that applications could read differently than this gateway does, so it was not passed on."},
	http.StatusUnauthorized:          {"Sign in to go on", "This page is for people who are signed in."},
	http.StatusForbidden:             {"You don't have access to this page", "You are signed in, but your account may not open it."},
	http.StatusNotFound:              {"There is nothing here", "No page of this site has this address."},
	http.StatusMethodNotAllowed:      {"This method is not allowed", "The request uses a method that this gateway does not pass on."},
	http.StatusRequestEntityTooLarge: {"This is too large", "What was sent is larger than this site accepts."},
	http.StatusBadGateway:            {"The application cannot be reached", "The site is up, but the application behind it does not answer. Try again in a moment."},
	http.StatusGatewayTimeout:        {"The application takes too long", "The application behind this site did not answer in time. Try again in a moment."},
	http.StatusServiceUnavailable:    {"This is not available right now", "Signing in cannot be checked at the moment. Try again in half a minute."},
}

// refuse writes a refusal and logs it; path and reason are logged, never the
// query, which may hold secrets.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, g *Gate, v Verdict, id string) {
	f := page.Refusal{Status: v.Status, Code: string(v.Reason), RequestID: id, Challenge: v.Challenge}
	if s, ok := sentences[v.Status]; ok {
		f.Title, f.Text = s.title, s.text
	}
	if v.SignIn {
		f.LoginURL = v.Site.Origin + pathSignIn + "?" + url.Values{"rd": {returnPath(v.Request)}}.Encode()
	}
	if v.Status == http.StatusServiceUnavailable {
		f.RetryAfter = retryAfter
	}
	if v.Status == http.StatusForbidden && v.Identity != nil && v.Identity.Credential == session.Cookie {
		f.SignOutURL, f.User = v.Site.Origin+PathSignOut, v.Identity.Username
	}
	if v.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	transportSecurity(w, v.Site)
	h.log.LogAttrs(r.Context(), levelOf(v.Status), "refused", attrs(g, v, id)...)
	page.Write(w, r, f)
}

// failed answers for an upstream that did not. What it says names no address;
// the cause is for the log.
func (h *Handler) failed(w http.ResponseWriter, r *http.Request, g *Gate, v Verdict, err error, id string) {
	class := upstream.BadResponse
	var failure *upstream.Error
	if errors.As(err, &failure) {
		class, err = failure.Class, cmp.Or(failure.Cause(), err)
	}
	v.refuse(class.Status(), Reason(class))
	h.log.LogAttrs(r.Context(), levelOf(v.Status), "upstream failed", append(attrs(g, v, id), errorAttr(err))...)
	s := sentences[v.Status]
	page.Write(w, r, page.Refusal{Status: v.Status, Code: string(class), Title: s.title, Text: s.text, RequestID: id})
}
