package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/store"
	"gatehouse/internal/audit"

	"github.com/spf13/cobra"
)

func newBackup(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Copy the user pool to a file, beside a running server", Args: cobra.ExactArgs(1),
		Long: `Copy the user pool, as it is at one moment, to a new file that only its owner
may read. A running server goes on. The file is the same for SQLite and for
PostgreSQL, so it also moves a pool from one to the other.

The file holds people, groups, clients, hashes of passwords, the record of
events, and what is sealed, still sealed. It does not hold the sealing key, and
without that key nobody can restore it: keep both, in different places. Sessions,
codes, tokens and the keys that sign them are left out.`,
		Example: "  gatehouse backup /backup/pool-2030-01-02.jsonl",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				rows, err := writeBackup(ctx, st, args[0])
				if err != nil {
					return problems(err)
				}
				return s.done("%d rows of the user pool copied to %s", rows, args[0])
			})
		},
	}
}

// writeBackup makes the file, or leaves none.
func writeBackup(ctx context.Context, st *app.Store, path string) (rows int64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, fmt.Errorf("make backup: %w", err)
	}
	rows, err = st.Backup(ctx, file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, fmt.Errorf("make backup %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	return rows, nil
}

// restoreFlags are the flags of `gatehouse restore`.
type restoreFlags struct{ replace, yes bool }

func newRestore(s *settings) *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup in the place of the user pool", Args: cobra.ExactArgs(1),
		Long: `Put what ` + "`gatehouse backup`" + ` copied into the database of the configuration: an
empty one, or with --replace in the place of all that it holds. Stop every
gatehouse on it first. The sealing key must be the one of the backup, and the
program of the version that made it.

Everybody signs in again: no session, code, token or link of before is good
afterwards, and new keys sign. What else was changed after the backup is lost. A
person who was disabled or deleted since is back, passwords and groups are those
of then, and recovery codes used since are good again.`,
		Example: "  gatehouse restore /backup/pool-2030-01-02.jsonl\n  gatehouse restore --replace /backup/pool-2030-01-02.jsonl",
		RunE:    func(cmd *cobra.Command, args []string) error { return s.restore(cmd.Context(), args[0], f) },
	}
	cmd.Flags().BoolVar(&f.replace, "replace", false, "replace the user pool that is there")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	return cmd
}

func (s *settings) restore(ctx context.Context, path string, f restoreFlags) error {
	plan, _, err := s.load()
	if err != nil {
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return unreachable(fmt.Errorf("read backup: %w", err))
	}
	defer file.Close()
	r, err := app.OpenRestore(ctx, plan, file)
	switch {
	case errors.Is(err, store.ErrBackup), errors.Is(err, store.ErrDemo), errors.Is(err, store.ErrSchema), errors.Is(err, store.ErrSealingKey):
		return problems(fmt.Errorf("restore %s: %w", path, err))
	case err != nil:
		return unreachable(err)
	case r.Replaces && !f.replace:
		return problems(fmt.Errorf("restore %s to %s: %w", path, r.Database, app.ErrPoolThere))
	case r.Replaces:
		if err := s.confirm(f.yes, "Replace all that %s holds by the backup of %s?", r.Database, stamp(r.Info.Made)); err != nil {
			return err
		}
	}
	ctx = audit.WithActor(ctx, audit.Actor{Name: "os:" + osUser()})
	if err := r.Run(ctx); err != nil {
		return problems(fmt.Errorf("restore %s: %w", path, err))
	}
	return s.done("%d rows of %s restored to %s; everybody signs in again", r.Info.Rows, stamp(r.Info.Made), r.Database)
}
