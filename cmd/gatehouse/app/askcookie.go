package app

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strings"

	"gatehouse/internal/keyring"
	"gatehouse/session"
)

// maxCookie is how long the text of a session cookie may be, in bytes: more
// than a browser sends.
const maxCookie = 64 << 10

// errCookie says that a text cannot be a session cookie; it quotes nothing.
var errCookie = errors.New("this is no session cookie: give its value, or the whole Cookie header")

// IdentifyCookie returns who would be asking with a session cookie: its bare
// value, or the text of a Cookie header that holds it, all its parts. The
// identity is nil for a cookie that the gateway would not believe; who says so.
// The cookie is shown to nobody.
func (a *Asking) IdentifyCookie(ctx context.Context, cookie string) (id *session.Identity, who string, err error) {
	cookie = strings.TrimSpace(cookie)
	if cookie == "" || len(cookie) > maxCookie || strings.ContainsAny(cookie, "\r\n\x00") {
		return nil, "", errCookie
	}
	c := a.plan.Config
	ring, err := c.ReadRing(keyring.Cookie)
	if err != nil {
		return nil, "", err
	}
	// Revocations survive a restart wherever there is a data directory, so that
	// cookies are bound to no run of the process.
	cookies, err := session.NewCookies(c.Session, cookieKeys(ring), session.Options{})
	if err != nil {
		return nil, "", err
	}
	s := a.openCookie(cookies, cookie)
	if s == nil {
		return nil, "a visitor whose session cookie counts as none: it is not of this gateway, or its time is over", nil
	}
	id, who = s.Identity(), nameOf(s)+" by a session at "+s.Host
	feed, err := a.revocations(ctx)
	switch {
	case err != nil:
		who += " (it is not known whether it was signed out)"
	case feed.Revoked(id):
		return nil, "a visitor whose session cookie counts as none: the session of " + nameOf(s) + " was ended", nil
	}
	return id, who, nil
}

// openCookie tries the cookie at each public URL; nil if it is none of them.
func (a *Asking) openCookie(cookies *session.Cookies, cookie string) *session.Session {
	for _, site := range a.plan.sites {
		header := cookie
		if !strings.Contains(cookie, site.CookieName()+"=") {
			header = site.CookieName() + "=" + cookie
		}
		r := &http.Request{Header: http.Header{"Cookie": {header}}}
		if s, state := cookies.Open(site, r); state == session.Valid {
			return s
		}
	}
	return nil
}

// nameOf names the person of a session for the reader.
func nameOf(s *session.Session) string {
	for _, name := range []string{s.Username, s.Email, s.Subject} {
		if name != "" {
			return name
		}
	}
	return "somebody"
}

// revocations reads what has been revoked, beside the server that may hold the
// journal.
func (a *Asking) revocations(ctx context.Context) (*session.Feed, error) {
	c := a.plan.Config
	if c.IDP != nil {
		st, err := a.open(ctx)
		if err != nil {
			return nil, err
		}
		return session.NewFeed(ctx, journal{st.db, c.IDP.Issuer.String()}, nil)
	}
	known, err := session.ReadFileJournal(filepath.Join(c.DataDir, "revocations.log"))
	if err != nil {
		return nil, err
	}
	feed, err := session.NewFeed(ctx, nil, nil)
	if err != nil || len(known) == 0 {
		return feed, err
	}
	return feed, feed.Revoke(ctx, known...)
}
