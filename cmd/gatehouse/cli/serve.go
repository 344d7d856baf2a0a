package cli

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/app"

	"github.com/spf13/cobra"
)

func newServe(s *settings) *cobra.Command {
	var level slog.LevelVar
	cmd := &cobra.Command{
		Use:     "serve",
		Short:   "Run the gateway",
		Example: "  gatehouse serve\n  gatehouse serve --config /etc/gatehouse/gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			begin := time.Now()
			plan, path, err := s.load()
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(s.Err, &slog.HandlerOptions{Level: &level}))
			// net/http and its transports speak through the standard logger.
			slog.SetDefault(log)
			for _, warning := range plan.Summary().Warnings {
				log.Warn(warning)
			}
			running, err := app.Open(cmd.Context(), plan, app.Options{Log: log})
			if err != nil {
				return unreachable(err)
			}
			log.Info("serving", "version", Version, "config", path, "public_url", plan.Summary().PublicURLs,
				"listen", strings.Join(running.Addrs(), " "), "ready_after", time.Since(begin).Round(time.Millisecond).String())
			if err := running.Run(cmd.Context()); err != nil {
				return problems(fmt.Errorf("serve: %w", err))
			}
			log.Info("stopped")
			return nil
		},
	}
	cmd.Flags().TextVar(&level, "log-level", &level, "`LEVEL` of what is logged: DEBUG, INFO, WARN or ERROR")
	return cmd
}
