package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"gatehouse/internal/keyring"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate compares the schema with what this program knows, and moves it when it
// is allowed to.
func (db *DB) migrate(ctx context.Context, o Options) error {
	have, want, err := db.versions(ctx)
	if err != nil {
		return err
	}
	switch {
	case have == want:
		return nil
	case have > want:
		return fmt.Errorf("%w: it is version %d and this program knows %d; use the newer program", ErrSchema, have, want)
	case have == 0 && !o.Create:
		return fmt.Errorf("%w: it holds no schema of ours", ErrSchema)
	case have > 0 && !o.Migrate:
		return fmt.Errorf("%w: it is version %d and this program needs %d; start `gatehouse serve` of this version once", ErrSchema, have, want)
	}
	if err := db.migrating(ctx, func(p *goose.Provider) error {
		_, err := p.Up(ctx)
		return err
	}); err != nil {
		return fmt.Errorf("migrate schema: %w", err)
	}
	return nil
}

// migrating runs do with the migrations; see engine.
func (db *DB) migrating(ctx context.Context, do func(p *goose.Provider) error) error {
	return db.engine.migrating(ctx, db, func(pool *sql.DB) error {
		// A new one each time: what goose found out about the database may not be
		// so any more.
		p, err := db.migrations(pool)
		if err != nil {
			return err
		}
		return do(p)
	})
}

func (db *DB) migrations(pool *sql.DB) (*goose.Provider, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(db.engine.dialect().goose, pool, sub, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

// schemaVersion is the version that this program needs.
func schemaVersion() (int64, error) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil || len(files) == 0 {
		return 0, errors.Join(errors.New("there are no migrations"), err)
	}
	return goose.NumericComponent(files[len(files)-1])
}

// versions returns the version of the database's schema, 0 for none, and of
// this program's.
func (db *DB) versions(ctx context.Context) (have, want int64, err error) {
	err = db.migrating(ctx, func(p *goose.Provider) error {
		have, want, err = p.GetVersions(ctx)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("read schema version: %w", err)
	}
	return have, want, nil
}

const (
	qMetaAdd = `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	qMetaSet = `UPDATE meta SET value = $1 WHERE name = $2`
	qMetaGet = `SELECT value FROM meta WHERE name = $1`
)

// checkMeta writes what a new database is, and refuses one that is something else.
func (db *DB) checkMeta(ctx context.Context, o Options) error {
	kind, err := db.meta(ctx, "demo")
	if errors.Is(err, sql.ErrNoRows) {
		if !o.Create {
			return fmt.Errorf("%w: its first start was cut short; start it again", ErrSchema)
		}
		if err := db.writeMeta(ctx, o); err != nil {
			return err
		}
		// Several may have come at once: what the first one wrote is what counts.
		kind, err = db.meta(ctx, "demo")
	}
	if err != nil {
		return err
	}
	if demo := kind == "true"; demo != o.Demo && !o.AnyKind {
		if demo {
			return fmt.Errorf("%w: it was made by `gatehouse demo`, whose passwords are not secret; use another data directory", ErrDemo)
		}
		return fmt.Errorf("%w: it was not made by `gatehouse demo`, which would put demo users into it; use another data directory", ErrDemo)
	}
	if o.Sealer == nil {
		return nil
	}
	proof, err := db.meta(ctx, "seal_proof")
	if err != nil {
		return err
	}
	return checkProof(o.Sealer, proof)
}

func checkProof(s *keyring.Sealer, proof string) error {
	if _, err := s.Open(unbase(proof), "seal-proof", "meta", "value", "seal_proof"); err != nil {
		return fmt.Errorf("%w: bring back the key file it was made with", ErrSealingKey)
	}
	return nil
}

func (db *DB) writeMeta(ctx context.Context, o Options) error {
	if o.Sealer == nil {
		return errors.New("a new database needs a sealing key")
	}
	proof, err := sealProof(o.Sealer)
	if err != nil {
		return err
	}
	return db.InTx(ctx, func(ctx context.Context) error {
		if _, err := db.exec(ctx, qMetaAdd, "seal_proof", proof); err != nil {
			return err
		}
		_, err := db.exec(ctx, qMetaAdd, "demo", fmt.Sprint(o.Demo))
		return err
	})
}

// Reseal proves the newest sealing key instead of the one before; it is called
// with keys.Ring.Reseal when the sealing ring was rotated.
func (db *DB) Reseal(ctx context.Context, s *keyring.Sealer) error {
	proof, err := sealProof(s)
	if err != nil {
		return err
	}
	_, err = db.exec(ctx, qMetaSet, proof, "seal_proof")
	return err
}

func sealProof(s *keyring.Sealer) (string, error) {
	sealed, err := s.Seal([]byte("gatehouse"), "seal-proof", "meta", "value", "seal_proof")
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return base(sealed), nil
}

// Demo reports whether the database was made by the demo.
func (db *DB) Demo(ctx context.Context) (bool, error) {
	kind, err := db.meta(ctx, "demo")
	return kind == "true", err
}

func (db *DB) meta(ctx context.Context, name string) (string, error) {
	var value string
	err := db.one(ctx, qMetaGet, name).Scan(&value)
	return value, err
}
