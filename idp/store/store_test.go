package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/risk"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
)

func TestStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, open func(testing.TB, func() time.Time) *store.DB) {
		storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, nil) })
	})
}

func create(t *testing.T, path string, demo bool) {
	t.Helper()
	db, err := store.Open(t.Context(), path, store.Options{Demo: demo, Create: true, Migrate: true, Sealer: storetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, path string, o store.Options, want error) {
	t.Helper()
	db, err := store.Open(t.Context(), path, o)
	if err == nil {
		db.Close()
	}
	if !errors.Is(err, want) {
		t.Fatalf("Open(%+v) error = %v, want %v", o, err, want)
	}
}

func TestDemoAndRealDatabasesNeverMix(t *testing.T) {
	for _, demo := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		create(t, path, demo)
		refused(t, path, store.Options{Demo: !demo, Create: true, Migrate: true, Sealer: storetest.Sealer(t)}, store.ErrDemo)
		create(t, path, demo)
		db, err := store.Open(t.Context(), path, store.Options{AnyKind: true})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := db.Demo(t.Context()); got != demo || err != nil {
			t.Errorf("Demo() = %v, %v, want %v", got, err, demo)
		}
		db.Close()
	}
}

func otherSealer(t *testing.T) *keyring.Sealer {
	t.Helper()
	other, err := keyring.NewSealer(bytes.Repeat([]byte{8}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return other
}

func TestDatabaseWithoutItsSealingKeyIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "data", "gatehouse.db")
	create(t, path, false)
	refused(t, path, store.Options{Sealer: otherSealer(t)}, store.ErrSealingKey)

	exists, err := store.Exists(path)
	if err != nil || !exists {
		t.Fatalf("Exists = %v, %v", exists, err)
	}
	_, err = keyring.OpenSealing(filepath.Join(dir, "secrets", "sealing.key"), !exists, "")
	if !errors.Is(err, keyring.ErrNoKey) {
		t.Fatalf("OpenSealing beside an old database: %v, want ErrNoKey", err)
	}
}

func TestMissingDatabaseIsMadeOnlyWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	refused(t, path, store.Options{Migrate: true, Sealer: storetest.Sealer(t)}, store.ErrNoStore)
	if _, err := os.Lstat(path); err == nil {
		t.Fatal("a refused Open left a file")
	}
}

func TestFilesAreClosedToOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "gatehouse.db")
	db, err := store.Open(t.Context(), path, store.Options{Create: true, Migrate: true, Sealer: storetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o, want 0600", path+suffix, info.Mode().Perm())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory: %v, %v; want 0700", info.Mode(), err)
	}
}

func TestUnsafeFilesAreRefused(t *testing.T) {
	sealer := storetest.Sealer(t)
	open := store.Options{Create: true, Migrate: true, Sealer: sealer}
	t.Run("open to others", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		create(t, path, false)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		refused(t, path, open, keyring.ErrUnsafe)
	})
	t.Run("symbolic link", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		create(t, path, false)
		link := path + ".link"
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		refused(t, link, open, keyring.ErrUnsafe)
	})
	t.Run("somebody else's", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a file away")
		}
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		create(t, path, false)
		if err := os.Chown(path, 12345, -1); err != nil {
			t.Fatal(err)
		}
		refused(t, path, open, keyring.ErrUnsafe)
	})
	t.Run("somebody else's log", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a file away")
		}
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		create(t, path, false)
		if err := os.WriteFile(path+"-wal", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path+"-wal", 12345, -1); err != nil {
			t.Fatal(err)
		}
		refused(t, path, open, keyring.ErrUnsafe)
	})
	t.Run("not a database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		if db, err := store.Open(t.Context(), path, open); err == nil {
			db.Close()
			t.Fatal("Open accepted a text file")
		}
	})
}

func TestOtherSchemaVersionsAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	create(t, path, false)
	store.SetSchemaVersion(t, path, 99)
	refused(t, path, store.Options{Create: true, Migrate: true, Sealer: storetest.Sealer(t)}, store.ErrSchema)

	empty := filepath.Join(t.TempDir(), "gatehouse.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, empty, store.Options{Migrate: true, Sealer: storetest.Sealer(t)}, store.ErrSchema)
	create(t, empty, false) // what a first start left that died
}

