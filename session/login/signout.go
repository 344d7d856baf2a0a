package login

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"gatehouse/session"
)

// SignedOut says how signing out goes on in the browser.
type SignedOut struct {
	// Location is the issuer's page to go to, by GET; "" when there is none:
	// the person is signed out here, and that is all.
	Location string
	// Form holds the fields to POST to Location instead; nil for a GET. An ID
	// token does not belong into an address.
	Form map[string]string
}

// Elsewhere returns the page of the default issuer that signs a browser out
// which has no session here: it may have one there, and would be signed in again
// without a word. "" when the issuer has no such page, or cannot be asked.
func (l *Login) Elsewhere(ctx context.Context, site session.Site) string {
	m, err := l.standard.ready(ctx)
	if err != nil {
		return ""
	}
	return l.standard.endSession(m, site, &session.Session{}).Location
}

// tokenLife bounds how long a credential of the same sign-in can live: a
// revocation by the issuer's sid or origin_jti is kept as long.
const tokenLife = 25 * time.Hour

// SignOut ends s: in one durable step it revokes the session, all others of the
// same sign-in at the issuer, and the access tokens of the session; then it
// takes the refresh token back. When the error is not nil nothing may be called
// signed out: answer 503. Telling the issuer may fail; the session is dead all
// the same.
func (l *Login) SignOut(ctx context.Context, site session.Site, s *session.Session) (SignedOut, error) {
	revoke := []session.Revocation{endOf(s)}
	// By the sid go the other sessions of the sign-in, by the family the access
	// tokens that upstreams were handed.
	ends := time.Now().Add(max(tokenLife, l.has.Cookies.Lifetime()+time.Hour))
	if s.IssuerSID != "" {
		revoke = append(revoke, session.Revocation{Kind: session.RevokeIssuerSID, Issuer: s.Issuer, Value: s.IssuerSID, Expires: ends})
	}
	if s.OriginJTI != "" {
		revoke = append(revoke, session.Revocation{Kind: session.RevokeOriginJTI, Issuer: s.Issuer, Value: s.OriginJTI, Expires: ends})
	}
	if err := l.has.Feed.Revoke(ctx, revoke...); err != nil {
		return SignedOut{}, err
	}
	l.await(ctx, s.ID)
	s = l.latest(s)
	l.newest.remove(s.ID)
	p := l.providers[s.Provider]
	if p == nil || p.Issuer != s.Issuer {
		return SignedOut{}, nil
	}
	m, err := p.ready(ctx)
	if err != nil {
		return SignedOut{}, nil
	}
	l.revokeToken(ctx, p, m, s.RefreshToken)
	return p.endSession(m, site, s), nil
}

// await waits for a refresh of the session that has begun already: its answer
// holds the token to take back.
func (l *Login) await(ctx context.Context, sid string) {
	l.mu.Lock()
	f := l.flights[sid]
	l.mu.Unlock()
	if f == nil {
		return
	}
	select {
	case <-f.done:
	case <-ctx.Done():
	}
}

// endSession is the way to the issuer's own sign-out (OpenID Connect
// RP-Initiated Logout §2).
func (p *provider) endSession(m *metadata, site session.Site, s *session.Session) SignedOut {
	if m.doc.EndSession == "" {
		return SignedOut{}
	}
	fields := map[string]string{
		"client_id":                p.ClientID,
		"post_logout_redirect_uri": site.Origin + SignedOutPath,
		"state":                    session.SignedOutState,
	}
	if s.IDToken != "" {
		fields["id_token_hint"] = s.IDToken
		return SignedOut{Location: m.doc.EndSession, Form: fields}
	}
	if p.own && s.IssuerSID != "" {
		// The sid proves nothing and so may stand in an address; it spares the
		// person of this very browser a question.
		fields["logout_hint"] = s.IssuerSID
	}
	u, err := url.Parse(m.doc.EndSession)
	if err != nil {
		return SignedOut{}
	}
	q := u.Query()
	for name, value := range fields {
		q.Set(name, value)
	}
	u.RawQuery = q.Encode()
	return SignedOut{Location: u.String()}
}

// revokeToken takes a refresh token back at the issuer (RFC 7009), where that
// is offered. It ends the token's whole family there.
func (l *Login) revokeToken(ctx context.Context, p *provider, m *metadata, token string) {
	if token == "" || m.doc.Revocation == "" {
		return
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout/2)
	defer cancel()
	form := url.Values{"token": {token}, "token_type_hint": {"refresh_token"}}
	basic := m.endpoint.AuthStyle == oauth2.AuthStyleInHeader
	if !basic {
		form.Set("client_id", p.ClientID)
		if secret := p.ClientSecret.Reveal(); secret != "" {
			form.Set("client_secret", secret)
		}
	}
	req, err := http.NewRequestWithContext(call, http.MethodPost, m.doc.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		l.log.WarnContext(ctx, "refresh token not revoked at the issuer", "issuer", p.Issuer)
		return
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		req.SetBasicAuth(url.QueryEscape(p.ClientID), url.QueryEscape(p.ClientSecret.Reveal()))
	}
	res, err := p.client.Do(req)
	if err != nil {
		l.log.WarnContext(ctx, "refresh token not revoked at the issuer", "issuer", p.Issuer)
		return
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	if res.StatusCode != http.StatusOK {
		l.log.WarnContext(ctx, "refresh token not revoked at the issuer", "issuer", p.Issuer, "status", res.StatusCode)
	}
}
