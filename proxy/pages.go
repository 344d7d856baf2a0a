package proxy

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"

	"gatehouse/internal/page"
	"gatehouse/session"
)

// me is what a person may know about their own session: nothing that opens
// anything, so no token and no session id.
type me struct {
	Subject       string   `json:"sub"`
	Username      string   `json:"username,omitempty"`
	Name          string   `json:"name,omitempty"`
	Email         string   `json:"email,omitempty"`
	EmailVerified bool     `json:"email_verified"`
	Groups        []string `json:"groups"`
	Issuer        string   `json:"iss"`
	SignedInAt    int64    `json:"auth_time,omitempty"`
	Expires       int64    `json:"exp"`
}

func meOf(id *session.Identity) me {
	m := me{
		Subject: id.Subject, Username: id.Username, Name: id.Name, Email: id.Email,
		EmailVerified: id.EmailVerified, Groups: id.Groups, Issuer: id.Issuer, Expires: id.Expires.Unix(),
	}
	if m.Groups == nil {
		m.Groups = []string{}
	}
	if !id.AuthTime.IsZero() {
		m.SignedInAt = id.AuthTime.Unix()
	}
	return m
}

// pages are the gateway's own pages; what a person sees of the provider is in
// idp/ui.
var pages = template.Must(page.Shell().Parse(`
{{define "me"}}{{template "top" .Head}}<h1>You are signed in</h1>
<dl>
<dt>Name</dt><dd>{{or .Me.Name .Me.Username .Me.Subject}}</dd>
{{with .Me.Username}}<dt>Username</dt><dd>{{.}}</dd>
{{end}}{{with .Me.Email}}<dt>E-mail</dt><dd>{{.}}{{if not $.Me.EmailVerified}} (not verified){{end}}</dd>
{{end}}<dt>Groups</dt><dd>{{range $i, $g := .Me.Groups}}{{if $i}}, {{end}}{{$g}}{{else}}none{{end}}</dd>
<dt>Signed in at</dt><dd>{{.Me.Issuer}}</dd>
</dl>
<p><a class="button" href="` + PathSignOut + `">Sign out</a></p>
{{template "bottom"}}{{end}}

{{define "confirm"}}{{template "top" .Head}}<h1>Sign out?</h1>
<p>You are signed in as <strong>{{.User}}</strong>.</p>
<form method="post" action="` + PathSignOut + `">
<input type="hidden" name="token" value="{{.Token}}">
<p><button type="submit">Sign out</button></p>
</form>
<p><a href="/">Stay signed in</a></p>
{{template "bottom"}}{{end}}

{{define "signed-out"}}{{template "top" .Head}}<h1>You are signed out</h1>
{{if .Elsewhere}}<p>That is so here. Where you sign in you may still be signed in, and then this
browser gets in again without a password.</p>
<p><a class="button" href="{{.Elsewhere}}">Sign out there too</a></p>
<p><a href="` + pathSignIn + `">Sign in</a></p>
{{else}}<p>You can close this page, or sign in again.</p>
<p><a class="button" href="` + pathSignIn + `">Sign in</a></p>
{{end}}{{template "bottom"}}{{end}}

{{define "continue"}}{{template "top" .Head}}<h1>You are signed out here</h1>
<p>One more step signs you out where you signed in.</p>
<form method="post" action="{{.Location}}">
{{range $name, $value := .Form}}<input type="hidden" name="{{$name}}" value="{{$value}}">
{{end}}<p><button type="submit">Sign out there too</button></p>
</form>
{{template "bottom"}}{{end}}
`))

func writeMe(w http.ResponseWriter, m me) {
	writePage(w, "me", struct {
		Head page.Head
		Me   me
	}{page.Head{Title: "You are signed in"}, m})
}

// writeConfirm asks before signing out. The form's answer redirects to the
// issuer, and browsers hold form-action against that redirect too.
func writeConfirm(w http.ResponseWriter, s *session.Session, token string) {
	writePage(w, "confirm", struct {
		Head        page.Head
		User, Token string
	}{page.Head{Title: "Sign out?"}, s.Identity().Username, token}, originOf(s.Issuer))
}

// writeSignedOut tells a browser without a session so; elsewhere is where it may
// still have one, "" for nowhere.
func writeSignedOut(w http.ResponseWriter, elsewhere string) {
	writePage(w, "signed-out", struct {
		Head      page.Head
		Elsewhere string
	}{page.Head{Title: "You are signed out"}, elsewhere})
}

// writeContinue hands the browser on to a foreign issuer by POST, so that the
// ID token it needs as a hint stands in no URL and no log.
func writeContinue(w http.ResponseWriter, out SignedOut) {
	writePage(w, "continue", struct {
		Head     page.Head
		Location string
		Form     map[string]string
	}{page.Head{Title: "You are signed out here"}, out.Location, out.Form}, originOf(out.Location))
}

// writePage renders a page of ours. formAction lists the origins its forms
// may end at, besides our own.
func writePage(w http.ResponseWriter, name string, data any, formAction ...string) {
	var body bytes.Buffer
	if err := pages.ExecuteTemplate(&body, name, data); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	page.SecurityHeaders(w.Header(), formAction...)
	w.Header().Set("Vary", "Cookie")
	writeBytes(w, "text/html; charset=utf-8", body.Bytes())
}

// originOf returns scheme and host of an absolute URL.
func originOf(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
