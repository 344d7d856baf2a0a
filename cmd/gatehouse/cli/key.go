package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/internal/keyring"

	"github.com/spf13/cobra"
)

func newKey(s *settings) *cobra.Command {
	return noun("key", "Keys: cookies, assertions, tokens, sealing", keyList(s), keyRotate(s), keyReseal(s))
}

// keyJSON is a key as printed: what it is called, never the key.
type keyJSON struct {
	Ring    string `json:"ring"`
	ID      string `json:"kid"`
	Created string `json:"created"`
	Use     string `json:"use"`
}

func keyList(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List keys by ring, newest first", Args: cobra.NoArgs, Example: "  gatehouse key list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, _, err := s.load()
			if err != nil {
				return err
			}
			all := []keyJSON{}
			for _, purpose := range []keyring.Purpose{keyring.Cookie, keyring.Assertion, keyring.Sealing} {
				ring, err := plan.Config.ReadRing(purpose)
				if errors.Is(err, keyring.ErrNoKey) {
					continue
				}
				if err != nil {
					return unreachable(err)
				}
				for i, k := range ring.Keys() {
					use := "opens what it made"
					if i == 0 {
						use = "in use"
					}
					all = append(all, keyJSON{string(purpose), k.ID, stamp(k.Created), use})
				}
			}
			if plan.Config.IDP != nil {
				if all, err = s.tokenKeys(cmd.Context(), all); err != nil {
					return err
				}
			}
			return s.print(all, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "RING\tKID\tCREATED\tUSE")
				for _, k := range all {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.Ring, k.ID, k.Created, k.Use)
				}
				t.Flush()
			})
		},
	}
}

// tokenKeys adds the signing keys of the provider, which are in its database.
func (s *settings) tokenKeys(ctx context.Context, all []keyJSON) ([]keyJSON, error) {
	err := s.withStore(ctx, func(ctx context.Context, st *app.Store) error {
		keys, err := st.TokenKeys(ctx)
		if err != nil {
			return problems(fmt.Errorf("list token keys: %w", err))
		}
		for _, k := range keys {
			all = append(all, keyJSON{"token", k.ID, stamp(k.Created), "signs from " + stamp(k.Signs)})
		}
		return nil
	})
	return all, err
}

func keyRotate(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "rotate RING", Short: "Make a new key for token, cookie, assertion or sealing", Args: cobra.ExactArgs(1),
		Long: `Make a new key. What the ones before it made can still be opened and verified;
of cookie, assertion and sealing keys three are kept. After a new sealing key the
database is sealed again, as 'key reseal' does.

A token key is published ten minutes before it signs. A running server takes up
a new token key by itself; after rotating another ring, restart it.`,
		Example:   "  gatehouse key rotate token\n  gatehouse key rotate cookie",
		ValidArgs: []string{"token", "cookie", "assertion", "sealing"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "token":
				return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
					if err := st.Keys.Rotate(ctx); err != nil {
						return problems(fmt.Errorf("rotate token key: %w", err))
					}
					return s.done("token key made; it signs in ten minutes")
				})
			case "cookie", "assertion":
				return s.rotateRing(keyring.Purpose(args[0]))
			case "sealing":
				if os.Getenv(app.SealingEnv) != "" {
					return usage("the sealing key comes from %s: put a new one before it, with a comma, then call `gatehouse key reseal`", app.SealingEnv)
				}
				return s.rotateSealing(cmd.Context())
			}
			return usage("%q is no ring of keys: token, cookie, assertion or sealing", args[0])
		},
	}
}

func (s *settings) rotateRing(purpose keyring.Purpose) error {
	plan, _, err := s.load()
	if err != nil {
		return err
	}
	ring, err := plan.Config.ReadRing(purpose)
	if err != nil {
		return unreachable(err)
	}
	if err := ring.Rotate(); err != nil {
		return problems(fmt.Errorf("rotate %s key: %w", purpose, err))
	}
	return s.done("%s key made; restart the server to use it", purpose)
}

// rotateSealing makes the new key first and seals again second: whatever stops
// in between is still open to the older key of the ring.
func (s *settings) rotateSealing(ctx context.Context) error {
	if err := s.rotateRing(keyring.Sealing); err != nil {
		return err
	}
	return s.withStore(ctx, reseal)
}

func reseal(ctx context.Context, st *app.Store) error {
	if err := st.Reseal(ctx); err != nil {
		return problems(fmt.Errorf("seal the database again: %w", err))
	}
	return nil
}

func keyReseal(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "reseal", Short: "Seal all secrets in the database under the newest sealing key", Args: cobra.NoArgs,
		Long: `Seal all secrets in the database again, under the newest sealing key, in one
transaction. 'key rotate sealing' does it by itself; this is for a key from
GATEHOUSE_SEALING_KEY, where the new one stands before the old one with a comma, and
for a rotation that was cut short. Afterwards the old key opens nothing there;
backups still need it.`,
		Example: "  GATEHOUSE_SEALING_KEY=NEW,OLD gatehouse key reseal",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				if err := reseal(ctx, st); err != nil {
					return err
				}
				return s.done("everything sealed is under the newest sealing key")
			})
		},
	}
}
