package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/cmd/gatehouse/demo"
	"gatehouse/idp/notify"
	"gatehouse/internal/heap"

	"github.com/spf13/cobra"
)

// demoFlags are the flags of `gatehouse demo`.
type demoFlags struct {
	listen     string
	upstream   string
	data       string
	kubernetes bool
}

func newDemo(s *settings) *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a gateway, sign-in and a demo application, in one process",
		Long: `Run a gateway, its own sign-in and a demo application in one process, with
nothing else installed. Users and passwords are made up and printed.

Set GATEHOUSE_DEMO_PASSWORD to choose every demo user's password, for scripts.`,
		Example: "  gatehouse demo\n  gatehouse demo --upstream http://localhost:3000\n  gatehouse demo --listen 9000 --data ./demo-data",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.demo(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.listen, "listen", "", "`ADDRESS` or port (default: port 8080 of 127.0.0.1 and ::1, or the next free one)")
	cmd.Flags().StringVar(&f.upstream, "upstream", "", "`URL` of your own application, instead of the demo application")
	cmd.Flags().StringVar(&f.data, "data", "", "`DIR` to keep users and keys in (default: temporary, removed at the end)")
	cmd.Flags().BoolVar(&f.kubernetes, "in-kubernetes", false, "run although this looks like a Kubernetes cluster, where a demo is no protection")
	cmd.AddCommand(newDemoToken(s))
	return cmd
}

func newDemoToken(s *settings) *cobra.Command {
	var addr string
	cmd := &cobra.Command{
		Use:   "token SCOPE...",
		Short: "Print an access token of orders-job from a running demo",
		Long: `Print an access token of the client orders-job, alone on one line. It asks the
newest demo of this user, or the one at --addr or GATEHOUSE_DEMO_ADDR, over a
socket that only this user can open.`,
		Example: "  gatehouse demo token orders.read\n  curl -H \"Authorization: Bearer $(gatehouse demo token orders.read)\" http://localhost:8080/api/orders/7",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if addr == "" {
				addr = os.Getenv("GATEHOUSE_DEMO_ADDR")
			}
			token, err := demo.Token(cmd.Context(), addr, args)
			if err != nil {
				return unreachable(err)
			}
			fmt.Fprintln(s.Out, token)
			return nil
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "", "`HOST:PORT` of the demo to ask (default: the newest)")
	return cmd
}

// demo runs until ctx ends. What it makes it removes, unless --data keeps it.
func (s *settings) demo(ctx context.Context, f demoFlags) (err error) {
	if s.config != "" {
		return usage("demo takes no --config: it brings its own; `gatehouse serve` runs yours")
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" && !f.kubernetes {
		return usage("this looks like a Kubernetes cluster, where a demo protects nothing; --in-kubernetes runs it all the same")
	}
	defer heap.Tune(os.DirFS("/"), os.LookupEnv).Stop()
	place, err := listenDemo(ctx, f.listen)
	if err != nil {
		return unreachable(err)
	}
	// From here on the listeners belong to the server, or are closed here.
	started := false
	defer func() {
		if !started {
			for _, ln := range place.listeners {
				_ = ln.Close() // nothing was served on it
			}
		}
	}()
	home, err := demo.OpenHome(f.data, os.Getenv("GATEHOUSE_DEMO_PASSWORD"), !place.loopback)
	if err != nil {
		return unreachable(err)
	}
	defer func() { err = errors.Join(err, home.Close()) }()
	upstream, stop, err := s.demoUpstream(f.upstream)
	if err != nil {
		return err
	}
	defer stop()
	running, summary, err := s.openDemo(ctx, place, home, upstream)
	if err != nil {
		return unreachable(err)
	}
	started = true
	control, err := demo.Announce(place.host, running.MintFor("orders-job"))
	if err != nil {
		return unreachable(errors.Join(err, running.Close()))
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	summary.Upstream, summary.Control = f.upstream, control.Socket()
	if err := demo.Print(s.Out, summary); err != nil {
		return problems(errors.Join(err, running.Close()))
	}
	if err := running.Run(ctx); err != nil {
		return problems(err)
	}
	return nil
}

// demoUpstream returns the application's URL: the newcomer's, or that of the
// demo application, which it starts.
func (s *settings) demoUpstream(given string) (string, func(), error) {
	if given != "" {
		u, err := url.Parse(given)
		known := err == nil && (u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "h2c")
		if !known || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return "", nil, usage("--upstream is %q, want scheme, host and port only, such as http://localhost:3000", given)
		}
		return given, func() {}, nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, unreachable(fmt.Errorf("start demo application: %w", err))
	}
	srv := &http.Server{Handler: demo.App(), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // ends with ErrServerClosed, when stopped below
	}()
	return "http://" + ln.Addr().String(), func() { _ = srv.Close(); <-done }, nil
}

func (s *settings) openDemo(ctx context.Context, place demoPlace, home *demo.Home, upstream string) (*app.App, demo.Summary, error) {
	text, err := demo.Config(demo.Setup{
		Origin: "http://" + place.host, Listen: place.addrs(), Upstream: upstream,
		Dir: home.Dir, Passwords: home.Passwords, JobSecret: home.JobSecret,
	})
	if err != nil {
		return nil, demo.Summary{}, err
	}
	path := home.ConfigPath()
	if err := demo.WritePrivate(path, text); err != nil {
		return nil, demo.Summary{}, err
	}
	plan, err := app.Load(path)
	if err != nil {
		return nil, demo.Summary{}, err
	}
	log := slog.New(slog.NewTextHandler(s.Err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	slog.SetDefault(log) // net/http and its transports speak through it
	running, err := app.Open(ctx, plan, app.Options{Log: log, Version: Version, Demo: true, DemoPasswords: home.Passwords, Mailbox: notify.NewMailbox(s.Out), Listeners: place.listeners})
	if err != nil {
		return nil, demo.Summary{}, err
	}
	command := self()
	return running, demo.Summary{
		Version: Version, Address: "http://" + place.host, Moved: place.moved, Command: command,
		Users: home.Users(), GivenPassword: home.GivenPassword,
		Routes: demo.Routes(), Explain: command + " explain --config " + path + " --as bob GET /admin/",
		Data: home.Dir, KeepsData: home.Kept,
	}, nil
}

// self is how this program was called: `go run` leaves it in a directory of
// its own, so that name would lead nowhere tomorrow.
func self() string {
	if strings.Contains(os.Args[0], string(filepath.Separator)+"go-build") {
		return "go run ./cmd/gatehouse"
	}
	return os.Args[0]
}
