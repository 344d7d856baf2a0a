package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"gatehouse/idp/store/storetest/pgserver"
)

// engines are the databases that the provider can keep people in. Each has the
// line of the section idp that says so.
var engines = []struct {
	name  string
	store func(t *testing.T) string
}{
	{"sqlite", func(*testing.T) string { return "" }}, // the default, in data_dir
	{"postgres", postgres},
}

// private is the PostgreSQL of this run, started by the first test that needs it.
var private struct {
	once   sync.Once
	server *pgserver.Server
	dir    string
	err    error
}

// postgres makes a database that ends with the test, and returns the line of
// the configuration that names it.
func postgres(t *testing.T) string {
	t.Helper()
	private.once.Do(func() {
		if private.dir = os.Getenv("GATEHOUSE_POSTGRES"); private.dir != "" {
			return // that of withpostgres
		}
		if private.server, private.err = pgserver.Start(context.Background()); private.err == nil {
			private.dir = private.server.Dir
		}
	})
	if errors.Is(private.err, pgserver.ErrMissing) {
		missing(t, private.err.Error())
	}
	if private.err != nil {
		t.Fatal(private.err)
	}
	name := "e2e" + strings.ToLower(rand.Text())
	ask := func(program string, args ...string) error {
		out, err := exec.Command(program, append([]string{"-h", private.dir, "-U", "postgres"}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", program, err, out)
		}
		return nil
	}
	if err := ask("createdb", name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ask("dropdb", "--force", name); err != nil {
			t.Error(err)
		}
	})
	return fmt.Sprintf("  store: { postgres: %q }\n", pgserver.URL(private.dir, name))
}

// endPostgres ends the server of this run, if there is one.
func endPostgres() error {
	if private.server == nil {
		return nil
	}
	return private.server.Stop()
}
