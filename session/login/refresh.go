package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"

	"gatehouse/session"
)

// Refresh returns the session that a request with s goes on with: s itself, or
// a newer one whose access token lives; the caller then writes its cookie.
//
// The issuer is called only when the access token ends, once per session
// however many requests ask at the same time, and the call goes on when ctx
// ends: its answer holds the only refresh token that still works. For five
// minutes the newest session is handed to requests that carry an older cookie.
//
// It returns ErrEnded when the issuer does not renew the session any more; the
// session is revoked then. It does so too, whether a refresh is due or not, when
// the configuration has no provider of that name, issuer and client. While the
// issuer cannot be reached the session lives on for five minutes past its access
// token, then the error is ErrIssuerDown.
func (l *Login) Refresh(ctx context.Context, s *session.Session) (*session.Session, error) {
	s = l.latest(s)
	// Before anything else: a session may have no access token that is ever due,
	// and must not outlive the operator's trust in its issuer.
	p := l.providers[s.Provider]
	if p == nil || !p.issued(s.Issuer, s.ClientID) {
		return nil, ErrEnded
	}
	if !due(s, time.Now()) {
		return s, nil
	}
	l.mu.Lock()
	f, running := l.flights[s.ID]
	if !running {
		// Somebody may have finished between the look above and the lock.
		if s = l.latest(s); !due(s, time.Now()) {
			l.mu.Unlock()
			return s, nil
		}
		f = &flight[*session.Session]{done: make(chan struct{})}
		l.flights[s.ID] = f
	}
	l.mu.Unlock()
	if !running {
		l.lead(ctx, f, p, s)
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// due tells whether the access token has to be renewed now. A session without
// refresh token cannot be; it lives to its own end.
func due(s *session.Session, now time.Time) bool {
	return s.RefreshToken != "" && !s.AccessExpires.IsZero() && !now.Before(s.AccessExpires.Add(-early))
}

// Knows tells whether id was issued by a provider of the configuration, to the
// client that it signs people in with. It does no I/O.
func (l *Login) Knows(id *session.Identity) bool {
	for _, p := range l.providers {
		if p.issued(id.Issuer, id.ClientID) {
			return true
		}
	}
	return false
}

// issued tells whether issuer and client are those of the provider.
func (p *provider) issued(issuer, client string) bool {
	return p.Issuer == issuer && p.ClientID == client
}

// latest returns the newest known form of a session.
func (l *Login) latest(s *session.Session) *session.Session {
	n, ok := l.newest.get(s.ID)
	if !ok || n.Host != s.Host {
		return s
	}
	// A cookie that another replica renewed may be newer than what is
	// remembered here.
	if n.AccessExpires.After(s.AccessExpires) || n.AccessExpires.Equal(s.AccessExpires) && n.RefreshToken != s.RefreshToken {
		return n
	}
	return s
}

// lead refreshes on behalf of all who wait. The caller's goroutine does the
// work even when its browser has gone.
func (l *Login) lead(ctx context.Context, f *flight[*session.Session], p *provider, s *session.Session) {
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	f.err = errInterrupted
	// Deferred, so that nobody waits for ever should the call panic.
	defer func() {
		l.mu.Lock()
		delete(l.flights, s.ID)
		l.mu.Unlock()
		close(f.done)
	}()
	f.value, f.err = l.refresh(call, p, s)
}

func (l *Login) refresh(ctx context.Context, p *provider, s *session.Session) (*session.Session, error) {
	if l.has.Feed.Revoked(s.Identity()) {
		return nil, ErrEnded
	}
	canWait := time.Now().Before(s.AccessExpires.Add(outlive))
	if _, failed := l.tired.get(s.ID); canWait && (failed || time.Now().UnixNano() < p.paused.Load()) {
		return s, nil
	}
	next, err := l.renew(ctx, p, s)
	if next != nil {
		l.newest.put(s.ID, next)
	}
	switch {
	case err == nil:
		return next, nil
	case errors.Is(err, ErrEnded):
		// Not only here: a copy of the cookie elsewhere must not ask again.
		return nil, errors.Join(err, l.has.Feed.Revoke(ctx, endOf(s)))
	}
	// Not every request of the next minutes needs to find out by itself. One
	// person's trouble, an ID token that does not verify, is no other's.
	l.tired.put(s.ID, struct{}{})
	if errors.Is(err, ErrIssuerDown) {
		p.paused.Store(time.Now().Add(pause).UnixNano())
	}
	l.log.WarnContext(ctx, "session not renewed", "issuer", p.Issuer, "error", err)
	if canWait && next != nil {
		return next, nil
	}
	if canWait {
		return s, nil
	}
	if !errors.Is(err, ErrIssuerDown) {
		err = fmt.Errorf("%w: %w", ErrIssuerDown, err)
	}
	return nil, err
}

// renew makes one token call (RFC 6749 §6). When the answer holds a new refresh
// token but an ID token that cannot be verified now, it returns an error and a
// session that differs in the refresh token alone: the old one is used up.
func (l *Login) renew(ctx context.Context, p *provider, s *session.Session) (*session.Session, error) {
	m, err := p.ready(ctx)
	if err != nil {
		return nil, err
	}
	source := p.oauth(m, "").TokenSource(p.context(ctx), &oauth2.Token{RefreshToken: s.RefreshToken})
	token, err := source.Token()
	if err != nil {
		code, cause := tokenError(err)
		if code == "invalid_grant" {
			return nil, fmt.Errorf("%w: %w", ErrEnded, cause)
		}
		// invalid_client and the like are mistakes of the operator: people
		// keep their sessions as long as with an issuer that is down.
		return nil, cause
	}
	next := *s
	var v *proof
	if raw, _ := token.Extra("id_token").(string); raw != "" {
		if v, err = p.verify(ctx, m, token); err != nil {
			next.RefreshToken = token.RefreshToken
			return &next, err
		}
		if err := v.sameUser(s); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEnded, err)
		}
	}
	l.fill(&next, p, m, token, v)
	p.weaken(&next, s)
	if l.has.Feed.Revoked(next.Identity()) {
		// Signed out meanwhile. The new refresh token must not live on.
		l.revokeToken(ctx, p, m, next.RefreshToken)
		return nil, ErrEnded
	}
	return &next, nil
}
