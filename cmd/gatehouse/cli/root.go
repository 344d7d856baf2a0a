package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Streams are the three standard streams of a command.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Exit codes of every command.
const (
	exitFine     = 0
	exitProblems = 1
	exitUsage    = 2
	exitNoReach  = 3
	// exitInterrupted is 128 and the number of SIGINT, as shells have it.
	exitInterrupted = 130
)

// exitError carries an exit code with the sentence to print; quiet says that
// everything has been printed already.
type exitError struct {
	code  int
	quiet bool
	err   error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// problems is a command that ran and found something wrong.
func problems(err error) error { return &exitError{code: exitProblems, err: err} }

// usage is a command that was called wrongly.
func usage(format string, a ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, a...)}
}

// unreachable is a command that could not reach what it needs.
func unreachable(err error) error { return &exitError{code: exitNoReach, err: err} }

// interrupted is a command that was told to stop while it asked.
func interrupted() error {
	return &exitError{code: exitInterrupted, err: errors.New("interrupted; nothing was done")}
}

// typed reads what a person types. A read of a terminal cannot be called off, so
// it is left behind when the command is told to stop.
func typed[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		text T
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		text, err := read()
		done <- answer{text, err}
	}()
	select {
	case a := <-done:
		return a.text, a.err
	case <-ctx.Done():
		var none T
		return none, interrupted()
	}
}

// settings are the flags every command takes.
type settings struct {
	Streams
	ctx    context.Context // of the command; it ends at Ctrl-C
	config string          // --config
	output string          // --output: text or json
}

// Main runs the command line args, without the program's name, and returns
// the exit code.
func Main(ctx context.Context, args []string, streams Streams) int {
	root := newRoot(&settings{Streams: streams})
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	called, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitFine
	}
	var exit *exitError
	if errors.As(err, &exit) {
		if !exit.quiet {
			fmt.Fprintln(streams.Err, "gatehouse:", exit.err)
		}
		return exit.code
	}
	// What cobra itself finds wrong is how the command was called.
	fmt.Fprintf(streams.Err, "gatehouse: %v; see `%s --help`\n", err, called.CommandPath())
	return exitUsage
}

const welcome = `Put a login in front of anything.

Start here:
  gatehouse demo      a gateway, sign-in and a demo application, in one process
  gatehouse init      write a configuration to begin with, and tests of it
  gatehouse check     read the configuration and report every mistake
  gatehouse serve     run the gateway
  gatehouse explain   say who may open what, and why
  gatehouse policy    test the rules, show who can what, replay what was decided
  gatehouse user      people who can sign in

All commands: gatehouse help`

func newRoot(s *settings) *cobra.Command {
	root := &cobra.Command{
		Use:           "gatehouse",
		Short:         "Put a login in front of anything",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          onlyCommands,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(s.Out, welcome)
			return nil
		},
	}
	root.PersistentFlags().StringVar(&s.config, "config", "", "configuration `FILE` (default ./gatehouse.yaml, then /etc/gatehouse/gatehouse.yaml)")
	root.PersistentFlags().StringVar(&s.output, "output", "text", "`FORMAT` of the answer: text or json")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		s.ctx = cmd.Context()
		if s.output != "text" && s.output != "json" {
			return usage("--output is %q, want text or json", s.output)
		}
		return nil
	}
	root.AddCommand(
		newDemo(s), newInit(s), newServe(s), newCheck(s), newExplain(s), newPolicy(s), newHealth(s),
		newUser(s), newApply(s), newGroup(s), newClient(s), newScope(s), newResource(s), newSession(s), newFactor(s), newAudit(s),
		newKey(s), newBreach(s), newMail(s), newBackup(s), newRestore(s), newVersion(s),
	)
	return root
}

// print writes v as JSON, or calls text.
func (s *settings) print(v any, text func(w io.Writer)) error {
	if s.output == "text" {
		text(s.Out)
		return nil
	}
	enc := json.NewEncoder(s.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// noun is a command that only groups others.
func noun(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: onlyCommands,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(children...)
	return c
}

// onlyCommands refuses an argument that is no command, with those that were
// probably meant.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // letters; cobra sets it only for itself
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage("%q is no command of %s%s", args[0], cmd.CommandPath(), hint)
}
