package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"gatehouse/session"
)

// Result is what becomes of an answer of the issuer.
type Result struct {
	// Location is where the browser goes next: the page first asked for, a
	// path of this host; or the issuer again, when the attempt had to be
	// restarted.
	Location string
	// Cookies must reach the browser, also beside an error.
	Cookies []*http.Cookie
	// Session is the new session; nil when there is none, or it was there
	// before.
	Session *session.Session
}

// answer holds the parameters of the callback (RFC 6749 §4.1.2, RFC 9207 §2).
type answer struct {
	state, code, issuer, failure string
	named                        bool // iss is there
}

func parseAnswer(r *http.Request) (answer, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return answer{}, errors.New("query is malformed")
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(q[name]) > 1 {
			return answer{}, fmt.Errorf("parameter %s is repeated", name)
		}
	}
	return answer{q.Get("state"), q.Get("code"), q.Get("iss"), q.Get("error"), q.Has("iss")}, nil
}

// Callback takes the answer of an issuer. Errors are ErrIssuerDown, an *Error
// that tells the person what happened, or trouble of our own (503). Cookies of
// the Result count beside an *Error too.
//
// Each attempt leads to one token call at most. Requests that come while it
// runs get its outcome; later ones are sent to their page if the browser is
// signed in, or refused.
func (l *Login) Callback(ctx context.Context, site session.Site, r *http.Request) (Result, error) {
	ans, err := parseAnswer(r)
	if err != nil {
		return Result{}, failure(CodeRequest, err)
	}
	a, ok := l.openAttempt(site, r, ans.state)
	p := l.providers[a.provider]
	if !ok || p == nil {
		return l.already(site, r, "/", failure(CodeUnknown, nil))
	}
	done := []*http.Cookie{site.Expired(site.AttemptPrefix() + a.id)}
	m, err := p.ready(ctx)
	if err != nil {
		// The attempt stays: reloading the page goes on where it was.
		return Result{}, err
	}
	// Who answers comes first: nothing of another issuer's answer is used.
	if ans.named && ans.issuer != p.Issuer || !ans.named && m.doc.IssInResponse {
		return Result{Cookies: done}, failure(CodeIssuer, nil)
	}
	if time.Since(a.created) > attemptLife || time.Until(a.created) > clockApart {
		if a.again {
			return Result{Cookies: done}, failure(CodeExpired, nil)
		}
		return l.restart(ctx, site, r, a, false)
	}
	if ans.failure != "" {
		return Result{Cookies: done}, failure(a.refusal(ans.failure), errors.New("issuer answered "+word(ans.failure)))
	}
	if ans.code == "" {
		return Result{Cookies: done}, failure(CodeRequest, errors.New("no code"))
	}
	result, err := l.once(ctx, site, r, a, func(ctx context.Context) (Result, error) {
		return l.complete(ctx, site, r, p, m, a, ans.code)
	})
	if err != nil && len(result.Cookies) == 0 {
		result.Cookies = done
	}
	return result, err
}

// already sends a browser that is signed in to its page; otherwise it fails.
func (l *Login) already(site session.Site, r *http.Request, to string, otherwise *Error) (Result, error) {
	if s, state := l.has.Cookies.Open(site, r); state == session.Valid && !l.has.Feed.Revoked(s.Identity()) {
		return Result{Location: to}, nil
	}
	return Result{}, otherwise
}

