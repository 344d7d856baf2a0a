package app

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"runtime/debug"

	"gatehouse/idp"
	"gatehouse/idp/notify"
	"gatehouse/idp/password/breach"
	"gatehouse/idp/store"
	"gatehouse/internal/inproc"
	"gatehouse/internal/keyring"
	"gatehouse/proxy/principal"
	"gatehouse/session"
	"gatehouse/session/bearer"
)

// openProvider opens the embedded provider with its database, if there is one.
func (a *App) openProvider(ctx context.Context, o Options) (*store.DB, error) {
	c := a.config
	if c.IDP == nil {
		return nil, nil
	}
	db, sealer, err := c.openDatabase(ctx, o, a.log)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, db.Close)
	a.tasks = append(a.tasks, db.Run)
	listed, err := breach.Open(c.IDP.Password.Breached)
	if err != nil {
		return nil, fmt.Errorf("idp.password.breached: %w", err)
	}
	a.closers = append(a.closers, listed.Close)
	a.provider, err = idp.New(*c.IDP, idp.Deps{
		DB: db, Sealer: sealer, ClientIP: clientIP, Demo: o.Demo, Mailbox: mailbox(o), Listed: listed, Log: a.log,
	})
	if err != nil {
		return nil, err
	}
	a.tasks = append(a.tasks, a.provider.Outbox.Run)
	a.gatewaySecret = gatewaySecret(sealer)
	if err := a.provider.Bootstrap(ctx); err != nil {
		return nil, err
	}
	if err := a.provider.Pool.ExpectHashes(ctx); err != nil {
		return nil, fmt.Errorf("measure the hashes of passwords: %w", err)
	}
	return db, a.keepDemoPasswords(ctx, o.DemoPasswords)
}

// mailbox is where the messages of a demo go.
func mailbox(o Options) *notify.Mailbox {
	if o.Demo && o.Mailbox == nil {
		return notify.NewMailbox(nil)
	}
	return o.Mailbox
}

// clientIP is the address of the browser: the gate has put it there. A call of
// the gate itself has none, and is nobody's client.
func clientIP(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// openKeys reads the keys of cookies and of signed identity headers.
func (a *App) openKeys() error {
	cookie, err := a.config.openRing(keyring.Cookie)
	if err != nil {
		return err
	}
	a.cookieKeys = cookieKeys(cookie)
	assertion, err := a.config.openRing(keyring.Assertion)
	if err != nil {
		return err
	}
	a.assertionKeys, err = assertionKeys(assertion)
	return err
}

// openFeed opens the feed of revocations: the event table of the provider, or a
// file of its own.
func (a *App) openFeed(ctx context.Context, db *store.DB) error {
	c := a.config
	var journals session.Journal
	if db != nil {
		journals = journal{db, c.IDP.Issuer.String()}
	} else {
		if err := c.makeDataDir(); err != nil {
			return err
		}
		file, err := session.OpenFileJournal(filepath.Join(c.DataDir, "revocations.log"))
		if err != nil {
			return err
		}
		a.closers = append(a.closers, file.Close)
		journals = file
	}
	var err error
	if a.feed, err = session.NewFeed(ctx, journals, a.log); err != nil {
		return err
	}
	// No more than a quarter of what the process may have, whatever was wished for.
	a.principals = principal.New(min(int64(c.Principals.Max), debug.SetMemoryLimit(-1)/4), a.feed.Revoked)
	a.tasks = append(a.tasks, a.feed.Run)
	if db != nil {
		a.tasks = append(a.tasks, func(ctx context.Context) { wake(ctx, db, a.feed) })
	}
	return nil
}

// wake makes the feed read what this process has just written.
func wake(ctx context.Context, db *store.DB, feed *session.Feed) {
	for {
		changed := db.Changed()
		feed.Wake()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// ownIssuer describes the embedded provider to the verifier of access tokens.
func (a *App) ownIssuer() *bearer.Issuer {
	if a.provider == nil {
		return nil
	}
	return bearer.Own(a.provider.Issuer().String())
}

// clientFor returns the client for calls to an issuer: the embedded provider is
// answered in process, everybody else over the network.
func (a *App) clientFor(issuer string) *http.Client {
	if a.provider != nil && a.provider.Issuer().String() == issuer {
		return inproc.Client(a.provider.Issuer(), a.provider)
	}
	return inproc.Bounded(&http.Client{Transport: outbound})
}
