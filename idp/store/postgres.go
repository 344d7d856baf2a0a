package store

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// Numbers of advisory locks, which are per database: who writes, and who moves
// the schema.
const (
	lockWrite   = 0x6761746501
	lockMigrate = 0x6761746502
)

const (
	// statementLimit is how long PostgreSQL works on one statement, and lockLimit
	// how long one waits for another writer, as SQLite's busy time-out.
	statementLimit = 15 * time.Second
	lockLimit      = 5 * time.Second
	// silenceLimit ends a statement whose answer does not come: the machine is
	// gone, or the network.
	silenceLimit = 20 * time.Second
	// idleLimit is when the server gives up a transaction whose client is gone,
	// and with it the lock that all writers wait for.
	idleLimit = 30 * time.Second
	// dialLimit is how long connecting takes that names no connect_timeout.
	dialLimit = 5 * time.Second
	// A connection is not kept for ever, so that addresses that moved are found.
	connectionLife = time.Hour
	connectionIdle = 5 * time.Minute
)

// parameters are what a URL may set: where, who, and TLS. Others would change
// what statements do, or read files that name servers.
var parameters = []string{
	"host", "port", "dbname", "user", "password", "passfile", "connect_timeout",
	"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslnegotiation", "channel_binding",
}

// postgres is a database of a PostgreSQL server, shared with other processes.
type postgres struct {
	config      *pgx.ConnConfig
	connections int
}

// OpenPostgres opens the PostgreSQL database of c. ErrNoStore, ErrDemo,
// ErrSchema, ErrSealingKey; each text is a sentence for the operator and none
// holds the password.
func OpenPostgres(ctx context.Context, c Config, o Options) (*DB, error) {
	e, err := newPostgres(c)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if o.Create && (o.Sealer == nil || o.AnyKind) {
		return nil, fmt.Errorf("open database %s: a new database needs a sealing key and a kind", e.name())
	}
	if !o.Create {
		switch exists, err := e.exists(ctx); {
		case err != nil:
			return nil, fmt.Errorf("open database %s: %w", e.name(), err)
		case !exists:
			return nil, fmt.Errorf("open database %s: %w", e.name(), ErrNoStore)
		}
	}
	return open(ctx, e, o)
}

// newPostgres reads the URL. Errors hold nothing of it but what is no secret.
func newPostgres(c Config) (*postgres, error) {
	u, err := url.Parse(c.Postgres.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, errors.New("it is no URL such as postgres://USER:PASSWORD@HOST:5432/DATABASE; what is special in a password must be percent-encoded")
	}
	config, err := pgx.ParseConfigWithOptions(c.Postgres.Reveal(), pgx.ParseConfigOptions{
		ParseConfigOptions: pgconn.ParseConfigOptions{ConnStringAllowedKeys: parameters},
	})
	if err != nil {
		return nil, parseError(err, u)
	}
	if config.Database == "" {
		return nil, errors.New("the URL names no database")
	}
	if !c.InsecureSSLMode {
		if err := checkTLS(config); err != nil {
			return nil, err
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = dialLimit
	}
	config.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3,
	}}).DialContext
	// Among several addresses the one that takes writes, also after a failover.
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	config.RuntimeParams = map[string]string{
		// One for each that opens it, so that they can be told apart.
		"application_name":                    "gatehouse " + rand.Text()[:8],
		"client_encoding":                     "UTF8",
		"statement_timeout":                   milliseconds(statementLimit),
		"lock_timeout":                        milliseconds(lockLimit),
		"idle_in_transaction_session_timeout": milliseconds(idleLimit),
		// Every statement has to see what was committed before it: whoever got
		// the lock would otherwise decide on what was there before they waited.
		"default_transaction_isolation": "read committed",
		"default_transaction_read_only": "off",
		"synchronous_commit":            "on",
	}
	return &postgres{config, c.Connections}, nil
}

// parseError tells why a URL is refused, unless that repeats a part of it that
// may be the password.
func parseError(err error, u *url.URL) error {
	var bad *pgconn.ParseConfigError
	text := ""
	if errors.As(err, &bad) && errors.Unwrap(bad) != nil {
		text = errors.Unwrap(bad).Error()
	}
	password, given := u.User.Password()
	var inURL *url.Error
	if text == "" || errors.As(err, &inURL) || given && password != "" && strings.Contains(text, password) || u.Query().Has("password") {
		return errors.New("it cannot be read; look at its host, port and parameters (" + strings.Join(parameters, ", ") + ")")
	}
	return errors.New(text)
}

