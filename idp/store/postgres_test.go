package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/idp/pool"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/idp/store/storetest/pgserver"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
	"gatehouse/internal/conf"
)

// What the file's text cannot show: that the other engine takes it too.
func TestEveryQueryIsUnderstoodByBothEngines(t *testing.T) {
	texts := queries(t)
	try := func(t *testing.T, driver, name string) {
		db, err := sql.Open(driver, name)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for name, q := range texts {
			stmt, err := db.PrepareContext(t.Context(), q)
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, q)
				continue
			}
			stmt.Close()
		}
		if stmt, err := db.PrepareContext(t.Context(), "SELECT nothing FROM nowhere"); err == nil {
			stmt.Close()
			t.Error("a wrong query was understood: this test would show nothing")
		}
	}
	t.Run("sqlite", func(t *testing.T) { try(t, "sqlite", storetest.Open(t, nil).Name()) })
	t.Run("postgres", func(t *testing.T) { try(t, "pgx", storetest.PostgresConfig(t).Postgres.Reveal()) })
}

// Replicas that are started together on an empty database find it made once.
func TestManyStartOnAnEmptyDatabaseAtOnce(t *testing.T) {
	start := func(t *testing.T, c store.Config, dir string) {
		const starters = 8
		o := store.Options{Create: true, Migrate: true, Sealer: storetest.Sealer(t)}
		var wg sync.WaitGroup
		all := make([]*store.DB, starters)
		for i := range all {
			wg.Go(func() {
				var err error
				if all[i], err = c.Open(t.Context(), dir, o); err != nil {
					t.Errorf("starter %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		for i, db := range all {
			if db == nil {
				continue
			}
			if err := db.Append(t.Context(), audit.Event{Type: fmt.Sprint("started.", i)}); err != nil {
				t.Errorf("starter %d: %v", i, err)
			}
			defer db.Close()
		}
		if t.Failed() {
			return
		}
		if events, err := all[0].EventsSince(t.Context(), 0, 100); err != nil || len(events) != starters {
			t.Errorf("%d events, %v; want %d", len(events), err, starters)
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		var c store.Config
		c.Defaults()
		start(t, c, t.TempDir())
	})
	t.Run("postgres", func(t *testing.T) { start(t, storetest.EmptyPostgres(t), "") })
}

// A demo and a real gatehouse that begin at once do not both get the database.
func TestTwoKindsAtOnceAreNotBothRight(t *testing.T) {
	c := storetest.EmptyPostgres(t)
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() {
			var db *store.DB
			o := store.Options{Demo: i == 1, Create: true, Migrate: true, Sealer: storetest.Sealer(t)}
			if db, errs[i] = c.Open(t.Context(), "", o); errs[i] == nil {
				db.Close()
			}
		})
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), store.ErrDemo) {
		t.Fatalf("errors = %v, want one ErrDemo", errs)
	}
}

func TestPostgresIsRefusedLikeAFile(t *testing.T) {
	ctx := t.Context()
	empty := storetest.EmptyPostgres(t)
	if exists, err := empty.Exists(ctx, ""); exists || err != nil {
		t.Errorf("Exists of an empty database = %v, %v", exists, err)
	}
	if _, err := empty.Open(ctx, "", store.Options{AnyKind: true}); !errors.Is(err, store.ErrNoStore) {
		t.Errorf("the command line on an empty database: %v, want ErrNoStore", err)
	}
	full := storetest.PostgresConfig(t)
	if exists, err := full.Exists(ctx, ""); !exists || err != nil {
		t.Errorf("Exists = %v, %v, want true", exists, err)
	}
	if _, err := full.Open(ctx, "", store.Options{Demo: true, Create: true, Migrate: true, Sealer: storetest.Sealer(t)}); !errors.Is(err, store.ErrDemo) {
		t.Errorf("a demo on a real database: %v, want ErrDemo", err)
	}
	if _, err := full.Open(ctx, "", store.Options{Sealer: otherSealer(t)}); !errors.Is(err, store.ErrSealingKey) {
		t.Errorf("another sealing key: %v, want ErrSealingKey", err)
	}
	run(t, full, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)")
	if _, err := full.Open(ctx, "", store.Options{Create: true, Migrate: true, Sealer: storetest.Sealer(t)}); !errors.Is(err, store.ErrSchema) {
		t.Errorf("a newer schema: %v, want ErrSchema", err)
	}
}

func run(t *testing.T, c store.Config, query string) {
	t.Helper()
	db, err := sql.Open("pgx", c.Postgres.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}

// What is looked at in a transaction is so until it ends, whoever else writes.
func TestALookAndTheWriteThatDependsOnItAreOne(t *testing.T) {
	one := storetest.PostgresConfig(t)
	var stores []*store.DB
	for range 3 {
		db, err := one.Open(t.Context(), "", store.Options{Sealer: storetest.Sealer(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		stores = append(stores, db)
	}
	const limit = 5
	var wg sync.WaitGroup
	for i := range storetest.Callers {
		db := stores[i%len(stores)]
		wg.Go(func() {
			err := db.InTx(t.Context(), func(ctx context.Context) error {
				have, err := db.Groups().List(ctx)
				if err != nil || len(have) >= limit {
					return err
				}
				return db.Groups().Insert(ctx, pool.Group{Name: fmt.Sprint("g", i)})
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if have, err := stores[0].Groups().List(t.Context()); err != nil || len(have) != limit {
		t.Errorf("%d groups, %v; want %d", len(have), err, limit)
	}
}

// Statements that lock rows in another order than a transaction would dead-lock
// if they did not take turns.
func TestStatementsAndTransactionsDoNotDeadlock(t *testing.T) {
	c := storetest.PostgresConfig(t)
	var wg sync.WaitGroup
	for n := range 4 {
		db, err := c.Open(t.Context(), "", store.Options{Sealer: storetest.Sealer(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		wg.Go(func() {
			for i := range 40 {
				id := fmt.Sprint("f", i%4)
				hash := []byte{byte(n), byte(i), 1}
				now := time.Now()
				_ = db.Families().Insert(t.Context(), familyOf(id, now), hash) // often there already
				if _, err := db.Families().Rotate(t.Context(), hash, []byte{byte(n), byte(i), 2}, now); err != nil {
					t.Error(err)
				}
				if _, err := db.Families().End(t.Context(), id); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func familyOf(id string, now time.Time) token.Family {
	return token.Family{ID: id, Authorization: token.Authorization{ClientID: "web", UserID: "u1"}, Created: now, Expires: now.Add(time.Hour)}
}

func TestTextThatPostgresRefusesIsNobodysName(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB, func() time.Time) *store.DB) {
		db := open(t, nil)
		for _, name := range []string{"bob\x00", "\xff\xfe", "bob\xc3"} {
			if _, err := db.Users().Find(t.Context(), name); !errors.Is(err, pool.ErrNotFound) {
				t.Errorf("Find(%q) = %v, want ErrNotFound", name, err)
			}
		}
		s := storetest.Session("s1", "u1")
		s.UserAgent = "Browser \xe9\x00"
		if err := db.Sessions().Insert(t.Context(), s); err != nil {
			t.Fatalf("a session of an odd browser: %v", err)
		}
		if got, err := db.Sessions().FindByTicket(t.Context(), s.TicketHash); err != nil || got.UserAgent != "Browser \uFFFD\uFFFD" {
			t.Errorf("UserAgent = %q, %v", got.UserAgent, err)
		}
	})
}

func TestReadersDoNotWrite(t *testing.T) {
	db := storetest.Postgres(t, nil)
	if err := store.WriteAsReader(t, db); err == nil {
		t.Error("a connection for reading wrote")
	}
}

// Waiting writers hold no connection, or nobody could read while they wait.
func TestReadingGoesOnWhileWritersWait(t *testing.T) {
	c := storetest.PostgresConfig(t)
	c.Connections = 2
	db, err := c.Open(t.Context(), "", store.Options{Sealer: storetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var wg sync.WaitGroup
	err = db.InTx(t.Context(), func(context.Context) error {
		for range storetest.Callers {
			wg.Go(func() {
				if err := db.Append(t.Context(), audit.Event{Type: "x"}); err != nil {
					t.Error(err)
				}
			})
		}
		_, _, err := db.RevocationsSince(t.Context(), 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

// A writer that waits for another replica gives up when a writer would in SQLite.
func TestWaitingForAnotherWriterEnds(t *testing.T) {
	c := storetest.PostgresConfig(t)
	a, err := c.Open(t.Context(), "", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := c.Open(t.Context(), "", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	began := time.Now()
	err = a.InTx(t.Context(), func(context.Context) error { return b.Append(t.Context(), audit.Event{Type: "x"}) })
	if err == nil || !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("waiting for ever: %v, want a lock timeout", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %s, want about 5 s", took)
	}
}

func TestRestartedServerIsFoundAgain(t *testing.T) {
	c := storetest.PostgresConfig(t)
	db, err := c.Open(t.Context(), "", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := db.Append(ctx, audit.Event{Type: "before"}); err != nil {
		t.Fatal(err)
	}
	// A restart ends every connection.
	run(t, c, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	for {
		_, _, readErr := db.RevocationsSince(ctx, 0)
		writeErr := db.Append(ctx, audit.Event{Type: "after"})
		if readErr == nil && writeErr == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the database was not found again: %v, %v", readErr, writeErr)
		}
	}
}

func TestNoErrorTellsThePassword(t *testing.T) {
	const password = "hunter2secret"
	for _, url := range []string{
		"postgres://u:" + password + "@127.0.0.1:1/db",
		"postgres://u:" + password + "@127.0.0.1:nonsense/db",
		"postgres://u:" + password + "@@@/db",
		"postgres://u:" + password + "@[::1/db",
		"postgres://u:" + password + " x@127.0.0.1/db",
		"postgres://u:%zz" + password + "@127.0.0.1/db",
		"postgres://u@127.0.0.1:1/db?password=" + password,
		"postgres://u@127.0.0.1:1/db?sslmode=" + password + "&password=" + password,
		"postgres://u:" + password + "@127.0.0.1:1/db?options=" + password,
		"postgres://u:" + password + "@db.example.com/db?sslmode=require",
		"postgres://u:" + password + "@127.0.0.1:1/?sslmode=disable",
		"host=127.0.0.1 password=" + password,
		"mysql://u:" + password + "@127.0.0.1/db",
	} {
		c := store.Config{Postgres: conf.Secret(url), Connections: 2}
		_, err := c.Open(t.Context(), "", store.Options{AnyKind: true})
		if err == nil {
			t.Errorf("%s was opened", url)
			continue
		}
		_, existsErr := c.Exists(t.Context(), "")
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v", existsErr), c.Name(""), fmt.Sprintf("%+v %#v", c, c)} {
			if strings.Contains(text, password) {
				t.Errorf("%s: the password is told: %s", url, text)
			}
		}
	}
}

func TestServerElsewhereMustProveItself(t *testing.T) {
	for url, fine := range map[string]bool{
		"postgres://u@127.0.0.1/db":                                            true,
		"postgres://u@localhost/db?sslmode=disable":                            true,
		"postgres://u@[::1]/db":                                                true,
		"postgres://u@/db?host=/run/postgresql":                                true,
		"postgres://u@db.example.com/db?sslmode=verify-full":                   true,
		"postgresql://u@a.example.com,b.example.com/db?sslmode=verify-full":    true,
		"postgres://u@db.example.com/db":                                       false,
		"postgres://u@db.example.com/db?sslmode=prefer":                        false,
		"postgres://u@db.example.com/db?sslmode=require":                       false,
		"postgres://u@db.example.com/db?sslmode=verify-ca":                     false,
		"postgres://u@db.example.com/db?sslmode=disable":                       false,
		"postgres://u@127.0.0.1,db.example.com/db?sslmode=prefer":              false,
		"postgres://u@127.0.0.1/db?host=db.example.com":                        false,
		"postgres://u@127.0.0.1.example.com/db":                                false,
		"postgres://u@db.example.com/db?sslmode=verify-full&service=elsewhere": false,
		"postgres://u@127.0.0.1/db?options=-c%20synchronous_commit%3Doff":      false,
		"postgres://u@127.0.0.1/db?target_session_attrs=any":                   false,
		"postgres://u@db.example.com/db?sslmode=verify-full&sslmode=disable":   false,
		"postgres://u@db.example.com/db?sslmode=disable&sslmode=verify-full":   true,
	} {
		c := store.Config{Postgres: conf.Secret(url), Connections: 2}
		err := store.CheckURL(c)
		if (err == nil) != fine {
			t.Errorf("%s: %v, want it fine: %v", url, err, fine)
		}
		c.InsecureSSLMode = true
		if elsewhere := strings.Contains(fmt.Sprint(err), "insecure_sslmode"); elsewhere && store.CheckURL(c) != nil {
			t.Errorf("%s with insecure_sslmode: %v", url, store.CheckURL(c))
		}
	}
	t.Setenv("PGSSLMODE", "disable")
	if err := store.CheckURL(store.Config{Postgres: "postgres://u@db.example.com/db"}); err == nil {
		t.Error("the environment took TLS away")
	}
}

// Whatever ends the holder ends the server, and leaves nothing behind.
func TestPrivateServerEnds(t *testing.T) {
	server, err := pgserver.Start(t.Context())
	if errors.Is(err, pgserver.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if exists, err := store.Exists(server.Dir); exists || err != nil {
		t.Errorf("%s is still there (%v)", server.Dir, err)
	}
}
