package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"gatehouse/internal/keyring"
)

var (
	// ErrNoStore means that there is no database and Create was not set.
	ErrNoStore = errors.New("there is no database here")
	// ErrDemo means a demo's database opened by anything but the demo, or the
	// reverse.
	ErrDemo = errors.New("wrong kind of database")
	// ErrSchema means that the schema is older than this program and Migrate was
	// not set, or newer.
	ErrSchema = errors.New("database schema does not match this program")
	// ErrReplaced means that the file that was opened is not the one at its path
	// any more: the command line writes to another one.
	ErrReplaced = errors.New("the database file was removed or replaced; restart on the file that counts")
	// ErrSealingKey means that the sealing key is not the one that the database
	// was made with.
	ErrSealingKey = errors.New("the sealing key does not belong to this database")
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options say how a database is opened.
type Options struct {
	// Demo is the kind of database that is wanted, and that is made. A demo's
	// passwords were printed on a terminal, so the kinds never mix.
	Demo bool
	// AnyKind opens either kind: for the command line. Not with Create.
	AnyKind bool
	// Create makes the database when there is none; it needs Sealer.
	Create bool
	// Migrate brings an older schema up to date. Only serve, demo and init do,
	// so that the command line never moves the schema under a running server.
	Migrate bool
	// Sealer, when given, must hold the key that the database was made with.
	Sealer *keyring.Sealer
	// RevocationLife is how long a revocation is kept that names no end: at
	// least the longest life of a session or token anywhere. Default 31 days.
	RevocationLife time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log gets what nobody can return; nil discards it.
	Log *slog.Logger
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	path string
	// file is what was opened at path.
	file fs.FileInfo
	// write has one connection: writers queue here, fairly, instead of polling
	// SQLite's lock. read has several, which cannot write.
	write, read *sql.DB
	life        time.Duration
	now         func() time.Time
	log         *slog.Logger

	mu      sync.Mutex
	changed chan struct{}
}

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
	db := &DB{path: path, life: o.RevocationLife, now: o.Now, log: o.Log, changed: make(chan struct{})}
	if db.life <= 0 {
		db.life = 31 * 24 * time.Hour
	}
	if db.now == nil {
		db.now = time.Now
	}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if db.file, err = os.Stat(path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	if err := errors.Join(db.connect(ctx, o), db.inPlace()); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), db.Close())
	}
	return db, nil
}

// connect opens the pools and checks what the file holds.
func (db *DB) connect(ctx context.Context, o Options) error {
	var err error
	if db.write, err = sql.Open("sqlite", dsn(db.path, "foreign_keys(1)", "synchronous(FULL)")+"&_txlock=immediate"); err != nil {
		return err
	}
	db.write.SetMaxOpenConns(1)
	if db.read, err = sql.Open("sqlite", dsn(db.path, "query_only(1)")); err != nil {
		return err
	}
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	db.read.SetMaxOpenConns(readers)
	db.read.SetMaxIdleConns(readers)
	// The write-ahead log is a property of the file; setting it takes the lock.
	if _, err := db.write.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	if err := db.migrate(ctx, o); err != nil {
		return err
	}
	return db.checkMeta(ctx, o)
}

// Close closes the database and folds the write-ahead log into the file.
func (db *DB) Close() error {
	var errs []error
	if db.read != nil {
		errs = append(errs, db.read.Close())
	}
	if db.write != nil {
		errs = append(errs, db.write.Close())
	}
	return errors.Join(errs...)
}

// inPlace returns ErrReplaced when the open file is not the one at its path. An
// open file can be read and written for ever after it was removed, so that
// nothing else would tell.
func (db *DB) inPlace() error {
	now, err := os.Stat(db.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReplaced, err)
	}
	if !os.SameFile(db.file, now) {
		return ErrReplaced
	}
	return nil
}

// Path returns the absolute path of the file.
func (db *DB) Path() string { return db.path }

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
		if err != nil {
			return err
		}
		return f.Close()
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := keyring.CheckPrivate(path + suffix); err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	return nil
}

// migrate compares the schema with what this program knows, and moves it when it
// is allowed to.
func (db *DB) migrate(ctx context.Context, o Options) error {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.write, sub, goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	switch {
	case have == want:
		return nil
	case have > want:
		return fmt.Errorf("%w: it is version %d and this program knows %d; use the newer program", ErrSchema, have, want)
	case have == 0 && !o.Create:
		return fmt.Errorf("%w: it holds no schema of ours", ErrSchema)
	case have > 0 && !o.Migrate:
		return fmt.Errorf("%w: it is version %d and this program needs %d; start `gatehouse serve` of this version once", ErrSchema, have, want)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate schema: %w", err)
	}
	return nil
}

const (
	qMetaAdd = `INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING`
	qMetaSet = `UPDATE meta SET value = $1 WHERE name = $2`
	qMetaGet = `SELECT value FROM meta WHERE name = $1`
)

// checkMeta writes what a new database is, and refuses one that is something else.
func (db *DB) checkMeta(ctx context.Context, o Options) error {
	kind, err := db.meta(ctx, "demo")
	if errors.Is(err, sql.ErrNoRows) {
		if !o.Create {
			return fmt.Errorf("%w: its first start was cut short; start it again", ErrSchema)
		}
		return db.writeMeta(ctx, o)
	}
	if err != nil {
		return err
	}
	if demo := kind == "true"; demo != o.Demo && !o.AnyKind {
		if demo {
			return fmt.Errorf("%w: it was made by `gatehouse demo`, whose passwords are not secret; use another data directory", ErrDemo)
		}
		return fmt.Errorf("%w: it was not made by `gatehouse demo`, which would put demo users into it; use another data directory", ErrDemo)
	}
	if o.Sealer == nil {
		return nil
	}
	proof, err := db.meta(ctx, "seal_proof")
	if err != nil {
		return err
	}
	if _, err := o.Sealer.Open(unbase(proof), "seal-proof", "meta", "value", "seal_proof"); err != nil {
		return fmt.Errorf("%w: bring back the key file it was made with", ErrSealingKey)
	}
	return nil
}

func (db *DB) writeMeta(ctx context.Context, o Options) error {
	if o.Sealer == nil {
		return errors.New("a new database needs a sealing key")
	}
	proof, err := sealProof(o.Sealer)
	if err != nil {
		return err
	}
	return db.InTx(ctx, func(ctx context.Context) error {
		if _, err := db.exec(ctx, qMetaAdd, "seal_proof", proof); err != nil {
			return err
		}
		_, err := db.exec(ctx, qMetaAdd, "demo", fmt.Sprint(o.Demo))
		return err
	})
}

// Reseal proves the newest sealing key instead of the one before; it is called
// with keys.Ring.Reseal when the sealing ring was rotated.
func (db *DB) Reseal(ctx context.Context, s *keyring.Sealer) error {
	proof, err := sealProof(s)
	if err != nil {
		return err
	}
	_, err = db.exec(ctx, qMetaSet, proof, "seal_proof")
	return err
}

func sealProof(s *keyring.Sealer) (string, error) {
	sealed, err := s.Seal([]byte("gatehouse"), "seal-proof", "meta", "value", "seal_proof")
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return base(sealed), nil
}

// Demo reports whether the database was made by the demo.
func (db *DB) Demo(ctx context.Context) (bool, error) {
	kind, err := db.meta(ctx, "demo")
	return kind == "true", err
}

func (db *DB) meta(ctx context.Context, name string) (string, error) {
	var value string
	err := db.one(ctx, qMetaGet, name).Scan(&value)
	return value, err
}

func base(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// unbase reads what base wrote; nil for anything else.
func unbase(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}
