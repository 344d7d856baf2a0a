package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"gatehouse/idp"
	"gatehouse/idp/keys"
	"gatehouse/idp/notify"
	"gatehouse/idp/password/breach"
	"gatehouse/idp/store"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
	"gatehouse/session"
)

// Store is the provider's domain on its database, for the command line.
type Store struct {
	idp.Domain
	db     *store.DB
	sealer *keyring.Sealer
	listed *breach.Checker
}

// ErrNoProvider says that the configuration has no embedded provider.
var ErrNoProvider = errors.New("the configuration has no idp section, so there is no user pool here")

// OpenStore opens the database of a configuration beside a running server, or
// without one. It makes and migrates nothing.
func OpenStore(ctx context.Context, plan *Plan) (*Store, error) { return openStore(ctx, plan, nil) }

// OpenStoreForPasswords is OpenStore for who sets passwords: those in lists of
// stolen ones are refused, as the server refuses them. It takes longer, since the
// filter file is read whole.
func OpenStoreForPasswords(ctx context.Context, plan *Plan) (*Store, error) {
	if plan.Config.IDP == nil {
		return nil, ErrNoProvider
	}
	listed, err := breach.Open(plan.Config.IDP.Password.Breached)
	if err != nil {
		return nil, fmt.Errorf("idp.password.breached: %w", err)
	}
	st, err := openStore(ctx, plan, listed)
	if err != nil {
		return nil, errors.Join(err, listed.Close())
	}
	return st, nil
}

func openStore(ctx context.Context, plan *Plan, listed *breach.Checker) (*Store, error) {
	c := plan.Config
	if c.IDP == nil {
		return nil, ErrNoProvider
	}
	exists, err := c.IDP.Store.Exists(ctx, c.DataDir)
	if err != nil {
		return nil, err
	}
	if !exists {
		return nil, fmt.Errorf("open database %s: %w; `gatehouse serve` makes it at its first start", c.IDP.Store.Name(c.DataDir), store.ErrNoStore)
	}
	sealer, err := c.openSealer(false, os.Getenv(SealingEnv))
	if err != nil {
		return nil, err
	}
	db, err := c.IDP.Store.Open(ctx, c.DataDir, store.Options{AnyKind: true, Sealer: sealer, RevocationLife: c.revocationLife()})
	if err != nil {
		return nil, err
	}
	domain, err := newDomain(ctx, c.IDP, idp.Deps{DB: db, Sealer: sealer, Listed: listed})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{Domain: domain, db: db, sealer: sealer, listed: listed}, nil
}

// newDomain is the domain of the command line: what it enqueues, the server sends.
func newDomain(ctx context.Context, cfg *idp.Config, d idp.Deps) (idp.Domain, error) {
	var err error
	if d.Demo, err = d.DB.Demo(ctx); err != nil {
		return idp.Domain{}, err
	}
	if d.Demo {
		d.Mailbox = notify.NewMailbox(nil)
	}
	return idp.NewDomain(cfg, d)
}

// Close closes the database, and the filter of stolen passwords.
func (s *Store) Close() error { return errors.Join(s.db.Close(), s.listed.Close()) }

// Events returns up to limit events of the pool with a Seq above after, in order.
func (s *Store) Events(ctx context.Context, after int64, limit int) ([]audit.Event, error) {
	return s.db.EventsSince(ctx, after, limit)
}

// TokenKeys returns the provider's signing keys, with their private parts
// sealed.
func (s *Store) TokenKeys(ctx context.Context) ([]keys.Row, error) { return s.db.Keys().List(ctx) }

// Reseal seals what the database holds under the newest sealing key; the ring
// has just been rotated.
func (s *Store) Reseal(ctx context.Context) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		return errors.Join(s.Keys.Reseal(ctx), s.Factors.Reseal(ctx), s.db.Reseal(ctx, s.sealer))
	})
}

// openDatabase opens or makes the database and its sealing key for a server.
func (c *Config) openDatabase(ctx context.Context, o Options, log *slog.Logger) (*store.DB, *keyring.Sealer, error) {
	exists, err := c.IDP.Store.Exists(ctx, c.DataDir)
	if err != nil {
		return nil, nil, err
	}
	if err := c.makeDataDir(); err != nil {
		return nil, nil, err
	}
	sealer, err := c.openSealer(!exists, os.Getenv(SealingEnv))
	if err != nil {
		return nil, nil, err
	}
	if !exists && !o.Demo {
		log.InfoContext(ctx, "making a new user pool and its sealing key", "database", c.IDP.Store.Name(c.DataDir), "secrets", c.SecretsDir)
	}
	db, err := c.IDP.Store.Open(ctx, c.DataDir, store.Options{
		Demo: o.Demo, Create: true, Migrate: true, Sealer: sealer, RevocationLife: c.revocationLife(), Log: log,
	})
	if err != nil {
		return nil, nil, err
	}
	return db, sealer, nil
}

// journal keeps the gate's revocations in the provider's table of events.
type journal struct {
	db     *store.DB
	issuer string
}

// Append records revocations as one event.
func (j journal) Append(ctx context.Context, rs ...session.Revocation) error {
	e := audit.Event{Type: "session.ended", Actor: "gateway"}
	for _, r := range rs {
		issuer := r.Issuer
		if issuer == j.issuer {
			issuer = ""
		}
		e.Target = r.Value
		e.Revoke = append(e.Revoke, audit.Revoke{Kind: string(r.Kind), Issuer: issuer, Value: r.Value, NotBefore: r.NotBefore, Expires: r.Expires})
	}
	return j.db.Append(ctx, e)
}

// Since reads them back, with those of the provider itself.
func (j journal) Since(ctx context.Context, seq int64) ([]session.Revocation, int64, error) {
	rows, highest, err := j.db.RevocationsSince(ctx, seq)
	if err != nil {
		return nil, 0, err
	}
	rs := make([]session.Revocation, 0, len(rows))
	for _, r := range rows {
		kind, issuer := session.RevocationKind(r.Kind), r.Issuer
		if issuer == "" && kind != session.RevokeSID {
			issuer = j.issuer
		}
		rs = append(rs, session.Revocation{Seq: r.Seq, Kind: kind, Issuer: issuer, Value: r.Value, NotBefore: r.NotBefore, Expires: r.Expires})
	}
	return rs, highest, nil
}
