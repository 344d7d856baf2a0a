package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/pool/transfer"

	"github.com/spf13/cobra"
)

func userExport(s *settings) *cobra.Command {
	var format, progress string
	var hashes, secrets bool
	cmd := &cobra.Command{
		Use: "export FILE", Short: "Write all people down in a file", Args: cobra.ExactArgs(1),
		Long: `Write all people down in a new file that its owner alone can read, ordered by
username. - is standard output.

JSON lines hold everything but second factors, and user import brings people back
as they were; of second factors --secrets adds authenticator apps. CSV is Cognito's:
it holds no sub, groups and status, and leaves out who is disabled, for they would
come back enabled.`,
		Example: "  gatehouse user export people.jsonl\n  gatehouse user export --format csv - | head",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkProgress(progress); err != nil {
				return err
			}
			var err error
			if format, err = formatOf(args[0], format); err != nil {
				return err
			}
			if secrets && format == transfer.FormatCSV {
				return usage("--secrets: %w", transfer.ErrSecrets)
			}
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				e := st.Exporter()
				e.Format, e.Hashes, e.Secrets = format, hashes, secrets
				return s.exportUsers(ctx, &e, args[0], progress)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "`FORMAT` of the file: csv or jsonl (default: by its name)")
	cmd.Flags().BoolVar(&hashes, "hashes", false, "write the hashes of passwords too: whoever reads them can try passwords on them")
	cmd.Flags().BoolVar(&secrets, "secrets", false, "write the secrets of authenticator apps too: whoever reads them has everybody's second factor")
	cmd.Flags().StringVar(&progress, "progress", "auto", "`WHEN` a progress bar is shown: auto (on a terminal), always or never")
	return cmd
}

func (s *settings) exportUsers(ctx context.Context, e *transfer.Exporter, path, progress string) error {
	if e.Hashes {
		fmt.Fprintln(s.Err, "gatehouse: warning: the file holds the hash of everybody's password; whoever reads it can try passwords on them for as long as they like, so keep it like the passwords themselves and remove it soon")
	}
	if e.Secrets {
		fmt.Fprintln(s.Err, "gatehouse: warning: the file holds the secrets of everybody's authenticator app; whoever reads it has their second factors, so keep it like the passwords themselves and remove it soon")
	}
	bar := newBar(s.Err, progress, "people", 0)
	e.Progress = bar.judged
	done, err := s.writePeople(ctx, e, path)
	bar.end()
	if err != nil {
		return err
	}
	if done.LeftOut > 0 {
		fmt.Fprintf(s.Err, "gatehouse: warning: %d disabled are left out, for they would come back enabled; jsonl holds them as they are\n", done.LeftOut)
	}
	if path == "-" {
		return nil
	}
	return s.print(struct {
		File string `json:"file"`
		transfer.Written
	}{path, done}, func(w io.Writer) { fmt.Fprintf(w, "%d people written to %s\n", done.People, path) })
}

// writePeople writes to standard output or to a new file, of which nothing is
// left when it cannot be finished.
func (s *settings) writePeople(ctx context.Context, e *transfer.Exporter, path string) (transfer.Written, error) {
	failed := func(err error) error {
		if ctx.Err() != nil {
			return &exitError{code: exitInterrupted, err: errors.New("interrupted; nothing was written")}
		}
		return unreachable(fmt.Errorf("export to %s: %w", path, err))
	}
	if path == "-" {
		done, err := e.Write(ctx, s.Out)
		if err != nil {
			return done, failed(err)
		}
		return done, nil
	}
	// O_EXCL: nothing of before is lost, and no link leads elsewhere.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return transfer.Written{}, usage("%s exists already; export to a new file", path)
	}
	if err != nil {
		return transfer.Written{}, failed(err)
	}
	done, err := e.Write(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return done, errors.Join(failed(err), os.Remove(path))
	}
	return done, nil
}
