package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/cmd/gatehouse/starter"
	"gatehouse/internal/conf"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// initFlags are the flags of `gatehouse init`.
type initFlags struct {
	upstream, publicURL, provider, issuer, oidcIssuer, clientID string
	yes                                                         bool
}

func newInit(s *settings) *cobra.Command {
	var f initFlags
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a configuration to begin with",
		Long: `Write a configuration with comments, tests of its rules that pass, and a
.gitignore into a directory, the current one by default. What the flags do not
say is asked on a terminal; with --yes it is the default. No file that is there
is touched, and nothing else is made: keys and the user pool are made by
` + "`gatehouse serve`" + ` at its first start.`,
		Example: "  gatehouse init\n  gatehouse init gateway --yes --upstream http://127.0.0.1:3000 --public-url https://app.example.com\n" +
			"  gatehouse init --provider oidc --oidc-issuer https://accounts.example.org --client-id gatehouse",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if s.config != "" {
				return usage("init writes %s into DIR and takes no --config", starter.ConfigFile)
			}
			if err := nothingThere(dir); err != nil {
				return err
			}
			setup, err := s.setup(f)
			if err != nil {
				return err
			}
			setup.Listen = starter.ListenOn(setup.PublicURL, func() bool { return hasIPv6(cmd.Context()) })
			return s.initialize(dir, setup)
		},
	}
	cmd.Flags().StringVar(&f.upstream, "upstream", "", "`URL` of the application (default "+starter.DefaultUpstream+")")
	cmd.Flags().StringVar(&f.publicURL, "public-url", "", "`URL` that people will type (default "+starter.DefaultPublicURL+")")
	cmd.Flags().StringVar(&f.provider, "provider", "", "who signs people in: pool, the built-in `PROVIDER` with its own users, or oidc, another issuer (default pool)")
	cmd.Flags().StringVar(&f.issuer, "issuer", "", "`URL` of the pages to sign in on, for pool (default login beside the host of --public-url)")
	cmd.Flags().StringVar(&f.oidcIssuer, "oidc-issuer", "", "`URL` of the other issuer, for oidc")
	cmd.Flags().StringVar(&f.clientID, "client-id", "", "`ID` of the gateway at the other issuer, for oidc")
	cmd.Flags().BoolVar(&f.yes, "yes", false, "do not ask, take the defaults")
	return cmd
}

// nothingThere refuses a directory in which there is something that init would
// write. A .gitignore may be there: it is kept.
func nothingThere(dir string) error {
	there, err := starter.Existing(dir, []starter.File{{Path: starter.ConfigFile}, {Path: starter.TestsFile}})
	if err != nil {
		return unreachable(err)
	}
	var names []string
	for _, f := range there {
		names = append(names, filepath.Join(dir, filepath.FromSlash(f.Path)))
	}
	exist := "exists"
	switch len(names) {
	case 0:
		return nil
	case 2:
		exist = "exist"
	}
	return problems(fmt.Errorf("%s %s, and init overwrites nothing: move what is there away, or name another directory", strings.Join(names, " and "), exist))
}

// hasIPv6 tells whether this machine can listen on [::1].
func hasIPv6(ctx context.Context) bool {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "[::1]:0")
	return err == nil && ln.Close() == nil
}

// setup takes what the flags say, and asks for the rest.
func (s *settings) setup(f initFlags) (starter.Setup, error) {
	asks := &asker{s: s, yes: f.yes}
	if in, ok := s.In.(*os.File); ok && !f.yes && term.IsTerminal(int(in.Fd())) {
		asks.in = bufio.NewReader(in)
	}
	set := starter.Setup{
		Upstream:  asks.answer(question{"upstream", "Where does the application listen?", f.upstream, starter.DefaultUpstream, starter.CheckUpstream}),
		PublicURL: asks.answer(question{"public-url", "Which URL will people type?", f.publicURL, starter.DefaultPublicURL, starter.CheckPublicURL}),
		Provider:  starter.Provider(asks.answer(question{"provider", "Who signs people in: pool (built in) or oidc (another issuer)?", f.provider, string(starter.Pool), checkProvider})),
	}
	set.Upstream, set.PublicURL = strings.TrimSuffix(set.Upstream, "/"), strings.TrimSuffix(set.PublicURL, "/")
	if set.Provider == starter.OIDC {
		set.Issuer = asks.answer(question{"oidc-issuer", "What is the URL of that issuer?", f.oidcIssuer, "", starter.CheckIssuer})
		set.ClientID = asks.answer(question{"client-id", "What is the id of the gateway there?", f.clientID, "", checkGiven})
	} else {
		set.Issuer = asks.answer(question{"issuer", "Where will people sign in?", f.issuer, starter.IssuerFor(set.PublicURL), starter.CheckIssuer})
	}
	switch {
	case asks.err != nil:
		return set, asks.err
	case set.Provider == starter.Pool && (f.oidcIssuer != "" || f.clientID != ""):
		return set, usage("--oidc-issuer and --client-id go with --provider oidc")
	case set.Provider == starter.OIDC && f.issuer != "":
		return set, usage("--issuer is where the built-in provider is; with --provider oidc say --oidc-issuer")
	}
	return set, nil
}

