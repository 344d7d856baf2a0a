package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/pool/transfer"

	"github.com/spf13/cobra"
)

// importing are the flags of user import.
type importing struct {
	format, report, progress string
	update                   []string
	dryRun, fromStart        bool
}

func userImport(s *settings) *cobra.Command {
	var o importing
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Bring many people in from a file", Args: cobra.ExactArgs(1),
		Long: `Bring many people in from a file: Cognito's CSV, or JSON lines as user export
writes them. - is standard input.

Each row is held against the rules of the pool. A row that is refused goes to the
report with its line and its reason, never a value, and the others go in. Who has
no password_hash chooses a password first (RESET_REQUIRED). Nothing is hashed
here, and nobody is sent anything. In JSON lines totp is the secret of a person's
authenticator app, which goes on working.

An import that was cut short goes on where it was when it is called again with the
same file and the same flags; from standard input it cannot. Beside a running
server others wait for no more than a batch of 500 rows.

Exit code 0 means that every row went in, 1 that some were refused.`,
		Example: "  gatehouse user import people.csv --dry-run\n" +
			"  gatehouse user import people.jsonl --report refused.csv\n" +
			"  gatehouse user import people.csv --update=attributes,groups",
		RunE: func(cmd *cobra.Command, args []string) error {
			how, err := o.options()
			if err != nil {
				return err
			}
			if o.format, err = formatOf(args[0], o.format); err != nil {
				return err
			}
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				return s.importUsers(ctx, st, args[0], o, how)
			})
		},
	}
	cmd.Flags().StringVar(&o.format, "format", "", "`FORMAT` of the file: csv or jsonl (default: by its name)")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "look at every row and keep nothing")
	cmd.Flags().StringVar(&o.report, "report", "", "`FILE` for refused rows, as CSV, or JSON lines by its name (default: the first ones are printed)")
	cmd.Flags().StringSliceVar(&o.update, "update", nil, "`WHAT` of users that exist is changed to what the row says: attributes, groups, passwords; alone: attributes")
	cmd.Flags().Lookup("update").NoOptDefVal = "attributes"
	cmd.Flags().BoolVar(&o.fromStart, "from-start", false, "begin with the first row, also where an import was cut short")
	cmd.Flags().StringVar(&o.progress, "progress", "auto", "`WHEN` a progress bar is shown: auto (on a terminal), always or never")
	return cmd
}

// options returns what the flags mean.
func (o *importing) options() (transfer.Options, error) {
	how := transfer.Options{DryRun: o.dryRun, FromStart: o.fromStart}
	for _, what := range o.update {
		switch what {
		case "attributes":
			how.Update.Attributes = true
		case "groups":
			how.Update.Groups = true
		case "passwords":
			how.Update.Passwords = true
		default:
			return how, usage("--update is %q, want attributes, groups or passwords", what)
		}
	}
	return how, checkProgress(o.progress)
}

// formatOf returns the format that was said, or the one that the name of the file
// says.
func formatOf(path, said string) (string, error) {
	switch said {
	case transfer.FormatCSV, transfer.FormatJSON:
		return said, nil
	case "":
	default:
		return "", usage("--format is %q, want csv or jsonl", said)
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return transfer.FormatCSV, nil
	case ".jsonl", ".ndjson":
		return transfer.FormatJSON, nil
	}
	return "", usage("%s does not say by its name whether it is csv or jsonl: say --format", path)
}

// shownRefusals is how many refused rows are printed where there is no report.
const shownRefusals = 20

// importUsers brings the file in and prints what became of its rows.
func (s *settings) importUsers(ctx context.Context, st *app.Store, path string, o importing, how transfer.Options) (err error) {
	in, size, key, err := s.people(path)
	if err != nil {
		return err
	}
	defer in.Close()
	if key != "" {
		how.Key = importKey(key, o)
	}
	if how.Report, err = openReport(o.report, path); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, how.Report.Close()) }()
	var shown []transfer.RowError
	if o.report == "" {
		how.Report.Tell = func(r transfer.RowError) {
			if len(shown) < shownRefusals {
				shown = append(shown, r)
			}
		}
	}
	bar := newBar(s.Err, o.progress, "rows", size)
	how.Progress = bar.judged
	rows, err := transfer.NewReader(bar.reader(in), o.format, st.Pool.Schema())
	var result transfer.Result
	if err == nil {
		result, err = transfer.NewImporter(st.Transfer(), how).Run(ctx, rows)
	}
	bar.end()
	for _, r := range shown {
		fmt.Fprintf(s.Err, "%s: %v\n", path, &r)
	}
	if more := result.Refused - int64(len(shown)); o.report == "" && more > 0 {
		fmt.Fprintf(s.Err, "%s: and %s; --report FILE writes all of them down\n", path, count(int(more), "more refused row"))
	}
	if err != nil {
		return importFailed(ctx, path, result, err)
	}
	return s.printImport(path, o, result)
}

