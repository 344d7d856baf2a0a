package store

import (
	"context"
	"database/sql"
	"slices"
	"testing"
)

// SetSchemaVersion makes the file look like a newer program's.
func SetSchemaVersion(t *testing.T, path string, version int64) {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, 1)", version); err != nil {
		t.Fatal(err)
	}
}

// WriteAsReader writes on a connection that only reads.
func WriteAsReader(t *testing.T, db *DB) error {
	t.Helper()
	_, err := db.read.ExecContext(t.Context(), qBury, "x")
	return err
}

// CheckURL reads the URL of a configuration.
func CheckURL(c Config) error {
	_, err := newPostgres(c)
	return err
}

// Unclassed returns the tables with a column "expires" that survives does not name.
func Unclassed(t *testing.T, db *DB) []string {
	t.Helper()
	var names []string
	err := db.snapshot(t.Context(), func(ctx context.Context, tx *sql.Tx, d dialect) error {
		tables, err := tablesOf(ctx, tx, d)
		for _, table := range tables {
			if _, known := survives[table.name]; !known && slices.Contains(table.columns, "expires") {
				names = append(names, table.name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
