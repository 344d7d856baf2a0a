package store

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"

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
	engine engine
	// write has one connection: writers of this process queue here, fairly, and
	// hold nothing while they wait. read has several, which cannot write.
	write, read *sql.DB
	life        time.Duration
	now         func() time.Time
	log         *slog.Logger
	// statements counts what was run, for tests.
	statements atomic.Int64

	mu      sync.Mutex
	changed chan struct{}
}

// engine is what differs between SQLite and PostgreSQL.
type engine interface {
	// connect opens the two pools of db.
	connect(ctx context.Context, db *DB) error
	// inPlace returns ErrReplaced when what is open is not what others open.
	inPlace() error
	// lock keeps every other writer of the database away until tx ends.
	lock(ctx context.Context, tx *sql.Tx) error
	// migrating runs do while no other process migrates, or again after another
	// one has, for as long as that helps.
	migrating(ctx context.Context, db *DB, do func(pool *sql.DB) error) error
	// alone makes sure that nobody else has the database open, or returns
	// ErrInUse.
	alone(ctx context.Context, db *DB) error
	// dialect is what differs in the words for it.
	dialect() dialect
}

// dialect is what SQLite and PostgreSQL say differently.
type dialect struct {
	// name says in an error which database it is, without a secret.
	name  string
	goose goose.Dialect
	// limit ends a statement, on this side, that the database does not answer; 0
	// is never.
	limit time.Duration
	// tables lists our tables, references pairs of a table and one it refers to.
	tables, references string
	// snapshot is how a transaction begins that sees one moment.
	snapshot *sql.TxOptions
	// patient lifts the limits of time for the rest of a transaction; "" where
	// there are none.
	patient string
	// crowd counts the others who have the database open; "" where it cannot be
	// asked.
	crowd string
}

func open(ctx context.Context, e engine, o Options) (*DB, error) {
	db := &DB{engine: e, life: o.RevocationLife, now: o.Now, log: o.Log, changed: make(chan struct{})}
	if db.life <= 0 {
		db.life = 31 * 24 * time.Hour
	}
	if db.now == nil {
		db.now = time.Now
	}
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	if err := errors.Join(db.prepare(ctx, o), e.inPlace()); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", e.dialect().name, err), db.Close())
	}
	return db, nil
}

// prepare opens the pools and checks what the database holds.
func (db *DB) prepare(ctx context.Context, o Options) error {
	if err := db.engine.connect(ctx, db); err != nil {
		return err
	}
	if err := db.migrate(ctx, o); err != nil {
		return err
	}
	return db.checkMeta(ctx, o)
}

// Close closes the database; SQLite's write-ahead log is folded into the file.
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

// Name says which database it is, without a secret: the absolute path of the
// file, or the address and name on the server.
func (db *DB) Name() string { return db.engine.dialect().name }

func base(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// unbase reads what base wrote; nil for anything else.
func unbase(s string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) == 0 {
		return nil
	}
	return b
}
