package proxy

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"time"

	"gatehouse/internal/page"
	"gatehouse/policy"
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
	http.StatusRequestTimeout:        {"This took too long", "What your browser or program sent did not arrive in time. Try again."},
	http.StatusMethodNotAllowed:      {"This method is not allowed", "The request uses a method that this gateway does not pass on."},
	http.StatusRequestURITooLong:     {"This address is too long", "The address has more characters than this site accepts."},
	http.StatusNotImplemented:        {"This method is not known", "The request uses a method that this gateway does not know."},
	http.StatusRequestEntityTooLarge: {"This is too large", "What was sent is larger than this site accepts."},
	http.StatusBadGateway:            {"The application cannot be reached", "The site is up, but the application behind it does not answer. Try again in a moment."},
	http.StatusGatewayTimeout:        {"The application takes too long", "The application behind this site did not answer in time. Try again in a moment."},
	http.StatusServiceUnavailable:    {"This is not available right now", "Signing in cannot be checked at the moment. Try again in half a minute."},
}

// reasons says it better than the status, to whoever is refused.
var reasons = map[Reason]struct{ title, text string }{
	ReasonForwarded:               {"This request contradicts itself", "A proxy in front of this site sent headers that cannot both be true."},
	ReasonOrigin:                  {"This did not come from a page of this site", "The request would act on your behalf, but your browser says that another page made it."},
	Reason(policy.MFARequired):    {"This page asks you to sign in again, with a second factor", "You are signed in, but this page is for those who have proved it in a second way."},
	Reason(policy.ACRRequired):    {"This page asks you to sign in again, in another way", "You are signed in, but not in the way that this page asks for."},
	Reason(policy.ReauthRequired): {"This page asks you to sign in again", "You are signed in, but that was too long ago for this page."},
	Reason(policy.BodyAbsent):     {"Something is missing", "This address takes JSON, and nothing was sent."},
	Reason(policy.BodyTruncated):  {"This is too large", "What was sent is larger than what this site can check for this address."},
	Reason(policy.BodyUnparsable): {"This cannot be read", "This address takes exactly one JSON value in UTF-8, without repeated names, announced as application/json."},
	ReasonBodyBroken:              {"This broke off", "What was sent ended too early or is not valid HTTP."},
	ReasonBodyBusy:                {"This is not available right now", "Too much is being checked at the moment. Try again in half a minute."},
}

// programs says it to whoever sends a token: that is a program, and its author
// reads it.
var programs = map[Reason]struct{ title, text string }{
	ReasonTokenInvalid:            {"The token is not accepted", "The access token has expired, is not one of an issuer this site knows, or has been revoked."},
	ReasonAuthorization:           {"Two credentials", "The request has more than one Authorization header."},
	Reason(policy.ScopeMissing):   {"The token lacks a scope", "The access token is valid, but its scopes do not open this address."},
	Reason(policy.MFARequired):    {"The token was had too easily", "The access token is valid, but its owner has not signed in with a second factor."},
	Reason(policy.ACRRequired):    {"The token was had in another way", "The access token is valid, but its owner has not signed in in the way this address asks for."},
	Reason(policy.ReauthRequired): {"The token is not fresh enough", "The access token is valid, but its owner signed in too long ago for this address."},
}

// sentence is what whoever is refused is told.
func (v *Verdict) sentence(g *Gate, r *http.Request) (title, text string) {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	if v.Site == nil && v.Status == http.StatusNotFound && Loopback(host) {
		return "Another address", "This gateway answers at " + g.parts.Sites[0].Origin + "."
	}
	if s, ok := programs[v.Reason]; ok && (v.Identity == nil || v.Identity.Credential == session.Bearer) {
		return s.title, s.text
	}
	if s, ok := reasons[v.Reason]; ok {
		return s.title, s.text
	}
	s := sentences[v.Status]
	return s.title, s.text
}

// refuse writes a refusal and logs it; path and reason are logged, never the
// query, which may hold secrets.
func (x *exchange) refuse(w http.ResponseWriter, r *http.Request) {
	g, v := x.g, &x.v
	f := page.Refusal{Status: v.Status, Code: string(v.Reason), RequestID: x.id(), Challenge: v.Challenge}
	f.Title, f.Text = v.sentence(g, r)
	if v.SignIn {
		f.LoginURL = g.loginURL(v)
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
	v.dismiss(w, r)
	transportSecurity(w, v.Site)
	x.h.log.LogAttrs(r.Context(), levelOf(v.Status), "refused", attrs(g, v, x.id())...)
	page.Write(w, r, f)
}

// dismiss bounds how long the rest of a refused body is waited for: net/http
// reads on before it takes the next request from the connection, and a client
// that sends nothing would keep it for ever. Where more came than was wanted, or
// too slowly, the answer does not wait for it at all.
func (v *Verdict) dismiss(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	grace := formTime
	if v.hangUp || v.body != nil && !v.body.Whole() {
		grace = time.Second
		if r.ProtoMajor == 1 {
			w.Header().Set("Connection", "close")
		}
	}
	// What has no deadlines, as a recorder in a test, has no connection.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(grace))
}

// failed answers for an upstream that did not. What it says names no address;
// the cause is for the log. What was decided stays as it is: others may be looking
// at it.
func (x *exchange) failed(w http.ResponseWriter, r *http.Request, err error) {
	v := x.v
	x.ended = &v
	class := upstream.BadResponse
	var failure *upstream.Error
	if errors.As(err, &failure) {
		class, err = failure.Class, cmp.Or(failure.Cause(), err)
	}
	v.refuse(class.Status(), Reason(class))
	x.h.log.LogAttrs(r.Context(), levelOf(v.Status), "upstream failed", append(attrs(x.g, &v, x.id()), errorAttr(err))...)
	s := sentences[v.Status]
	page.Write(w, r, page.Refusal{Status: v.Status, Code: string(class), Title: s.title, Text: s.text, RequestID: x.id()})
}
