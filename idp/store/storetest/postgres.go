package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest/pgserver"
	"gatehouse/internal/conf"
)

// PostgresEnv names the environment variable with the directory of a private
// PostgreSQL; see withpostgres. Without it, each process of tests starts its own.
const PostgresEnv = "GATEHOUSE_POSTGRES"

// private is the server of this process. It ends with the process.
var private struct {
	once     sync.Once
	server   *pgserver.Server
	dir      string
	template string
	err      error
}

// Each runs test as a subtest for each engine, with what opens a new database
// of it; a nil clock is time.Now.
func Each(t *testing.T, test func(t *testing.T, open func(tb testing.TB, now func() time.Time) *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, Open) })
	t.Run("postgres", func(t *testing.T) {
		needPostgres(t)
		test(t, Postgres)
	})
}

// Postgres returns a new database on a private PostgreSQL; now may be nil. It
// skips the test when PostgreSQL is not installed.
func Postgres(tb testing.TB, now func() time.Time) *store.DB {
	tb.Helper()
	db, err := store.OpenPostgres(tb.Context(), PostgresConfig(tb), store.Options{Sealer: Sealer(tb), Now: now})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close database: %v", err)
		}
	})
	return db
}

// PostgresConfig returns the configuration of a new database that holds the
// schema and belongs to [Sealer]'s key.
func PostgresConfig(tb testing.TB) store.Config {
	tb.Helper()
	needPostgres(tb)
	return makeDatabase(tb, private.template)
}

// EmptyPostgres returns the configuration of a new database that holds nothing.
func EmptyPostgres(tb testing.TB) store.Config {
	tb.Helper()
	needPostgres(tb)
	return makeDatabase(tb, "template0")
}

func makeDatabase(tb testing.TB, template string) store.Config {
	tb.Helper()
	name := randomName()
	if err := admin(tb.Context(), "CREATE DATABASE "+name+" TEMPLATE "+template+" STRATEGY FILE_COPY"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		// The context of the test is over.
		if err := admin(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Errorf("drop database: %v", err)
		}
	})
	return config(name)
}

func config(database string) store.Config {
	c := store.Config{Postgres: conf.Secret(pgserver.URL(private.dir, database))}
	c.Defaults()
	return c
}

func randomName() string { return "t" + strings.ToLower(rand.Text()) }

// needPostgres starts the server of this process, once.
func needPostgres(tb testing.TB) {
	tb.Helper()
	private.once.Do(func() { private.err = start(tb) })
	switch {
	case errors.Is(private.err, pgserver.ErrMissing) && os.Getenv("GATEHOUSE_E2E") != "1":
		tb.Skip(private.err)
	case private.err != nil:
		tb.Fatal(private.err)
	}
}

// start finds or starts a server and makes the template of all databases. Its
// context is not the first test's, which the server outlives.
func start(tb testing.TB) (err error) {
	if private.dir = os.Getenv(PostgresEnv); private.dir == "" {
		if private.server, err = pgserver.Start(context.Background()); err != nil {
			return err
		}
		private.dir = private.server.Dir
	}
	private.template = randomName()
	if err := admin(tb.Context(), "CREATE DATABASE "+private.template); err != nil {
		return err
	}
	db, err := store.OpenPostgres(tb.Context(), config(private.template), store.Options{Create: true, Migrate: true, Sealer: Sealer(tb)})
	if err != nil {
		return err
	}
	return db.Close()
}

// admin runs a statement as the superuser.
func admin(ctx context.Context, query string) error {
	return Admin(ctx, pgserver.URL(private.dir, "postgres"), query)
}

// Admin runs a statement at a server of pgserver whose superuser's URL is url, when
// it has come up.
func Admin(ctx context.Context, url, query string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for {
		_, err = db.ExecContext(ctx, query)
		if err == nil || !startingUp(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// startingUp tells whether the server said that it takes nobody yet.
func startingUp(err error) bool {
	var bad *pgconn.PgError
	return errors.As(err, &bad) && bad.Code == "57P03"
}
