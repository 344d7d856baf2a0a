package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"

	"github.com/spf13/cobra"
)

const (
	// auditPage is how many events are read at once.
	auditPage = 500
	// auditEvery is how often --follow looks for what is new.
	auditEvery = 500 * time.Millisecond
)

// wanted says which events are shown.
type wanted struct {
	after  int64
	kind   string
	user   string
	follow bool
}

func (w wanted) shows(e audit.Event) bool {
	return (w.kind == "" || e.Type == w.kind || strings.HasPrefix(e.Type, w.kind+".")) && (w.user == "" || e.Target == w.user)
}

// newAudit shows the record of what happened, oldest first.
func newAudit(s *settings) *cobra.Command {
	var w wanted
	var name string
	cmd := &cobra.Command{
		Use: "audit", Short: "What happened in the user pool: who did what to whom", Args: cobra.NoArgs,
		Long: "Show the events of the user pool, oldest first: one line each, or with --output\njson one JSON object a line.",
		Example: "  gatehouse audit --follow\n  gatehouse audit --user dana --type user.disabled\n" +
			"  gatehouse audit --after 1200 --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				if name != "" {
					var err error
					if w.user, err = subOf(ctx, st, name); err != nil {
						return problems(fmt.Errorf("find user %s: %w", name, err))
					}
				}
				return s.showEvents(ctx, st, w)
			})
		},
	}
	f := cmd.Flags()
	f.Int64Var(&w.after, "after", 0, "`SEQ` of the event after which to begin")
	f.StringVar(&w.kind, "type", "", "`TYPE` of events, such as user.disabled, or the word before its dot, such as user")
	f.StringVar(&name, "user", "", "`NAME` of the user to whom it happened, or the sub of one who was deleted")
	f.BoolVar(&w.follow, "follow", false, "go on with what happens, until Ctrl-C")
	return cmd
}

func (s *settings) showEvents(ctx context.Context, st *app.Store, w wanted) error {
	names := map[string]string{}
	for {
		events, err := st.Events(ctx, w.after, auditPage)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return problems(err)
		}
		for _, e := range events {
			w.after = e.Seq
			if !w.shows(e) {
				continue
			}
			if err := s.printEvent(ctx, st, e, names); err != nil {
				return err
			}
		}
		switch {
		case len(events) == auditPage:
			continue
		case !w.follow:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(auditEvery):
		}
	}
}

var subPattern = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// subOf returns the sub of the user of that name. One who was deleted has no name
// any more, but a sub that events tell.
func subOf(ctx context.Context, st *app.Store, name string) (string, error) {
	u, err := st.Pool.Find(ctx, name)
	if errors.Is(err, pool.ErrNotFound) && subPattern.MatchString(name) {
		return name, nil
	}
	return u.ID, err
}

// eventJSON is an event as printed.
type eventJSON struct {
	Seq     int64             `json:"seq"`
	At      string            `json:"at"`
	Type    string            `json:"type"`
	Actor   string            `json:"actor,omitempty"`
	ActorIP string            `json:"actor_ip,omitempty"`
	Target  string            `json:"target,omitempty"`
	Client  string            `json:"client,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"`
}

// printEvent prints one line. names remembers what users are called: an event
// keeps the sub, and people know each other by name.
func (s *settings) printEvent(ctx context.Context, st *app.Store, e audit.Event, names map[string]string) error {
	if s.output == "json" {
		return json.NewEncoder(s.Out).Encode(eventJSON{e.Seq, stamp(e.At), e.Type, e.Actor, e.ActorIP, e.Target, e.Client, e.Detail})
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%-6d %s  %-22s %s", e.Seq, stamp(e.At), e.Type, orDash(targetName(ctx, st, e, names)))
	if e.Actor != "" {
		fmt.Fprintf(&line, "  by %s", e.Actor)
	}
	if e.ActorIP != "" {
		fmt.Fprintf(&line, " from %s", e.ActorIP)
	}
	for _, name := range sortedKeys(e.Detail) {
		if name != "username" {
			fmt.Fprintf(&line, "  %s=%q", name, e.Detail[name])
		}
	}
	_, err := io.WriteString(s.Out, line.String()+"\n")
	return err
}

// targetName returns what the target of e is called.
func targetName(ctx context.Context, st *app.Store, e audit.Event, names map[string]string) string {
	if name := e.Detail["username"]; name != "" {
		return name
	}
	if !strings.HasPrefix(e.Type, "user.") && !strings.HasPrefix(e.Type, "session.") {
		return e.Target
	}
	if _, ok := names[e.Target]; !ok {
		names[e.Target] = e.Target
		if u, err := st.Pool.Get(ctx, e.Target); err == nil {
			names[e.Target] = u.Username
		}
	}
	return names[e.Target]
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
