package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/internal/heap"

	"github.com/spf13/cobra"
)

// serveFlags are the flags of `gatehouse serve`.
type serveFlags struct {
	level   slog.LevelVar
	noWatch bool
}

func newServe(s *settings) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway.

It reads the configuration again when a file of it changes, or one that it
names (rules, data, secrets, the shadow), and on SIGHUP. When something is wrong
with the new one, all mistakes are logged and the one before stays. The keys
idp, listen, tls, data_dir, secrets_dir, telemetry and principals take effect at a
start only; a reload that changes one of them is refused and names it.`,
		Example: "  gatehouse serve\n  gatehouse serve --config /etc/gatehouse/gatehouse.yaml\n  gatehouse serve --no-watch    # then kill -HUP reloads",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.serve(cmd.Context(), &f) },
	}
	cmd.Flags().TextVar(&f.level, "log-level", &f.level, "`LEVEL` of what is logged: DEBUG, INFO, WARN or ERROR")
	cmd.Flags().BoolVar(&f.noWatch, "no-watch", false, "reload on SIGHUP only, not when files change")
	return cmd
}

// serve runs until ctx ends.
func (s *settings) serve(ctx context.Context, f *serveFlags) error {
	begin := time.Now()
	tuning := heap.Tune(os.DirFS("/"), os.LookupEnv)
	defer tuning.Stop()
	// From here on SIGHUP does not end the program: it may come early.
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	plan, path, err := s.load()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(s.Err, &slog.HandlerOptions{Level: &f.level}))
	// net/http and its transports speak through the standard logger.
	slog.SetDefault(log)
	running, err := app.Open(ctx, plan, app.Options{Log: log, Version: Version, NoWatch: f.noWatch})
	if err != nil {
		return unreachable(err)
	}
	summary := running.Summary()
	for _, warning := range summary.Warnings {
		log.Warn(warning.String())
	}
	log.Info("serving", append([]any{
		"version", Version, "config", path, "revision", summary.Revision, "public_url", summary.PublicURLs,
		"listen", strings.Join(running.Addrs(), " "), "ready_after", time.Since(begin).Round(time.Millisecond).String(),
	}, tuning.Attrs()...)...)
	ctx, stop := context.WithCancel(ctx)
	forwarded := make(chan struct{})
	go func() {
		defer close(forwarded)
		forward(ctx, hup, running.Reload)
	}()
	err = running.Run(ctx)
	stop()
	<-forwarded
	if err != nil {
		return problems(fmt.Errorf("serve: %w", err))
	}
	log.Info("stopped")
	return nil
}

// forward calls reload for each signal until ctx ends.
func forward(ctx context.Context, signals <-chan os.Signal, reload func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			reload()
		}
	}
}
