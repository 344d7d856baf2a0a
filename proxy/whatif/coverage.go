package whatif

import (
	"context"
	"fmt"
	"strings"

	"gatehouse/policy"
	"gatehouse/proxy"
)

// Coverage is what tests looked at. A route is covered once it was seen to allow
// and to refuse, and with require to step up as well; one for anyone or nobody
// once it was reached. A condition is covered once it was met and not met by
// somebody, one below require by somebody who was allowed otherwise; signed-in
// that nobody wrote does not count.
type Coverage struct {
	Routes     Count `json:"routes"`
	Conditions Count `json:"conditions"`
	// Percent is how many of both are covered, rounded down; 100 if there is
	// nothing to cover.
	Percent int `json:"percent"`
	// Gaps are those that are not covered, in the order of the file.
	Gaps []Gap `json:"gaps"`
}

// Count is how many of all are covered.
type Count struct {
	Covered int `json:"covered"`
	Total   int `json:"total"`
}

// Gap is something that is not covered.
type Gap struct {
	// Route is the name of the route; Condition is the condition of it, "" for
	// the route as a whole.
	Route     string `json:"route"`
	Condition string `json:"condition,omitempty"`
	// At is "file:line".
	At string `json:"at,omitempty"`
	// Never are what was not seen: allowed, refused, stepped up, reached; met,
	// not met.
	Never []string `json:"never"`
}

// Text is the gap in one line.
func (g Gap) Text() string {
	what := "route " + g.Route
	if g.Condition != "" {
		what = "condition " + g.Condition + " of route " + g.Route
	}
	return fmt.Sprintf("%s (%s): never %s", what, g.At, strings.Join(g.Never, ", never "))
}

// survey notes what has been seen.
type survey struct {
	routes []*surveyed
}

// surveyed is one route or one of its conditions: what there is to be seen, in
// order, and whether it was.
type surveyed struct {
	gap    Gap
	wanted []string
	seen   map[string]bool
	// conditions are the leaves of a route, by Finding.Key.
	conditions map[string]*surveyed
	order      []*surveyed
}

const (
	sawAllowed   = "allowed"
	sawRefused   = "refused"
	sawSteppedUp = "stepped up"
	sawReached   = "reached"
	sawMet       = "met"
	sawNotMet    = "not met"
)

// survey lists what there is to be seen.
func (s *Suite) survey(ctx context.Context) *survey {
	all := &survey{}
	for i, rt := range s.Config.Routes {
		of := newSurveyed(Gap{Route: rt.Name, At: rt.Pos.String()}, sawAllowed, sawRefused)
		of.conditions = map[string]*surveyed{}
		switch {
		case rt.Allow.Word == policy.WordAnyone, rt.Allow.Word == policy.WordNobody:
			of.wanted = []string{sawReached}
		case rt.Require != nil:
			of.wanted = append(of.wanted, sawSteppedUp)
		}
		account := s.Policy.Explain(ctx, policy.Query{Route: i})
		for _, root := range []*policy.Finding{account.Root, account.Require} {
			of.conditionsOf(root)
		}
		all.routes = append(all.routes, of)
	}
	return all
}

func newSurveyed(gap Gap, wanted ...string) *surveyed {
	return &surveyed{gap: gap, wanted: wanted, seen: map[string]bool{}}
}

func (of *surveyed) conditionsOf(root *policy.Finding) {
	for _, leaf := range leaves(root, nil) {
		if implied(leaf) || of.conditions[leaf.Key] != nil {
			continue
		}
		c := newSurveyed(Gap{Route: of.gap.Route, Condition: leaf.Text, At: leaf.Rule}, sawMet, sawNotMet)
		of.conditions[leaf.Key] = c
		of.order = append(of.order, c)
	}
}

// note takes in what came of one request.
func (all *survey) note(a answered) {
	if !a.decided {
		return
	}
	of := all.routes[a.Verdict.Route]
	of.seen[sawReached] = true
	switch a.decision {
	case DecideAllow:
		of.seen[sawAllowed] = true
	case DecideStepUp:
		of.seen[sawSteppedUp] = true
	default:
		of.seen[sawRefused] = true
	}
	for _, leaf := range leaves(a.account.Root, nil) {
		// Where nobody asks, no condition but signed-in is looked at.
		if a.Verdict.Identity != nil || kindOf(leaf) == "signed-in" {
			of.saw(leaf)
		}
	}
	if a.decision == DecideAllow || a.decision == DecideStepUp {
		for _, leaf := range leaves(a.account.Require, nil) {
			of.saw(leaf)
		}
	}
}

// saw notes what came of one condition.
func (of *surveyed) saw(leaf *policy.Finding) {
	c := of.conditions[leaf.Key]
	switch {
	case c == nil:
	case leaf.Result == policy.Hit:
		c.seen[sawMet] = true
	default:
		c.seen[sawNotMet] = true
	}
}

func (all *survey) coverage() Coverage {
	cov := Coverage{Gaps: []Gap{}}
	for _, of := range all.routes {
		of.count(&cov.Routes, &cov.Gaps)
		for _, c := range of.order {
			c.count(&cov.Conditions, &cov.Gaps)
		}
	}
	cov.Percent = 100
	if total := cov.Routes.Total + cov.Conditions.Total; total > 0 {
		cov.Percent = 100 * (cov.Routes.Covered + cov.Conditions.Covered) / total
	}
	return cov
}

func (of *surveyed) count(n *Count, gaps *[]Gap) {
	n.Total++
	gap := of.gap
	for _, w := range of.wanted {
		if !of.seen[w] {
			gap.Never = append(gap.Never, w)
		}
	}
	if gap.Never == nil {
		n.Covered++
		return
	}
	*gaps = append(*gaps, gap)
}

// kindOf returns the YAML key that a leaf is written under: signed-in, groups,
// claims, ….
func kindOf(f *policy.Finding) string {
	kind, _, _ := strings.Cut(f.Text, ":")
	kind, _, _ = strings.Cut(kind, " ")
	return kind
}

func implied(f *policy.Finding) bool { return strings.HasPrefix(f.Text, "signed-in (implied") }

// bodies tells whether a route refuses some states of a body whatever its rule
// says.
func bodies(rt *proxy.Route) bool {
	return rt.Body != nil && len(rt.Body.Accept) < 4
}
