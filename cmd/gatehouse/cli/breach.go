package cli

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"

	"gatehouse/idp/password/breach"

	"github.com/spf13/cobra"
	"golang.org/x/text/unicode/norm"
)

func newBreach(s *settings) *cobra.Command {
	return noun("breach", "Lists of stolen passwords", breachBuild(s), breachCheck(s))
}

func breachBuild(s *settings) *cobra.Command {
	var out, progress string
	var least uint64
	var partial bool
	cmd := &cobra.Command{
		Use:   "build LIST",
		Short: "Make the filter that passwords are looked up in, of a list",
		Long: `Make the file for idp.password.breached.filter of a list in the form of Have I
Been Pwned: a file of lines SHA1:COUNT in order of SHA-1, plain or gzipped, or
the folder of 1,048,576 files that the downloader writes.

The filter takes about 2.3 bytes for each password, 2.1 GiB for 1,000,000,000; to
build it takes less than 100 MiB of memory. One of 65,536 passwords that are not on the
list is taken for one that is. A filter that is there is replaced when the new
one is complete; a running server keeps the old one until it is started again.`,
		Example: "  gatehouse breach build pwned-passwords.txt --out breach.filter --min-count 10",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkProgress(progress); err != nil {
				return err
			}
			if out == "" {
				return usage("--out is empty; name the filter")
			}
			list, err := breach.OpenList(args[0])
			if err != nil {
				return unreachable(err)
			}
			if partial {
				list.Partial()
			}
			return s.buildFilter(cmd.Context(), breach.Build{List: list, Out: out, MinCount: least}, progress)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write")
	cmd.Flags().Uint64Var(&least, "min-count", 1, "leave out what was seen fewer than `N` times")
	cmd.Flags().BoolVar(&partial, "partial", false, "take a folder in which files are missing")
	cmd.Flags().StringVar(&progress, "progress", "auto", "`WHEN` a progress bar is shown: auto (on a terminal), always or never")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// builtJSON is what was made, as printed.
type builtJSON struct {
	Filter    string `json:"filter"`
	Passwords uint64 `json:"passwords"`
	Skipped   uint64 `json:"skipped"`
	MinCount  uint64 `json:"min_count"`
	Bytes     uint64 `json:"bytes"`
}

func (s *settings) buildFilter(ctx context.Context, b breach.Build, progress string) error {
	bar := newBar(s.Err, progress, "passwords", b.List.Size())
	b.Read, b.Done = func(n int64) { bar.read.Add(n) }, bar.judged
	built, err := b.Run(ctx)
	bar.end()
	switch {
	case errors.Is(err, context.Canceled):
		return interrupted()
	case errors.Is(err, breach.ErrList):
		return problems(err)
	case err != nil:
		return unreachable(err)
	}
	made := builtJSON{b.Out, built.Passwords, built.Skipped, b.MinCount, built.Bytes}
	return s.print(made, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %d passwords, %d left out, %d bytes\n", made.Filter, made.Passwords, made.Skipped, made.Bytes)
	})
}

func breachCheck(s *settings) *cobra.Command {
	var filter, from string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether a password is in a filter",
		Long: `Say whether a password is in a filter. The password is asked for, or read from a
file or standard input; it is never an argument.

Exit code 0 means that it is not listed, 1 that it is.`,
		Example: "  gatehouse breach check --filter breach.filter",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			f, err := breach.OpenFilter(filter)
			if errors.Is(err, breach.ErrFilter) {
				return problems(err)
			}
			if err != nil {
				return unreachable(err)
			}
			defer f.Close()
			pass, err := s.secret(from, "password")
			if err != nil {
				return err
			}
			listed, err := f.Contains(sha1.Sum(norm.NFC.Bytes([]byte(pass))))
			if err != nil {
				return unreachable(err)
			}
			return s.tellListed(f, listed)
		},
	}
	cmd.Flags().StringVar(&filter, "filter", "", "`FILE` made by gatehouse breach build")
	cmd.Flags().StringVar(&from, "password-file", "", "`FILE` with the password, - for standard input; default: ask")
	if err := cmd.MarkFlagRequired("filter"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

func (s *settings) tellListed(f *breach.Filter, listed bool) error {
	answer := struct {
		Listed    bool   `json:"listed"`
		Passwords uint64 `json:"passwords"`
		MinCount  uint64 `json:"min_count"`
	}{listed, f.Count(), f.MinCount()}
	err := s.print(answer, func(w io.Writer) {
		word := "not listed"
		if listed {
			word = "listed"
		}
		fmt.Fprintf(w, "%s, among %d passwords seen at least %d times\n", word, answer.Passwords, answer.MinCount)
	})
	if err == nil && listed {
		err = &exitError{code: exitProblems, quiet: true, err: errors.New("the password is listed")}
	}
	return err
}
