package store

import (
	"context"
	"path/filepath"

	"gatehouse/internal/conf"
)

// Config is the section `idp.store`: where the user pool is kept. Absent, it is
// the SQLite file pool.db in data_dir, for one gatehouse.
type Config struct {
	Pos conf.Pos `yaml:"-"`
	// Postgres is the URL of a PostgreSQL database, from version 15, which any
	// number of gatehouses may share: postgres://USER:PASSWORD@HOST:5432/DATABASE
	// with sslmode and the other parameters of libpq for addresses and TLS. It
	// is a secret: ${file:secrets/database.url}. Default none: SQLite.
	Postgres conf.Secret `yaml:"postgres"`
	// Connections is how many connections one gatehouse opens to PostgreSQL at
	// most, 2 to 1000: one writes, the others read. Default 10.
	Connections int `yaml:"connections"`
	// InsecureSSLMode accepts another sslmode than verify-full to a server that
	// is not on this machine: whoever is in between can then be the database,
	// and sign in as anybody. Default false.
	InsecureSSLMode bool `yaml:"insecure_sslmode"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() { c.Connections = 10 }

// Check reports what is wrong with the section. It reads the certificates that
// the URL names, and connects to nothing.
func (c *Config) Check(r *conf.Report) {
	if c.Connections < 2 || c.Connections > 1000 {
		r.Errorf(&c.Connections, "idp.store.connections is %d, want 2 to 1000", c.Connections)
	}
	if c.Postgres == "" {
		if r.Has(&c.Postgres) {
			r.Errorf(&c.Postgres, "idp.store.postgres is empty; leave it out to keep the user pool in a file of data_dir")
			return
		}
		for name, field := range map[string]any{"connections": &c.Connections, "insecure_sslmode": &c.InsecureSSLMode} {
			if r.Has(field) {
				r.Errorf(field, "idp.store.%s is for PostgreSQL, and postgres is absent: the user pool is in a file of data_dir", name)
			}
		}
		return
	}
	if _, err := newPostgres(*c); err != nil {
		r.Errorf(&c.Postgres, "idp.store.postgres: %v", err)
	}
}

// File is where the SQLite file is in a data directory.
func File(dataDir string) string { return filepath.Join(dataDir, "pool.db") }

// Name says which database it is, without a secret.
func (c *Config) Name(dataDir string) string {
	if c.Postgres == "" {
		return File(dataDir)
	}
	e, err := newPostgres(*c)
	if err != nil {
		return "postgres"
	}
	return e.name()
}

// Exists reports whether there is a database already; it is what decides whether
// keyring.OpenSealing may make a key.
func (c *Config) Exists(ctx context.Context, dataDir string) (bool, error) {
	if c.Postgres == "" {
		return Exists(File(dataDir))
	}
	return postgresExists(ctx, *c)
}

// Open opens the database; see [Open] and [OpenPostgres].
func (c *Config) Open(ctx context.Context, dataDir string, o Options) (*DB, error) {
	if c.Postgres == "" {
		return Open(ctx, File(dataDir), o)
	}
	return OpenPostgres(ctx, *c, o)
}