// checkTLS refuses a way to another machine on which the server need not prove
// who it is. A configuration has several ways when it names several hosts, or an
// sslmode that falls back.
func checkTLS(config *pgx.ConnConfig) error {
	ways := append([]*pgconn.FallbackConfig{{Host: config.Host, TLSConfig: config.TLSConfig}}, config.Fallbacks...)
	for _, w := range ways {
		if !here(w.Host) && !verifies(w.TLSConfig) {
			return fmt.Errorf("the server %s need not prove who it is: set sslmode=verify-full (and sslrootcert), or accept that with insecure_sslmode: true", w.Host)
		}
	}
	return nil
}

func here(host string) bool {
	addr, err := netip.ParseAddr(host)
	return filepath.IsAbs(host) || host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func verifies(c *tls.Config) bool { return c != nil && !c.InsecureSkipVerify && c.ServerName != "" }

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

func (e *postgres) name() string {
	host := e.config.Host
	if filepath.IsAbs(host) {
		host = "[" + host + "]"
	}
	return fmt.Sprintf("postgres://%s:%d/%s", host, e.config.Port, e.config.Database)
}

func (e *postgres) dialect() dialect {
	return dialect{
		name:     e.name(),
		goose:    goose.DialectPostgres,
		snapshot: &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		limit:    silenceLimit,
		tables:   `SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'goose_db_version' ORDER BY tablename`,
		references: `SELECT a.relname::text, b.relname::text FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid JOIN pg_class b ON b.oid = c.confrelid
			WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace ORDER BY 1, 2`,
		patient: `SELECT set_config(name, '0', true) FROM unnest(ARRAY['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) name`,
		crowd: `SELECT COUNT(DISTINCT application_name) FROM pg_stat_activity WHERE datname = current_database()
			AND application_name LIKE 'gatehouse %' AND application_name <> current_setting('application_name')`,
	}
}

func (e *postgres) connect(ctx context.Context, db *DB) error {
	db.write = e.pool(1, nil)
	db.read = e.pool(max(1, e.connections-1), map[string]string{"default_transaction_read_only": "on"})
	var encoding string
	if err := db.read.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("its encoding is %s; make the database with ENCODING 'UTF8'", encoding)
	}
	return nil
}

// pool makes a pool of at most n connections, with parameters beside the usual.
func (e *postgres) pool(n int, parameters map[string]string) *sql.DB {
	config := e.config.Copy()
	maps.Copy(config.RuntimeParams, parameters)
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n)
	pool.SetConnMaxLifetime(connectionLife)
	pool.SetConnMaxIdleTime(connectionIdle)
	return pool
}

// inPlace is always so: what is open is what the server has.
func (e *postgres) inPlace() error { return nil }

// lock makes writers of all processes take turns, as SQLite does. Statements
// that are single-use by themselves would not need it; but what is looked at and
// then written would, and so would two transactions that touch the same rows in
// another order. Each statement sees what was committed before it (READ
// COMMITTED), so all of a transaction sees what the writer before it left. The
// alternative, SERIALIZABLE, would run the domain's functions twice.
func (e *postgres) lock(ctx context.Context, tx *sql.Tx) error {
	ctx, cancel := context.WithTimeout(ctx, silenceLimit)
	defer cancel()
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(lockWrite))
	return err
}

// alone asks the server who else is there.
func (e *postgres) alone(ctx context.Context, db *DB) error { return db.checkCrowd(ctx) }

// migrating holds a lock of the session, and works without limits: a migration
// may have much to do, and whoever waits for it as well.
func (e *postgres) migrating(ctx context.Context, _ *DB, do func(pool *sql.DB) error) (err error) {
	pool := e.pool(2, map[string]string{"statement_timeout": "0", "lock_timeout": "0"})
	defer func() { err = errors.Join(err, pool.Close()) }()
	// Closing the pool ends the session, and the lock with it.
	held, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	if _, err := held.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(lockMigrate)); err != nil {
		return fmt.Errorf("wait for other migrations: %w", err)
	}
	return do(pool)
}

func postgresExists(ctx context.Context, c Config) (bool, error) {
	e, err := newPostgres(c)
	if err != nil {
		return false, fmt.Errorf("look for database: %w", err)
	}
	exists, err := e.exists(ctx)
	if err != nil {
		return false, fmt.Errorf("look for database %s: %w", e.name(), err)
	}
	return exists, nil
}

// exists tells whether the database has been opened with Create before.
func (e *postgres) exists(ctx context.Context) (exists bool, err error) {
	pool := e.pool(1, nil)
	defer func() { err = errors.Join(err, pool.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, silenceLimit)
	defer cancel()
	err = pool.QueryRowContext(ctx, "SELECT to_regclass('goose_db_version') IS NOT NULL").Scan(&exists)
	return exists, err
}
