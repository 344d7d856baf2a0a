package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
)

var (
	// ErrBackup means that a file is no backup, or not all of one.
	ErrBackup = errors.New("this is no complete backup of gatehouse")
	// ErrInUse means that somebody else has the database open.
	ErrInUse = errors.New("somebody else has the database open; stop every gatehouse on it")
)

// maxLine bounds a row of a backup.
const maxLine = 64 << 20

// BackupInfo is what a backup says of itself.
type BackupInfo struct {
	// Made is when, in UTC.
	Made time.Time
	// Rows is how many it holds.
	Rows int64

	schema int64
	meta   map[string]string
}

// ReadBackup reads a backup from its beginning to its end, and returns what it
// is. ErrBackup.
func ReadBackup(r io.ReadSeeker) (BackupInfo, error) {
	info := BackupInfo{meta: map[string]string{}}
	table := ""
	head, err := readBackup(r, func(t backupTable) error {
		table = t.Table
		return nil
	}, func(values []any) error {
		if info.Rows++; table == "meta" && len(values) == 2 {
			info.meta[fmt.Sprint(values[0])] = fmt.Sprint(values[1])
		}
		return nil
	})
	info.Made, info.schema = head.Made, head.Schema
	return info, err
}

// Check refuses a backup that this program cannot restore, or should not:
// ErrSchema of another version's, ErrDemo of a demo's, ErrSealingKey of one that
// was made with a key that s does not have.
func (i BackupInfo) Check(s *keyring.Sealer) error {
	version, err := schemaVersion()
	if err != nil {
		return err
	}
	if i.schema != version {
		return fmt.Errorf("%w: the backup has version %d and this program %d; restore it with the program that made it", ErrSchema, i.schema, version)
	}
	if i.meta["demo"] != "false" {
		return fmt.Errorf("%w: it was made by `gatehouse demo`, whose passwords are not secret", ErrDemo)
	}
	return checkProof(s, i.meta["seal_proof"])
}

// readBackup calls table and row for what a backup holds, in its order, and
// returns ErrBackup unless it ends as it should.
func readBackup(r io.ReadSeeker, table func(backupTable) error, row func([]any) error) (head backupHead, err error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return head, fmt.Errorf("read backup: %w", err)
	}
	in, sum := bufio.NewReaderSize(r, 1<<16), sha256.New()
	var rows int64
	for first := true; ; first = false {
		line, err := readLine(in)
		if err != nil {
			return head, fmt.Errorf("%w: %w", ErrBackup, err)
		}
		var v struct {
			backupHead
			backupTable
			backupEnd
		}
		switch {
		case line[0] == '[' && !first:
			values, err := readValues(line)
			if err != nil {
				return head, fmt.Errorf("%w: %w", ErrBackup, err)
			}
			if err := row(values); err != nil {
				return head, err
			}
			rows++
		case json.Unmarshal(line, &v) != nil:
			return head, fmt.Errorf("%w: a line of it cannot be read", ErrBackup)
		case first:
			if head = v.backupHead; head.Gatehouse != "backup" || head.Format != backupFormat {
				return head, fmt.Errorf("%w: it does not begin like one that this program makes", ErrBackup)
			}
		case v.SHA256 != "":
			if v.Rows != rows || v.SHA256 != hex.EncodeToString(sum.Sum(nil)) {
				return head, fmt.Errorf("%w: its checksum is wrong", ErrBackup)
			}
			return head, nil
		default:
			if err := table(v.backupTable); err != nil {
				return head, err
			}
		}
		sum.Write(line)
	}
}

func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("its end is missing")
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxLine:
			return nil, errors.New("a line of it is too long")
		}
	}
}

// readValues reads a row: texts, whole numbers and nulls.
func readValues(line []byte) ([]any, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var values []any
	if err := d.Decode(&values); err != nil {
		return nil, errors.New("a row of it cannot be read")
	}
	for i, v := range values {
		switch v := v.(type) {
		case nil, string:
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return nil, errors.New("a row of it has a number that is not whole")
			}
			values[i] = n
		default:
			return nil, errors.New("a row of it has a value that is neither text nor number")
		}
	}
	return values, nil
}

// Restore puts a backup that passed Check in the place of all that the database
// holds, in one transaction, and ends whatever was issued before: sessions, codes
// and tokens do not come back, every client of then and now is revoked, and so is
// what revoke names. Nobody else may have the database open: ErrInUse. Close it
// then; it is not good for anything else.
//
// What cannot be known is what changed after the backup: a password or a
// membership is the one of then, and a person who was deleted since is back.
func (db *DB) Restore(ctx context.Context, r io.ReadSeeker, revoke ...audit.Revoke) error {
	if err := db.engine.alone(ctx, db); err != nil {
		return fmt.Errorf("restore database: %w", err)
	}
	err := db.InTx(ctx, func(ctx context.Context) error {
		// Again, now that nobody can have come since.
		if err := db.checkCrowd(ctx); err != nil {
			return err
		}
		end, err := db.clientEnds(ctx, revoke)
		if err != nil {
			return err
		}
		l := &loader{tx: db.current(ctx).tx, dialect: db.engine.dialect()}
		if err := l.load(ctx, r); err != nil {
			return err
		}
		if end, err = db.clientEnds(ctx, end); err != nil {
			return err
		}
		return db.append(ctx, audit.Event{Type: "store.restored", Revoke: end})
	})
	if err != nil {
		return fmt.Errorf("restore database: %w", err)
	}
	return nil
}

