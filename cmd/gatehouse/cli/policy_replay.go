package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/proxy/whatif"

	"github.com/spf13/cobra"
)

func newPolicyReplay(s *settings) *cobra.Command {
	var against, progress string
	cmd := &cobra.Command{
		Use:   "replay LOG",
		Short: "Say which recorded decisions a changed configuration would flip",
		Long: `Ask a changed configuration about each request of a decision log (policy.log),
and say what would flip, for whom, and how often. Nothing is sent.

LOG is a file of JSON lines or of JSON arrays, plain or gzipped; - is standard
input. Each request is asked as it came: at its time, from the same person. What
is recorded of a person is taken as it is; a change of bearer, login or idp that
would make another person of the same token shows nowhere. Requests to routes
that were open to anyone are in no log, and of allowed requests only the share
that policy.log.allows names.

A request that lacks what the new rule looks at, because it was masked or its
body was not read, is counted as not judged, with the reason.

Exit code 0 means that nothing flips, 1 that something does, or that there was no
request, or none that could be judged.`,
		Example: "  gatehouse policy replay /var/log/gatehouse/decisions.jsonl --against new.yaml\n  zcat decisions-*.gz | gatehouse policy replay - --against new.yaml --output json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkProgress(progress); err != nil {
				return err
			}
			if against == "" {
				return usage("--against is empty; name the changed configuration")
			}
			s.config = against
			return s.withSuite(cmd.Context(), func(_ *app.Plan, suite *whatif.Suite) error {
				if missing := suite.Policy.Missing(); len(missing) > 0 {
					return unreachable(fmt.Errorf("%s needs bundles that are not here: %s", against, strings.Join(missing, ", ")))
				}
				return s.replay(cmd.Context(), args[0], whatif.Candidate{Gate: suite.Gate, Policy: suite.Policy}, progress)
			})
		},
	}
	cmd.Flags().StringVar(&against, "against", "", "`FILE` with the changed configuration")
	cmd.Flags().StringVar(&progress, "progress", "auto", "`WHEN` a progress bar is shown: auto (on a terminal), always or never")
	if err := cmd.MarkFlagRequired("against"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// replay asks c about the log at path, and prints what it found.
func (s *settings) replay(ctx context.Context, path string, c whatif.Candidate, progress string) error {
	log, size := s.In, int64(0)
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return unreachable(err)
		}
		defer file.Close()
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		log = file
	}
	bar := newBar(s.Err, progress, "events", size)
	c.Progress = bar.judged
	report, err := whatif.Replay(ctx, bar.reader(log), c)
	bar.end()
	if err != nil {
		return unreachable(fmt.Errorf("replay %s: %w", path, err))
	}
	if err := s.print(report, func(w io.Writer) { report.Write(w) }); err != nil {
		return err
	}
	switch judged := report.Events - report.NotJudged - report.Corrupt; {
	case report.Flipped > 0:
		return &exitError{code: exitProblems, quiet: true, err: errors.New("decisions would flip")}
	case report.Events == 0:
		return problems(fmt.Errorf("replay %s: there is no event in it", path))
	case judged == 0:
		return problems(fmt.Errorf("of %s none could be judged", count(int(report.Events), "event")))
	}
	return nil
}
