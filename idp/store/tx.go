package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// txKey is per database, so that a context of one never reaches another.
type txKey struct{ db *DB }

// transaction is what InTx puts into the context.
type transaction struct {
	tx *sql.Tx
	// woke is true once an event was appended: readers are woken after commit.
	woke bool
}

// InTx runs do in one transaction that no other writer of the database runs
// beside, in this process or another; see audit.Journal. What do reads is
// therefore so until the commit, whatever the engine: a look and a write that
// depends on it need no further care. Do runs once.
//
// An error of the commit may mean that PostgreSQL went away after it: what was
// written may be there.
func (db *DB) InTx(ctx context.Context, do func(ctx context.Context) error) error {
	if db.current(ctx) != nil {
		return do(ctx)
	}
	// What is written to a file that is gone is lost: a sign-out that was not.
	if err := db.engine.inPlace(); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	t := &transaction{tx: tx}
	// After a commit this does nothing; it also covers a panic in do.
	defer tx.Rollback()
	if err := db.engine.lock(ctx, tx); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := do(context.WithValue(ctx, txKey{db}, t)); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	if t.woke {
		db.wake()
	}
	return nil
}

func (db *DB) current(ctx context.Context) *transaction {
	t, _ := ctx.Value(txKey{db}).(*transaction)
	return t
}

// runner is where statements go.
type runner interface {
	exec(ctx context.Context, query string, args []any) (int64, error)
	// query calls each for every row; an error of each ends it.
	query(ctx context.Context, each func(scanner) error, query string, args []any) error
}

// reader is where a SELECT goes, writer where everything else goes. Outside a
// transaction a writing statement is one.
func (db *DB) reader(ctx context.Context) runner {
	db.statements.Add(1)
	if t := db.current(ctx); t != nil {
		return statements{t.tx, db.engine.dialect().limit}
	}
	return statements{db.read, db.engine.dialect().limit}
}

func (db *DB) writer(ctx context.Context) runner {
	if t := db.current(ctx); t != nil {
		db.statements.Add(1)
		return statements{t.tx, db.engine.dialect().limit}
	}
	return alone{db}
}

// statements runs each on its own, on a *sql.DB or in a *sql.Tx.
type statements struct {
	on interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}
	limit time.Duration
}

func (s statements) exec(ctx context.Context, query string, args []any) (int64, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	res, err := s.on.ExecContext(ctx, query, storable(args)...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s statements) query(ctx context.Context, each func(scanner) error, query string, args []any) error {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	rows, err := s.on.QueryContext(ctx, query, storable(args)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

func (s statements) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.limit == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, s.limit)
}

// storable puts U+FFFD in the place of what PostgreSQL refuses in a text (NUL,
// and bytes that are no UTF-8), for both engines alike: a name that cannot be
// stored is the name of nobody, and no error.
func storable(args []any) []any {
	for i, arg := range args {
		if text, ok := arg.(string); ok && (strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text)) {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return args
}

// alone makes each statement a transaction.
type alone struct{ db *DB }

func (a alone) exec(ctx context.Context, query string, args []any) (n int64, err error) {
	err = a.db.InTx(ctx, func(ctx context.Context) error {
		n, err = a.db.writer(ctx).exec(ctx, query, args)
		return err
	})
	return n, err
}

func (a alone) query(ctx context.Context, each func(scanner) error, query string, args []any) error {
	return a.db.InTx(ctx, func(ctx context.Context) error {
		return a.db.writer(ctx).query(ctx, each, query, args)
	})
}

// Statements returns how many statements have been run. Tests count work with it
// instead of time.
func (db *DB) Statements() int64 { return db.statements.Load() }

// exec runs a statement and returns how many rows it touched.
func (db *DB) exec(ctx context.Context, query string, args ...any) (int64, error) {
	return db.writer(ctx).exec(ctx, query, args)
}

// one reads one row; returning runs a writing statement with RETURNING. Either
// runs when it is scanned, and is sql.ErrNoRows then if there is no row.
func (db *DB) one(ctx context.Context, query string, args ...any) scanner {
	return row{ctx, db.reader(ctx), query, args}
}

func (db *DB) returning(ctx context.Context, query string, args ...any) scanner {
	return row{ctx, db.writer(ctx), query, args}
}

type row struct {
	ctx   context.Context
	from  runner
	query string
	args  []any
}

func (r row) Scan(dest ...any) error {
	found := false
	err := r.from.query(r.ctx, func(s scanner) error {
		if found {
			return errors.New("more than one row")
		}
		found = true
		return s.Scan(dest...)
	}, r.query, r.args)
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}

// scanner is one row.
type scanner interface{ Scan(dest ...any) error }

// collect reads all rows of a query.
func collect[T any](ctx context.Context, from runner, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := from.query(ctx, func(s scanner) error {
		one, err := scan(s)
		if err == nil {
			all = append(all, one)
		}
		return err
	}, query, args)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// millis is how a time is stored; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// at is the reverse of millis, in UTC.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// list is how a list of strings is stored; nil and empty are the same.
func list(items []string) string {
	if len(items) == 0 {
		return "[]"
	}
	text, err := json.Marshal(items)
	if err != nil {
		// A list of strings always has a JSON form.
		panic(fmt.Sprintf("store: marshal list: %v", err))
	}
	return string(text)
}

// items is the reverse of list; nil for an empty one.
func items(text string) ([]string, error) {
	var out []string
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("read stored list: %w", err)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// object is how texts by name are stored; nil and empty are the same.
func object(members map[string]string) string {
	if len(members) == 0 {
		return "{}"
	}
	text, err := json.Marshal(members)
	if err != nil {
		// Texts by name always have a JSON form.
		panic(fmt.Sprintf("store: marshal object: %v", err))
	}
	return string(text)
}

// members is the reverse of object; nil for an empty one.
func members(text string) (map[string]string, error) {
	var out map[string]string
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("read stored object: %w", err)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}
