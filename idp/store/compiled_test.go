package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func openCompiled(t *testing.T) *sql.DB {
	t.Helper()
	db, err := openSQLite(dsn(filepath.Join(t.TempDir(), "x.db")))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	for _, q := range []string{
		"CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT)",
		"INSERT INTO item VALUES (1, 'a'), (2, 'b'), (3, 'c')",
	} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// names runs the same statement again and again.
func names(ctx context.Context, on interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, least int,
) (string, error) {
	rows, err := on.QueryContext(ctx, "SELECT name FROM item WHERE id >= $1 ORDER BY id", least)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	all := ""
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return "", err
		}
		all += s
	}
	return all, rows.Err()
}

func TestACompiledStatementRunsAgainWithOtherArguments(t *testing.T) {
	db := openCompiled(t)
	for least, want := range []string{"abc", "abc", "bc", "c", ""} {
		if got, err := names(t.Context(), db, least); err != nil || got != want {
			t.Errorf("from %d: %q, %v, want %q", least, got, err, want)
		}
	}
}

// A statement has one place where it stands: run inside of itself, it would begin
// anew.
func TestAStatementRunsWithinItself(t *testing.T) {
	db := openCompiled(t)
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for range 2 {
		rows, err := tx.QueryContext(t.Context(), "SELECT name FROM item WHERE id >= $1 ORDER BY id", 1)
		if err != nil {
			t.Fatal(err)
		}
		outer := ""
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			outer += s
			if inner, err := names(t.Context(), tx, 2); err != nil || inner != "bc" {
				t.Fatalf("within: %q, %v", inner, err)
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil || outer != "abc" {
			t.Fatalf("around: %q, %v", outer, err)
		}
	}
}

func TestACompiledStatementOutlivesFailuresAndChangesOfTheSchema(t *testing.T) {
	db := openCompiled(t)
	const add = "INSERT INTO item (id, name) VALUES ($1, $2)"
	for range 2 {
		if _, err := db.ExecContext(t.Context(), add, 1, "again"); err == nil {
			t.Fatal("a second row with one key")
		}
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE item ADD COLUMN note TEXT"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), add, 4, "d"); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := names(ended, db, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("for nobody: %v", err)
	}
	if got, err := names(t.Context(), db, 1); err != nil || got != "abcd" {
		t.Errorf("%q, %v", got, err)
	}
}

// What is not finalized keeps SQLite from closing the file.
func TestClosingLetsGoOfTheFile(t *testing.T) {
	db := openCompiled(t)
	if _, err := names(t.Context(), db, 1); err != nil {
		t.Fatal(err)
	}
	var file string
	if err := db.QueryRowContext(t.Context(), "SELECT file FROM pragma_database_list").Scan(&file); err != nil {
		t.Fatal(err)
	}
	open := func() (n int) {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && to == file {
				n++
			}
		}
		return n
	}
	if open() == 0 {
		t.Fatalf("%s is not open", file)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if n := open(); n != 0 {
		t.Errorf("%s is open %d times still", file, n)
	}
}
