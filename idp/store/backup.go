package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"regexp"
	"slices"
	"time"
)

// backupFormat is the number of the form of a backup: lines of JSON. The first
// is a backupHead; a backupTable begins each table, and a list of values is a
// row of it; the last is a backupEnd. The form names no engine.
const backupFormat = 1

// survives says of tables whether their rows come back from a backup. Of the
// others those do that have no column "expires" and refer to none that does not:
// what ends by itself is a session, a code, a token or a link, and none of them
// may come alive again. Without the signing keys no token of before is good.
var survives = map[string]bool{
	"revocation":      true,
	"token_key":       false,
	"sso_session":     false,
	"signin_flow":     false,
	"grant_code":      false,
	"grant_code_used": false,
	"grant_family":    false,
	"grant_token":     false,
	"outbox":          false,
	"account_signup":  false,
	"account_code":    false,
	"mfa_sent":        false,
	"mfa_device":      false,
	"mfa_spent":       true, // what was used once is not good again
}

type backupHead struct {
	Gatehouse string    `json:"gatehouse"` // "backup"
	Format    int       `json:"format"`
	Schema    int64     `json:"schema"`
	Made      time.Time `json:"made"`
}

type backupTable struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type backupEnd struct {
	Rows int64 `json:"rows"`
	// SHA256 is over every line before, in hex: it finds what was cut or broken,
	// and keeps nobody from writing another one.
	SHA256 string `json:"sha256"`
}

// table is what a database says of one of its tables.
type table struct {
	name    string
	columns []string
	// refers are the other tables it refers to.
	refers []string
	// kept says that its rows come back from a backup.
	kept bool
}

var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// Backup writes what the database holds at one moment to w, and returns the
// number of rows; others go on reading and writing. Sessions, codes, tokens and
// signing keys are left out. Sealed values stay sealed, and the sealing key is
// not among them; hashes of passwords are.
func (db *DB) Backup(ctx context.Context, w io.Writer) (int64, error) {
	b := &backupWriter{out: bufio.NewWriter(w), sum: sha256.New()}
	if err := db.snapshot(ctx, b.all); err != nil {
		return 0, fmt.Errorf("back up database: %w", err)
	}
	return b.rows, nil
}

// snapshot runs do in a transaction that sees one moment.
func (db *DB) snapshot(ctx context.Context, do func(ctx context.Context, tx *sql.Tx, d dialect) error) error {
	if err := db.engine.inPlace(); err != nil {
		return err
	}
	d := db.engine.dialect()
	tx, err := db.read.BeginTx(ctx, d.snapshot)
	if err != nil {
		return err
	}
	defer tx.Rollback() // there is nothing to commit
	if d.patient != "" {
		if _, err := tx.ExecContext(ctx, d.patient); err != nil {
			return err
		}
	}
	return do(ctx, tx, d)
}

type backupWriter struct {
	out  *bufio.Writer
	sum  hash.Hash
	rows int64
}

func (b *backupWriter) all(ctx context.Context, tx *sql.Tx, d dialect) error {
	version, err := schemaVersion()
	if err != nil {
		return err
	}
	tables, err := tablesOf(ctx, tx, d)
	if err != nil {
		return err
	}
	if err := b.line(backupHead{"backup", backupFormat, version, time.Now().UTC()}); err != nil {
		return err
	}
	for _, t := range tables {
		if err := b.line(backupTable{t.name, t.columns}); err != nil {
			return err
		}
		if !t.kept {
			continue
		}
		if err := b.table(ctx, tx, t); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
	}
	if err := b.line(backupEnd{b.rows, hex.EncodeToString(b.sum.Sum(nil))}); err != nil {
		return err
	}
	return b.out.Flush()
}

func (b *backupWriter) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	b.sum.Write(text)
	_, err = b.out.Write(text)
	return err
}

func (b *backupWriter) table(ctx context.Context, tx *sql.Tx, t table) error {
	rows, err := tx.QueryContext(ctx, selectAll(t.name))
	if err != nil {
		return err
	}
	defer rows.Close()
	values, into := make([]any, len(t.columns)), make([]any, len(t.columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i, v := range values {
			switch v.(type) {
			case nil, int64, string:
			default:
				return fmt.Errorf("column %s holds a %T, want a text or a number", t.columns[i], v)
			}
		}
		if err := b.line(values); err != nil {
			return err
		}
		b.rows++
	}
	return errors.Join(rows.Err(), rows.Close())
}

// selectAll reads a table whose name identifier has passed.
func selectAll(table string) string { return `SELECT * FROM "` + table + `"` }

// querier is a *sql.Tx that reads.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// tablesOf returns the tables of the database as it is, each after those it
// refers to.
func tablesOf(ctx context.Context, q querier, d dialect) ([]table, error) {
	names, err := pairs(ctx, q, d.tables, 1)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	references, err := pairs(ctx, q, d.references, 2)
	if err != nil {
		return nil, fmt.Errorf("list references: %w", err)
	}
	var left []table
	for _, n := range names {
		t := table{name: n[0]}
		for _, r := range references {
			if r[0] == t.name && r[1] != t.name {
				t.refers = append(t.refers, r[1])
			}
		}
		if t.columns, err = columnsOf(ctx, q, t.name); err != nil {
			return nil, fmt.Errorf("table %s: %w", t.name, err)
		}
		left = append(left, t)
	}
	return inOrder(left)
}

// inOrder puts tables behind those they refer to, and says which are kept.
func inOrder(left []table) ([]table, error) {
	kept := map[string]bool{}
	var done []table
	for len(left) > 0 {
		i := slices.IndexFunc(left, func(t table) bool {
			return !slices.ContainsFunc(t.refers, func(name string) bool { _, known := kept[name]; return !known })
		})
		if i < 0 {
			return nil, errors.New("tables refer to each other in a circle")
		}
		t := left[i]
		left = slices.Delete(left, i, i+1)
		said, known := survives[t.name]
		t.kept = said || !known && !slices.Contains(t.columns, "expires")
		for _, name := range t.refers {
			t.kept = t.kept && kept[name]
		}
		kept[t.name] = t.kept
		done = append(done, t)
	}
	return done, nil
}

func columnsOf(ctx context.Context, q querier, name string) ([]string, error) {
	if !identifier.MatchString(name) {
		return nil, errors.New("its name is none of ours")
	}
	rows, err := q.QueryContext(ctx, selectAll(name)+" LIMIT 0")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for _, c := range columns {
		if !identifier.MatchString(c) {
			return nil, fmt.Errorf("the name of its column %q is none of ours", c)
		}
	}
	return columns, errors.Join(rows.Err(), rows.Close())
}

// pairs reads rows of n texts.
func pairs(ctx context.Context, q querier, query string, n int) ([][2]string, error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all [][2]string
	for rows.Next() {
		var p [2]string
		if err := rows.Scan([]any{&p[0], &p[1]}[:n]...); err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, errors.Join(rows.Err(), rows.Close())
}
