package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/idp/store/storetest"
	"gatehouse/internal/testenv"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what came back into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gatehouse": gatehouse})
}

// gatehouse is the program, as main runs it.
func gatehouse() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Main(ctx, os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	os.Exit(code)
}

// TestScripts runs testdata/*.txtar. Besides testscript's own commands:
//
//	exits N ARG...      runs gatehouse, which must exit with code N
//	up [ARG...]         runs gatehouse until it succeeds; without ARG, its health
//	occupy              listens on $ADDR until the script ends
//	token ID FILE       asks for an access token as client ID, whose secret
//	                    is in the JSON of stdout, and writes it to FILE
//	visit PATH STATUS   gets a path of http://app.localhost
//	crowd N FILE        writes N people into FILE
//	slay FILE           imports FILE, and kills the process on the way
//
// $ADDR is a free address, also where a YAML file says ADDR. The condition
// root says that the test may give files away.
func TestScripts(t *testing.T) { scripts(t, "testdata", setup) }

// TestScriptsOnPostgres runs those of testdata/postgres, with an empty database
// whose URL is in the file database.url.
func TestScriptsOnPostgres(t *testing.T) {
	database := storetest.EmptyPostgres(t)
	scripts(t, "testdata/postgres", func(env *testscript.Env) error {
		url := []byte(database.Postgres.Reveal())
		return errors.Join(setup(env), os.WriteFile(env.WorkDir+"/database.url", url, 0o600))
	})
}

func scripts(t *testing.T, dir string, setup func(*testscript.Env) error) {
	testscript.Run(t, testscript.Params{
		Dir: dir, UpdateScripts: *update, RequireUniqueNames: true, Setup: setup,
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "up": up, "occupy": occupy, "token": token, "visit": visit,
			"crowd": crowd, "slay": slay,
		},
	})
}

func condition(name string) (bool, error) {
	if name != "root" {
		return false, fmt.Errorf("unknown condition %s", name)
	}
	return os.Geteuid() == 0, nil
}

// setup gives each script an address of its own, and fills it in where a file
// says ADDR.
func setup(env *testscript.Env) error {
	addr, err := testenv.FreeAddr(context.Background())
	if err != nil {
		return err
	}
	env.Setenv("ADDR", addr)
	env.Setenv("XDG_CACHE_HOME", env.WorkDir+"/cache")
	entries, err := os.ReadDir(env.WorkDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if path := env.WorkDir + "/" + e.Name(); strings.HasSuffix(path, ".yaml") {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte("ADDR"), []byte(addr)), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// exits runs the program and holds its exit code against the first argument.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("gatehouse", args[1:]...)
	got := 0
	if exit, ok := err.(interface{ ExitCode() int }); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("gatehouse %s exits %d, want %d", strings.Join(args[1:], " "), got, want)
	}
	if strings.Contains(ts.ReadFile("stderr"), "panic:") {
		ts.Fatalf("gatehouse %s panics", strings.Join(args[1:], " "))
	}
}

func up(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		args = []string{"health"}
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ts.Exec("gatehouse", args...) == nil {
			return
		}
	}
	ts.Fatalf("gatehouse %s does not get an answer: %s", strings.Join(args, " "), ts.ReadFile("stderr"))
}

func occupy(ts *testscript.TestScript, _ bool, _ []string) {
	ln, err := net.Listen("tcp", ts.Getenv("ADDR"))
	ts.Check(err)
	ts.Defer(func() { _ = ln.Close() })
}

// token asks the provider, on its own host, at the address of the gateway.
func token(ts *testscript.TestScript, _ bool, args []string) {
	var made clientJSON
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &made))
	r, err := http.NewRequest(http.MethodPost, "http://"+ts.Getenv("ADDR")+"/oauth2/token", strings.NewReader("grant_type=client_credentials"))
	ts.Check(err)
	r.Host = "login.localhost"
	r.SetBasicAuth(args[0], made.Secret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	ts.Check(json.NewDecoder(res.Body).Decode(&answer))
	if answer.Token == "" {
		ts.Fatalf("no token for %s: %s", args[0], answer.Error)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(answer.Token+"\n"), 0o600))
}

func visit(ts *testscript.TestScript, _ bool, args []string) {
	r, err := http.NewRequest(http.MethodGet, "http://"+ts.Getenv("ADDR")+args[0], nil)
	ts.Check(err)
	r.Host = "app.localhost"
	res, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	ts.Check(err)
	if got := strconv.Itoa(res.StatusCode); got != args[1] {
		ts.Fatalf("GET %s = %s, want %s", args[0], got, args[1])
	}
}