// The command line works on the file of a running server.
func TestTwoProcessesShareAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	create(t, path, false)
	var open []*store.DB
	for range 2 {
		db, err := store.Open(t.Context(), path, store.Options{Sealer: storetest.Sealer(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		open = append(open, db)
	}
	errs := make(chan error, 2)
	for _, db := range open {
		go func() {
			for range 100 {
				if err := db.Append(t.Context(), audit.Event{Type: "user.created"}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range open {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	for _, db := range open {
		events, err := db.EventsSince(t.Context(), 0, 1000)
		if err != nil || len(events) != 200 || events[199].Seq != 200 {
			t.Fatalf("%d events, %v; want 200 without gaps", len(events), err)
		}
	}
}

// A file that was removed or replaced can still be read and written by whoever
// has it open; but nobody else will ever write to it, or read it.
func TestReplacedFileIsNoticed(t *testing.T) {
	db := storetest.Open(t, nil)
	ctx := t.Context()
	check := func(what string, want error) {
		t.Helper()
		if _, _, err := db.RevocationsSince(ctx, 0); !errors.Is(err, want) {
			t.Errorf("%s: RevocationsSince = %v, want %v", what, err, want)
		}
		if err := db.Append(ctx, audit.Event{Type: "x"}); !errors.Is(err, want) {
			t.Errorf("%s: Append = %v, want %v", what, err, want)
		}
	}
	check("opened", nil)
	if err := os.Rename(db.Name(), db.Name()+".old"); err != nil {
		t.Fatal(err)
	}
	check("moved away", store.ErrReplaced)
	if err := os.WriteFile(db.Name(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("replaced", store.ErrReplaced)
	if err := os.Rename(db.Name()+".old", db.Name()); err != nil {
		t.Fatal(err)
	}
	check("brought back", nil)
}

// Whether an account has to wait must not show in the time of a write.
func TestTryOfAWaitingAccountIsWrittenToo(t *testing.T) {
	db := storetest.Open(t, nil)
	other, err := sql.Open("sqlite", db.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	version := func() (n int64) {
		if err := conn.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	now := time.Now()
	for i := range 6 {
		before := version()
		wait, err := db.Tries().Count(t.Context(), risk.Try{Account: "u1", Now: now, Free: 2, MaxWait: time.Hour})
		if err != nil || (wait > 0) != (i >= 2) {
			t.Fatalf("try %d: wait %v, %v", i, wait, err)
		}
		if version() == before {
			t.Errorf("try %d, wait %v: nothing was written", i, wait)
		}
	}
}

func TestCancelledTransactionChangesNothing(t *testing.T) {
	db := storetest.Open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.InTx(ctx, func(ctx context.Context) error {
		if err := db.Append(ctx, audit.Event{Type: "x"}); err != nil {
			return err
		}
		cancel()
		return nil
	})
	if err == nil {
		t.Fatal("a cancelled transaction was committed")
	}
	func() {
		defer func() { recover() }()
		db.InTx(t.Context(), func(ctx context.Context) error {
			if err := db.Append(ctx, audit.Event{Type: "x"}); err != nil {
				return err
			}
			panic("in the middle")
		})
	}()
	events, err := db.EventsSince(t.Context(), 0, 10)
	if err != nil || len(events) != 0 {
		t.Fatalf("events = %v, %v; want none", events, err)
	}
}

// queries returns every constant of the package that begins like SQL, by name.
func queries(t *testing.T) map[string]string {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	// Without an importer every import is an error; constants need none.
	conf := types.Config{Error: func(error) {}}
	pkg, _ := conf.Check("store", fset, files, nil)
	found := map[string]string{}
	for _, name := range pkg.Scope().Names() {
		c, ok := pkg.Scope().Lookup(name).(*types.Const)
		if ok && strings.HasPrefix(name, "q") && c.Val().Kind() == constant.String {
			found[name] = constant.StringVal(c.Val())
		}
	}
	return found
}

// One text serves SQLite, which numbers parameters as it meets them, and
// PostgreSQL, which goes by the number.
func TestParametersAreNumberedInOrderOfAppearance(t *testing.T) {
	all := queries(t)
	if len(all) < 60 {
		t.Fatalf("found %d queries only", len(all))
	}
	for name, q := range all {
		highest := 0
		for _, m := range regexp.MustCompile(`\$(\d+)`).FindAllStringSubmatch(q, -1) {
			n, err := strconv.Atoi(m[1])
			if err != nil || n > highest+1 {
				t.Errorf("%s: $%s comes before $%d\n%s", name, m[1], highest+1, q)
			}
			highest = max(highest, n)
		}
		if strings.Contains(q, "?") {
			t.Errorf("%s: ? is no parameter in PostgreSQL", name)
		}
	}
}

func TestEventsAreOnlyAppended(t *testing.T) {
	for name, q := range queries(t) {
		if regexp.MustCompile(`(?i)(UPDATE|DELETE\s+FROM|REPLACE\s+INTO)\s+event\b`).MatchString(q) {
			t.Errorf("%s changes the event table:\n%s", name, q)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	db := storetest.Open(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		db.Run(ctx)
		close(ended)
	}()
	cancel()
	<-ended
}
