package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"gatehouse/idp/store"
	"gatehouse/internal/audit"
)

// ErrPoolThere says that a restore would replace a user pool and was not asked to.
var ErrPoolThere = errors.New("there is a user pool already; --replace puts the backup in its place")

// Backup writes what the user pool holds at one moment to w and returns the
// number of rows; see store.DB.Backup. That it was made is an event.
func (s *Store) Backup(ctx context.Context, w io.Writer) (int64, error) {
	rows, err := s.db.Backup(ctx, w)
	if err != nil {
		return 0, err
	}
	return rows, s.db.Append(ctx, audit.Event{Type: "store.copied", Detail: map[string]string{"rows": fmt.Sprint(rows)}})
}

// Restore is a restore that passed every check.
type Restore struct {
	// Info is what the backup says of itself.
	Info store.BackupInfo
	// Database says where it will be put.
	Database string
	// Replaces says that a user pool is there.
	Replaces bool

	plan *Plan
	file io.ReadSeeker
}

// OpenRestore reads a backup to its end and looks at where it would be put. It
// changes nothing.
func OpenRestore(ctx context.Context, plan *Plan, file io.ReadSeeker) (*Restore, error) {
	c := plan.Config
	if c.IDP == nil {
		return nil, ErrNoProvider
	}
	info, err := store.ReadBackup(file)
	if err != nil {
		return nil, err
	}
	sealer, err := c.openSealer(false, os.Getenv(SealingEnv))
	if err != nil {
		return nil, err
	}
	if err := info.Check(sealer); err != nil {
		return nil, err
	}
	exists, err := c.IDP.Store.Exists(ctx, c.DataDir)
	if err != nil {
		return nil, err
	}
	return &Restore{Info: info, Database: c.IDP.Store.Name(c.DataDir), Replaces: exists, plan: plan, file: file}, nil
}

// Run puts the backup in the place of what is there; see store.DB.Restore.
// Sessions at foreign issuers end as well: nobody knows any more which of them
// were signed out after the backup.
func (r *Restore) Run(ctx context.Context) (err error) {
	c := r.plan.Config
	if err := c.makeDataDir(); err != nil {
		return err
	}
	sealer, err := c.openSealer(false, os.Getenv(SealingEnv))
	if err != nil {
		return err
	}
	db, err := c.IDP.Store.Open(ctx, c.DataDir, store.Options{Create: true, Migrate: true, Sealer: sealer, RevocationLife: c.revocationLife()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var end []audit.Revoke
	for _, p := range c.Login.Providers {
		end = append(end, audit.Revoke{Kind: audit.KindClient, Issuer: p.Issuer, Value: p.ClientID})
	}
	return db.Restore(ctx, r.file, end...)
}
