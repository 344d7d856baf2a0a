package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite" // and the driver "sqlite"

	"gatehouse/internal/keyring"
)

// Exists reports whether there is a database at path; it is what decides whether
// keyring.OpenSealing may make a key.
func Exists(path string) (bool, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for database: %w", err)
	}
	// An empty file is what a first start leaves that died before its schema.
	return info.Size() > 0, nil
}

// Open opens the SQLite database at path. ErrNoStore, ErrDemo, ErrSchema,
// ErrSealingKey, keyring.ErrUnsafe (the file is somebody else's, open to others
// or no regular file); each text is a sentence for the operator.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := prepare(path, o); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	file, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return open(ctx, &sqlite{path, file}, o)
}

// sqlite is one file in WAL mode.
type sqlite struct {
	path string
	// file is what was opened at path.
	file fs.FileInfo
}

func (e *sqlite) dialect() dialect {
	return dialect{
		name:       e.path,
		goose:      goose.DialectSQLite3,
		tables:     `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'goose_db_version' ORDER BY name`,
		references: `SELECT m.name, f."table" FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1, 2`,
	}
}

func (e *sqlite) connect(ctx context.Context, db *DB) error {
	var err error
	if db.write, err = openSQLite(dsn(e.path, "foreign_keys(1)", "synchronous(FULL)") + "&_txlock=immediate"); err != nil {
		return err
	}
	db.write.SetMaxOpenConns(1)
	if db.read, err = openSQLite(dsn(e.path, "query_only(1)")); err != nil {
		return err
	}
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	return again(ctx, func() error {
		// The write-ahead log is a property of the file; setting it takes the lock,
		// and who finds it held by another start is not made to wait.
		_, err := db.write.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		return err
	}, func() (int64, error) { return 0, nil })
}

// lock has nothing to do: the transaction began with BEGIN IMMEDIATE.
func (e *sqlite) lock(context.Context, *sql.Tx) error { return nil }

// alone leaves the write-ahead log, which SQLite allows only to the one who has
// the file open. The next who opens it turns to it again.
func (e *sqlite) alone(ctx context.Context, db *DB) error {
	// Our own readers count as well.
	db.read.SetMaxIdleConns(0)
	// What is locked from here on stays so until the one connection is closed.
	_, err := db.write.ExecContext(ctx, "PRAGMA busy_timeout = 500; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE")
	if busy := new(driver.Error); errors.As(err, &busy) && busy.Code()&0xff == busyCode {
		return ErrInUse
	}
	return err
}

// busyCode is SQLITE_BUSY.
const busyCode = 5

// migrating does it again when another process was quicker. Each migration is an
// immediate transaction that also writes its version, so doing it again does
// what is still missing.
func (e *sqlite) migrating(ctx context.Context, db *DB, do func(pool *sql.DB) error) error {
	return again(ctx, func() error { return do(db.write) }, func() (version int64, err error) {
		err = db.write.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&version)
		return version, err
	})
}

// again runs do until it works, three times have not moved anything on, or ctx
// ends; it returns the last error.
func again(ctx context.Context, do func() error, progress func() (int64, error)) error {
	const tries, pause = 3, 100 * time.Millisecond
	was := int64(-1)
	for still := 0; ; still++ {
		err := do()
		if err == nil {
			return nil
		}
		at, progressErr := progress()
		if progressErr != nil {
			return errors.Join(err, progressErr)
		}
		if at != was {
			was, still = at, 0
		}
		if still+1 >= tries {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// inPlace: an open file can be read and written for ever after it was removed,
// so that nothing else would tell.
func (e *sqlite) inPlace() error {
	now, err := os.Stat(e.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReplaced, err)
	}
	if !os.SameFile(e.file, now) {
		return ErrReplaced
	}
	return nil
}

// dsn is the driver's name of the file with pragmas for every connection. The
// busy time-out comes first, for the others may have to wait as well.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{"busy_timeout(5000)"}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// prepare makes the file or checks whose it is, before SQLite opens it. SQLite
// gives -wal and -shm the mode of the file itself.
func prepare(path string, o Options) error {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !o.Create {
			return ErrNoStore
		}
		if o.Sealer == nil || o.AnyKind {
			return errors.New("a new database needs a sealing key and a kind")
		}
		if err := keyring.MakeDir(filepath.Dir(path)); err != nil {
			return err
		}
		// O_EXCL follows no symbolic link either.
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			return f.Close()
		}
		// Another start was quicker; its file is checked like any other.
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := keyring.CheckPrivate(path + suffix); err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}