// once uses an attempt up. It runs do for the first caller, detached from that
// caller's patience: the code is spent either way. Of what came nothing is kept,
// as callers need no account; they cost us no more than a mark each.
func (l *Login) once(ctx context.Context, site session.Site, r *http.Request, a attempt, do func(context.Context) (Result, error)) (Result, error) {
	mine := &flight[Result]{done: make(chan struct{})}
	f, first := l.used.add(a.usedKey(), mine)
	if first {
		defer func() {
			l.used.put(a.usedKey(), nil)
			close(f.done)
		}()
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*callTimeout)
		defer cancel()
		f.err = errInterrupted
		f.value, f.err = do(call)
		return f.value, f.err
	}
	if f == nil {
		return l.already(site, r, a.returnTo, failure(CodeUsed, nil))
	}
	// The same browser asked twice at the same moment; a browser shows the
	// answer to its last request only.
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// complete exchanges the code and makes a session of what comes.
func (l *Login) complete(ctx context.Context, site session.Site, r *http.Request, p *provider, m *metadata, a attempt, code string) (Result, error) {
	// Taken before the tokens are asked for, and cut to what a cookie keeps: a
	// revocation from now on is one the tokens may not know of.
	began := time.Now().Truncate(time.Millisecond)
	token, err := p.oauth(m, site.Origin+CallbackPath).Exchange(p.context(ctx), code, oauth2.VerifierOption(a.verifierParam()))
	if err != nil {
		return Result{}, exchangeError(err)
	}
	proof, err := p.verify(ctx, m, token)
	if err == nil {
		err = proof.hasNonce(a.nonceParam())
	}
	if err != nil {
		return Result{}, failure(CodeToken, err)
	}
	if a.strict && personOf(p.Issuer, proof.token.Subject) != a.person {
		if !a.force && proof.authTime().Before(a.created.Truncate(time.Second)) {
			// Nobody typed that name now: the issuer still knew somebody else.
			return l.restart(ctx, site, r, a, true)
		}
		return Result{}, failure(CodeOther, nil)
	}
	s := &session.Session{
		ID: session.NewID(), Host: site.Host, Provider: p.name, Issuer: p.Issuer, ClientID: p.ClientID,
		Created: began, Seen: began, Expires: began.Add(l.has.Cookies.Lifetime()),
	}
	l.fill(s, p, m, token, proof)
	if l.has.Feed.Revoked(s.Identity()) {
		// The person's session at the issuer was revoked, but the issuer's own
		// cookie lives: only signing in anew leads out of that circle.
		if a.force {
			return Result{}, failure(CodeRevoked, nil)
		}
		return l.restart(ctx, site, r, a, true)
	}
	if a.strict {
		// Only of what this sign-in brought; the session of before stays as it
		// is, and stays the browser's, unless everything is there.
		err := a.met(s, time.Now())
		if errors.Is(err, errTooOld) && !a.force {
			// Some issuers do not know max_age, and clocks differ.
			return l.restart(ctx, site, r, a, true)
		}
		if err != nil {
			return Result{}, failure(CodeStepUp, err)
		}
	}
	if err := l.replaceOld(ctx, site, r, s); err != nil {
		return Result{}, err
	}
	cookies, err := l.has.Cookies.Replace(site, r, s)
	if err != nil {
		return Result{}, failure(CodeTooLarge, err)
	}
	cookies = append(cookies, site.Expired(site.AttemptPrefix()+a.id))
	return Result{Location: a.returnTo, Cookies: cookies, Session: s}, nil
}

// exchangeError says what a failed exchange means.
func exchangeError(err error) error {
	code, cause := tokenError(err)
	switch code {
	case "":
		return cause
	case "invalid_grant":
		return failure(CodeGrant, cause)
	}
	return failure(CodeRefused, cause)
}

// replaceOld ends the session that the browser carried until now, unless
// it came from the same sign-in at the issuer: that one ends together with the
// new one, and another tab may be on its way with it.
func (l *Login) replaceOld(ctx context.Context, site session.Site, r *http.Request, s *session.Session) error {
	old, state := l.has.Cookies.Open(site, r)
	if state != session.Valid || l.has.Feed.Revoked(old.Identity()) {
		return nil
	}
	if old.Issuer == s.Issuer && old.Subject == s.Subject && old.IssuerSID != "" && old.IssuerSID == s.IssuerSID {
		return nil
	}
	return l.has.Feed.Revoke(ctx, endOf(old))
}

// endOf is the revocation of one session.
func endOf(s *session.Session) session.Revocation {
	return session.Revocation{Kind: session.RevokeSID, Value: s.ID, Expires: s.Expires.Add(time.Hour)}
}