func checkProvider(text string) error {
	if p := starter.Provider(text); p != starter.Pool && p != starter.OIDC {
		return fmt.Errorf("%q is no provider, want pool or oidc", text)
	}
	return nil
}

func checkGiven(text string) error {
	if text == "" {
		return errors.New("it is empty")
	}
	return nil
}

// asker takes answers from flags, else from a terminal, else takes defaults. Its
// first error ends the asking.
type asker struct {
	s   *settings
	in  *bufio.Reader // nil without a terminal
	yes bool
	err error
}

// question is one answer that is needed.
type question struct {
	flag, text string
	// given is the flag's value, "" if it was not used; otherwise the default, "" if
	// there is none.
	given, otherwise string
	check            func(string) error
}

// maxTries is how often a question is put again after an answer that is none.
const maxTries = 3

// answer returns the flag's value, what is typed, or the default.
func (a *asker) answer(q question) string {
	switch {
	case a.err != nil:
		return ""
	case q.given != "":
		if err := q.check(q.given); err != nil {
			a.err = usage("--%s: %w", q.flag, err)
		}
		return q.given
	case a.in == nil && a.yes && q.otherwise != "":
		return q.otherwise
	case a.in == nil && a.yes:
		a.err = usage("there is no default: give --%s", q.flag)
		return ""
	case a.in == nil:
		a.err = usage("no terminal to ask on: give --%s, or --yes for the defaults", q.flag)
		return ""
	}
	return a.typed(q)
}

func (a *asker) typed(q question) string {
	for range maxTries {
		fmt.Fprint(a.s.Err, q.text)
		if q.otherwise != "" {
			fmt.Fprintf(a.s.Err, " [%s]", q.otherwise)
		}
		fmt.Fprint(a.s.Err, " ")
		line, err := typed(a.s.ctx, func() (string, error) { return a.in.ReadString('\n') })
		if errors.Is(err, context.Canceled) || a.s.ctx.Err() != nil {
			a.err = interrupted()
			return ""
		}
		if err != nil && !errors.Is(err, io.EOF) || err != nil && line == "" {
			a.err = usage("no answer; nothing was written")
			return ""
		}
		text := strings.TrimSpace(line)
		if text == "" {
			text = q.otherwise
		}
		if err := q.check(text); err != nil {
			fmt.Fprintln(a.s.Err, err)
			continue
		}
		return text
	}
	a.err = usage("no answer that would do; nothing was written")
	return ""
}

// initJSON is what init did and what comes next.
type initJSON struct {
	Directory string   `json:"directory"`
	Written   []string `json:"written"`
	Next      []string `json:"next"`
}

// initialize writes the files and says what to do with them.
func (s *settings) initialize(dir string, set starter.Setup) error {
	files, err := starter.Files(set)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, starter.ConfigFile)
	// What was answered may still make no configuration; then nothing is written.
	_, err = app.Parse(path, files[0].Text)
	var list *conf.Problems
	if errors.As(err, &list) {
		return usage("these answers make no configuration:\n%w", list)
	}
	if err != nil {
		return err
	}
	there, err := starter.Existing(dir, files)
	if err != nil {
		return unreachable(err)
	}
	kept := len(there) > 0 // .gitignore, after nothingThere
	files = slices.DeleteFunc(files, func(f starter.File) bool { return kept && f.Path == starter.IgnoreFile })
	if err := starter.Write(dir, files); err != nil {
		return unreachable(fmt.Errorf("write: %w", err))
	}
	next := nextSteps(dir, set)
	done := initJSON{Directory: dir, Next: next}
	for _, f := range files {
		done.Written = append(done.Written, f.Path)
	}
	return s.print(done, func(w io.Writer) {
		for _, f := range files {
			fmt.Fprintf(w, "wrote %-18s  %s\n", f.Path, f.About)
		}
		if kept {
			fmt.Fprintf(w, "kept  %-18s  see that it has /secrets/ and /data/\n", starter.IgnoreFile)
		}
		fmt.Fprintf(w, "\nNext:\n  %s\n", strings.Join(next, "\n  "))
	})
}

// nextSteps are commands in their order, and in words after a # what they need.
func nextSteps(dir string, set starter.Setup) []string {
	var next []string
	if filepath.Clean(dir) != "." {
		next = append(next, "cd "+shellWord(dir))
	}
	next = append(next, "gatehouse check", "gatehouse policy test")
	if set.Provider == starter.OIDC {
		return append(next,
			"# at "+set.Issuer+", register "+set.PublicURL+"/oauth2/idpresponse as redirect URI of "+set.ClientID,
			"# if it gave you a secret: export OIDC_CLIENT_SECRET=...",
			"gatehouse serve")
	}
	if !set.Local() {
		next = append(next, "# let "+set.PublicURL+" and "+set.Issuer+" lead to this machine, port 8080")
	}
	return append(next,
		"gatehouse serve",
		"# while it runs, in another terminal:",
		"gatehouse user add YOUR-NAME --group admins",
		"# then open "+set.PublicURL+"/admin/")
}

// shellWord is text as one word of a shell.
func shellWord(text string) string {
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
