package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"

	"github.com/spf13/cobra"
)

// withStore opens the user pool of the configuration, beside a running server
// or without one, and runs do as the operating system's user.
func (s *settings) withStore(ctx context.Context, do func(ctx context.Context, st *app.Store) error) error {
	return s.opened(ctx, app.OpenStore, do)
}

// withPasswords is withStore for what sets passwords.
func (s *settings) withPasswords(ctx context.Context, do func(ctx context.Context, st *app.Store) error) error {
	return s.opened(ctx, app.OpenStoreForPasswords, do)
}

type opener func(context.Context, *app.Plan) (*app.Store, error)

func (s *settings) opened(ctx context.Context, open opener, do func(ctx context.Context, st *app.Store) error) (err error) {
	plan, _, err := s.load()
	if err != nil {
		return err
	}
	st, err := open(ctx, plan)
	if err != nil {
		return unreachable(err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return do(audit.WithActor(ctx, audit.Actor{Name: "os:" + osUser()}), st)
}

// withUser finds a user by username or e-mail address.
func (s *settings) withUser(ctx context.Context, name string, do func(context.Context, *app.Store, pool.User) error) error {
	return s.withStore(ctx, found(name, do))
}

// found calls do with the user of that name.
func found(name string, do func(context.Context, *app.Store, pool.User) error) func(context.Context, *app.Store) error {
	return func(ctx context.Context, st *app.Store) error {
		u, err := st.Pool.Find(ctx, name)
		if err != nil {
			return problems(fmt.Errorf("find user %s: %w", name, err))
		}
		return do(ctx, st, u)
	}
}

// osUser is the name under which changes are recorded.
func osUser() string {
	u, err := user.Current()
	if err != nil {
		return fmt.Sprintf("uid-%d", os.Geteuid())
	}
	return u.Username
}

// done prints a sentence, or it as JSON.
func (s *settings) done(format string, a ...any) error {
	text := fmt.Sprintf(format, a...)
	return s.print(map[string]string{"done": text}, func(w io.Writer) { fmt.Fprintln(w, text) })
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// deletion is a command that deletes what its one argument names.
type deletion struct {
	use, short, example string
	// what is what is deleted: "client".
	what string
	do   func(ctx context.Context, st *app.Store, name string) error
}

func (s *settings) deletes(d deletion) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: d.use, Short: d.short, Args: cobra.ExactArgs(1), Example: d.example,
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				if err := s.confirm(yes, "Delete the %s %s?", d.what, args[0]); err != nil {
					return err
				}
				if err := d.do(ctx, st, args[0]); err != nil {
					return problems(fmt.Errorf("delete %s %s: %w", d.what, args[0], err))
				}
				return s.done("%s %s deleted", d.what, args[0])
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