// checkCrowd returns ErrInUse when the server knows of others on the database.
func (db *DB) checkCrowd(ctx context.Context) error {
	q := db.engine.dialect().crowd
	if q == "" {
		return nil
	}
	var n int64
	if err := db.one(ctx, q).Scan(&n); err != nil {
		return err
	}
	if n > 0 {
		return ErrInUse
	}
	return nil
}

// clientEnds adds a revocation for each client in the database: all that was
// issued to it until now is over.
func (db *DB) clientEnds(ctx context.Context, revoke []audit.Revoke) ([]audit.Revoke, error) {
	clients, err := db.Clients().List(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range clients {
		r := audit.Revoke{Kind: audit.KindClient, Value: c.ID}
		if !slices.Contains(revoke, r) {
			revoke = append(revoke, r)
		}
	}
	return revoke, nil
}

// loader puts a backup into a transaction.
type loader struct {
	tx      *sql.Tx
	dialect dialect
	tables  []table

	kept   bool      // of the table at hand
	insert *sql.Stmt // into it
	width  int
}

func (l *loader) load(ctx context.Context, r io.ReadSeeker) (err error) {
	if l.dialect.patient != "" {
		if _, err := l.tx.ExecContext(ctx, l.dialect.patient); err != nil {
			return err
		}
	}
	if l.tables, err = tablesOf(ctx, l.tx, l.dialect); err != nil {
		return err
	}
	counters, err := pairs(ctx, l.tx, `SELECT name, n FROM counter`, 2)
	if err != nil {
		return err
	}
	// From the last: what refers to a row goes before it.
	for _, t := range slices.Backward(l.tables) {
		if _, err := l.tx.ExecContext(ctx, `DELETE FROM "`+t.name+`"`); err != nil {
			return fmt.Errorf("empty table %s: %w", t.name, err)
		}
	}
	_, err = readBackup(r,
		func(t backupTable) error { return l.begin(ctx, t) },
		func(values []any) error { return l.row(ctx, values) })
	if err = errors.Join(err, l.end()); err != nil {
		return err
	}
	// Numbers never go back: whoever read up to one would miss what comes next.
	for _, c := range counters {
		const q = `UPDATE counter SET n = CAST($1 AS BIGINT) WHERE name = $2 AND n < CAST($1 AS BIGINT)`
		if _, err := l.tx.ExecContext(ctx, q, c[1], c[0]); err != nil {
			return fmt.Errorf("set counter: %w", err)
		}
	}
	return nil
}

// begin turns to the next table. One that this database does not have has no
// place for its rows, and neither has another column.
func (l *loader) begin(ctx context.Context, b backupTable) error {
	if err := l.end(); err != nil {
		return err
	}
	i := slices.IndexFunc(l.tables, func(t table) bool { return t.name == b.Table })
	if i < 0 {
		return fmt.Errorf("%w: it has a table %q, which this database has not", ErrBackup, b.Table)
	}
	t := l.tables[i]
	if !slices.Equal(slices.Sorted(slices.Values(t.columns)), slices.Sorted(slices.Values(b.Columns))) {
		return fmt.Errorf("%w: its table %s has other columns than this database's", ErrBackup, b.Table)
	}
	l.kept, l.width = t.kept, len(b.Columns)
	var places []string
	for n := range b.Columns {
		places = append(places, fmt.Sprint("$", n+1))
	}
	var err error
	l.insert, err = l.tx.PrepareContext(ctx, `INSERT INTO "`+t.name+`" ("`+strings.Join(b.Columns, `", "`)+`") VALUES (`+strings.Join(places, ", ")+`)`)
	if err != nil {
		return fmt.Errorf("fill table %s: %w", t.name, err)
	}
	return nil
}

func (l *loader) row(ctx context.Context, values []any) error {
	switch {
	case l.insert == nil || len(values) != l.width:
		return fmt.Errorf("%w: a row of it fits no table", ErrBackup)
	case !l.kept:
		return nil
	}
	_, err := l.insert.ExecContext(ctx, storable(values)...)
	return err
}

func (l *loader) end() error {
	if l.insert == nil {
		return nil
	}
	err := l.insert.Close()
	l.insert = nil
	return err
}
