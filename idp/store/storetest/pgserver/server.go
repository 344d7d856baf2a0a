package pgserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// ErrMissing means that there is no PostgreSQL to start.
var ErrMissing = errors.New("PostgreSQL is not installed; on Debian: apt-get install postgresql")

// usualPort is in the name of the socket.
const usualPort = 5432

// startLimit bounds how long making and starting a server takes.
const startLimit = time.Minute

// Server is a running server.
type Server struct {
	// Dir is its directory, which holds the socket.
	Dir string

	port int
	cert *tls.Certificate // nil for the socket alone
	cmd  *exec.Cmd
	hold io.Closer
}

// keep runs the server until its standard input ends: $1 is the program, $2 the
// directory, the rest are settings.
const keep = `program=$1 dir=$2
shift 2
"$program" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=400 -c shared_buffers=64MB \
	-c log_min_messages=fatal "$@" </dev/null >"$dir/log" 2>&1 &
pid=$!
read -r _
kill -INT "$pid"
wait "$pid"
rm -rf "$dir"`

// unsafe turns off what is slow about keeping data safe: tests have none.
var unsafe = []string{"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"}

// Start makes and starts a server, in a minute at most. It forgets everything
// when the machine stops, and is fast. ErrMissing.
func Start(ctx context.Context) (*Server, error) {
	return start(ctx, &Server{port: usualPort}, place(), unsafe)
}

// StartSafe is Start of a server that keeps data as one does that is in use: on
// the disk, and written before it says so.
func StartSafe(ctx context.Context) (*Server, error) {
	return start(ctx, &Server{port: usualPort}, "", nil)
}

func start(ctx context.Context, s *Server, parent string, settings []string) (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if s.Dir, err = os.MkdirTemp(parent, "gatehouse-pg-"); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := s.start(ctx, bin, settings); err != nil {
		if s.hold == nil {
			err = errors.Join(err, os.RemoveAll(s.Dir))
		}
		return nil, fmt.Errorf("start PostgreSQL: %w", errors.Join(err, s.Stop()))
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, bin string, settings []string) error {
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", filepath.Join(s.Dir, "data"), "-U", "postgres",
		"-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.Dir = s.Dir
	if err := unprivileged(initdb, s.Dir); err != nil {
		return err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if s.cert != nil {
		more, err := s.secure()
		if err != nil {
			return err
		}
		settings = append(more, settings...)
	}
	// It outlives ctx; the pipe ends it.
	cmd := exec.Command("/bin/sh", append([]string{"-c", keep, "sh", filepath.Join(bin, "postgres"), s.Dir}, settings...)...)
	cmd.Dir = s.Dir
	if err := unprivileged(cmd, s.Dir); err != nil {
		return err
	}
	hold, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.hold = cmd, hold
	return s.ready(ctx)
}

// ready waits until the server takes connections.
func (s *Server) ready(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("unix", filepath.Join(s.Dir, fmt.Sprintf(".s.PGSQL.%d", s.port)))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			return fmt.Errorf("it does not answer: %w\n%s", err, log)
		case <-tick.C:
		}
	}
}

// URL returns the address of a database on the server, for its superuser.
func (s *Server) URL(database string) string { return address(s.Dir, s.port, database) }

// URL is Server.URL of the server of Start whose directory is dir.
func URL(dir, database string) string { return address(dir, usualPort, database) }

func address(dir string, port int, database string) string {
	parameters := url.Values{"host": {dir}, "port": {strconv.Itoa(port)}}
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database, RawQuery: parameters.Encode()}).String()
}

// Stop ends the server and waits for it. A second Stop does nothing.
func (s *Server) Stop() error {
	if s.hold == nil {
		return nil
	}
	err := s.hold.Close()
	s.hold = nil
	_ = s.cmd.Wait() // its exit code says nothing
	return err
}

// programs finds the directory of initdb and postgres: the newest of Debian's.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", ErrMissing
}