// people opens a file of people and returns its size and the hash of its
// content, "" for standard input.
func (s *settings) people(path string) (io.ReadCloser, int64, string, error) {
	if path == "-" {
		return io.NopCloser(s.In), 0, "", nil
	}
	// A named pipe that nobody writes to would be opened for ever.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, "", unreachable(fmt.Errorf("read people: %w", err))
	}
	if info.IsDir() {
		return nil, 0, "", usage("%s is a directory", path)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, "", usage("%s is no regular file; give it as standard input: - < %s", path, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, "", unreachable(fmt.Errorf("read people: %w", err))
	}
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, "", errors.Join(unreachable(fmt.Errorf("read people: %w", err)), f.Close())
	}
	return f, info.Size(), hex.EncodeToString(sum.Sum(nil)), nil
}

// importKey tells imports apart that would make something else of a file.
func importKey(content string, o importing) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %q", content, o.format, o.update))
	return hex.EncodeToString(sum[:16])
}

// openReport opens the file for refused rows; none for "".
func openReport(path, input string) (*transfer.Report, error) {
	if path == "" {
		return &transfer.Report{}, nil
	}
	a, errA := os.Stat(path)
	b, errB := os.Stat(input)
	if errA == nil && errB == nil && os.SameFile(a, b) {
		return nil, usage("--report is the file that is read")
	}
	format := transfer.FormatCSV
	if found, err := formatOf(path, ""); err == nil {
		format = found
	}
	r, err := transfer.OpenReport(path, format)
	if err != nil {
		return nil, unreachable(err)
	}
	return r, nil
}

// importFailed says how an import ended that did not come to the end of its file.
func importFailed(ctx context.Context, path string, r transfer.Result, err error) error {
	if ctx.Err() != nil {
		return &exitError{code: exitInterrupted, err: fmt.Errorf("interrupted after %d rows; the same command goes on there", r.Rows)}
	}
	err = fmt.Errorf("import %s: %w", path, err)
	switch {
	case errors.Is(err, transfer.ErrReport):
		return usage("%w", err)
	case errors.Is(err, transfer.ErrFile), errors.Is(err, transfer.ErrTwice):
		return problems(err)
	}
	return unreachable(err)
}

func (s *settings) printImport(path string, o importing, r transfer.Result) error {
	err := s.print(struct {
		File   string `json:"file"`
		DryRun bool   `json:"dry_run"`
		transfer.Result
	}{path, o.dryRun, r}, func(w io.Writer) {
		if r.From > 0 {
			fmt.Fprintf(w, "went on after line %d, where it had been cut short\n", r.From)
		}
		fmt.Fprintf(w, "%s: %d added, %d updated, %d unchanged, %d refused\n", count(int(r.Rows), "row"), r.Added, r.Updated, r.Unchanged, r.Refused)
		if r.Stranded > 0 {
			fmt.Fprintf(w, "%d of the added have neither a password nor a verified address or number: they cannot sign in until an operator gives them one\n", r.Stranded)
		}
		if r.Authenticators > 0 {
			fmt.Fprintf(w, "%d of the added keep their authenticator app\n", r.Authenticators)
		}
		if o.dryRun {
			fmt.Fprintln(w, "this was a dry run: nothing was kept")
		}
	})
	if err != nil || r.Refused == 0 {
		return err
	}
	return &exitError{code: exitProblems, quiet: true, err: errors.New("rows were refused")}
}

func userHeader(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "csv-header", Short: "Print the header of a CSV file of people", Args: cobra.NoArgs,
		Long:    "Print the header of a CSV file of people, as Cognito has it, with the custom\nattributes of this pool. A column password_hash may stand besides.",
		Example: "  gatehouse user csv-header > people.csv",
		RunE: func(*cobra.Command, []string) error {
			plan, _, err := s.load()
			if err != nil {
				return err
			}
			schema, err := app.Schema(plan)
			if err != nil {
				return unreachable(err)
			}
			return s.print(transfer.Header(schema), func(w io.Writer) { fmt.Fprintln(w, transfer.HeaderLine(schema)) })
		},
	}
}
