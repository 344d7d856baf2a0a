package whatif

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/proxy/canon"
	"gatehouse/session"
)

// Suite asks one configuration.
type Suite struct {
	Gate   *proxy.Gate
	Policy *policy.Policy
	Config *proxy.Config
	World  World
	// Now is the time of requests that name none.
	Now time.Time
}

// Report is what came of tests.
type Report struct {
	Files []FileReport `json:"files"`
	// Tests is how many ran, of which Passed did and Failed did not.
	Tests  int `json:"tests"`
	Passed int `json:"passed"`
	Failed int `json:"failed"`
	// Coverage is what the tests looked at.
	Coverage Coverage `json:"coverage"`
}

// FileReport is what came of the tests of one file.
type FileReport struct {
	File  string       `json:"file"`
	Tests []TestResult `json:"tests"`
}

// TestResult is what came of one test.
type TestResult struct {
	Name   string `json:"name"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Passed bool   `json:"passed"`
	// Took is how long it took.
	Took time.Duration `json:"took_ns"`
	// Failures are the requests that did not get what was expected; nil if none.
	Failures []Failure `json:"failures,omitempty"`
}

// Failure is one request that did not get what was expected.
type Failure struct {
	// Request and As are what was asked, by whom; "" for a test in Rego.
	Request string `json:"request,omitempty"`
	As      string `json:"as,omitempty"`
	// Expected and Got are decisions, or what else differs, in words.
	Expected string `json:"expected,omitempty"`
	Got      string `json:"got"`
	// Route is the route that took the request, At where it stands, Rule where
	// the rule stands that decided, as "file:line"; each may be "".
	Route string `json:"route,omitempty"`
	At    string `json:"at,omitempty"`
	Rule  string `json:"rule,omitempty"`
	// Conditions are those that decided: the ones that were met where the request
	// was allowed, else the ones that were not.
	Conditions []string `json:"conditions,omitempty"`
	// Error is what went wrong while deciding, "" if nothing did.
	Error string `json:"error,omitempty"`
}

// Run runs the tests of files whose name only matches, all if only is nil.
func (s *Suite) Run(ctx context.Context, files []*TestFile, only *regexp.Regexp) (*Report, error) {
	seen := s.survey(ctx)
	report := &Report{Files: []FileReport{}}
	for _, f := range files {
		of := FileReport{File: f.Path, Tests: []TestResult{}}
		for _, t := range f.Tests {
			if only != nil && !only.MatchString(t.Name) {
				continue
			}
			result, err := s.test(ctx, f, t, seen)
			if err != nil {
				return nil, fmt.Errorf("%s: test %q: %w", t.Pos, t.Name, err)
			}
			of.Tests = append(of.Tests, result)
		}
		report.Add(of)
	}
	report.Coverage = seen.coverage()
	return report, nil
}

// Add counts in the tests of one more file.
func (r *Report) Add(of FileReport) {
	if len(of.Tests) == 0 {
		return
	}
	for _, t := range of.Tests {
		r.Tests++
		if t.Passed {
			r.Passed++
		} else {
			r.Failed++
		}
	}
	r.Files = append(r.Files, of)
}

func (s *Suite) test(ctx context.Context, f *TestFile, t *Test, seen *survey) (TestResult, error) {
	begin := time.Now()
	result := TestResult{Name: t.Name, File: f.Path, Line: t.Pos.Line}
	for _, as := range t.As {
		for _, rq := range t.Request {
			a, err := s.ask(ctx, rq, f.persona(as))
			if err != nil {
				return result, err
			}
			seen.note(a)
			if failure, ok := s.judge(t.Expect, a); !ok {
				failure.Request, failure.As = rq.String(), as.String()
				result.Failures = append(result.Failures, failure)
			}
		}
	}
	result.Passed = len(result.Failures) == 0
	result.Took = time.Since(begin)
	return result, nil
}

// answered is what came of one request.
type answered struct {
	proxy.Asked
	// decision is a word of decisions.
	decision string
	account  policy.Explanation
	// decided tells that a rule decided: there is an account.
	decided bool
}

// ask runs one request through the gate.
func (s *Suite) ask(ctx context.Context, rq *Request, as *Persona) (answered, error) {
	at := rq.at
	if at.IsZero() {
		at = s.Now
	}
	return s.pose(ctx, rq, as.Identity(s.World, at), proxy.Asking{Time: at, Body: rq.body})
}

func (s *Suite) pose(ctx context.Context, rq *Request, id *session.Identity, at proxy.Asking) (answered, error) {
	q := Question{Method: rq.Method, URL: rq.URL, Origin: s.World.Origin, Websocket: rq.Websocket}
	r, err := q.request(ctx)
	if err != nil {
		return answered{}, err
	}
	var a answered
	if c, err := canon.Parse(r); err == nil {
		a.Asked = s.Gate.Judge(c, id, rq.IP, at)
	} else {
		a.Asked = s.Gate.Ask(r, id, rq.IP) // it says how it is refused
	}
	v := &a.Verdict
	if v.Route >= 0 && v.Reason != proxy.ReasonPathRejected {
		a.decided, a.account = true, s.Policy.Explain(ctx, a.Query)
	}
	a.decision = s.decision(a.Asked, id)
	return a, nil
}

// decision says in a word what a request of id would get.
func (s *Suite) decision(a proxy.Asked, id *session.Identity) string {
	v := &a.Verdict
	switch {
	case v.Action == proxy.Forward:
		return DecideAllow
	case v.Reason == proxy.ReasonOurs:
		return DecideOurs
	case v.Route >= 0 && a.Decision.Outcome == policy.OutcomeStepUp:
		return DecideStepUp
	case s.signsIn(v, id):
		return DecideSignIn
	}
	return DecideDeny
}

// signsIn tells whether a navigation would be sent to sign in; what carries an
// access token is none.
func (s *Suite) signsIn(v *proxy.Verdict, id *session.Identity) bool {
	get := v.Request.Method == http.MethodGet || v.Request.Method == http.MethodHead
	if v.Route < 0 || v.Status != http.StatusUnauthorized || !v.SignIn || v.Request.Websocket || !get {
		return false
	}
	switch s.Config.Routes[v.Route].OnUnauthenticated {
	case proxy.Auto:
		return id == nil || id.Credential == session.Cookie
	case proxy.Authenticate:
		return true
	}
	return false
}

// got says in one line what a request got.
func (a *answered) got() string {
	text := a.decision
	if a.Verdict.Status != 0 {
		text += " " + strconv.Itoa(a.Verdict.Status)
	}
	if a.decision != DecideAllow && a.decision != DecideOurs {
		text += " for " + string(a.Verdict.Reason)
	}
	return text
}

// judge holds a against what was expected.
func (s *Suite) judge(want Expect, a answered) (Failure, bool) {
	v := &a.Verdict
	f := Failure{Expected: want.String(), Got: a.got(), Rule: v.Rule.String()}
	if v.Route >= 0 {
		f.Route, f.At = s.Gate.RouteName(v.Route), s.Gate.RoutePos(v.Route)
	}
	if a.decided {
		f.Conditions, f.Error = deciding(a.account), a.account.Error
	}
	decided := a.decision == want.Decision || want.Decision == DecideDeny && a.decision == DecideSignIn
	switch {
	case want.Decision != "" && !decided,
		want.Status != 0 && want.Status != v.Status,
		want.Reason != "" && want.Reason != string(v.Reason):
		return f, false
	case want.Route != "" && want.Route != f.Route:
		f.Got += " on " + where(f.Route)
		return f, false
	}
	return s.judgeHeaders(want.Headers, a, f)
}

func where(route string) string {
	if route == "" {
		return "no route"
	}
	return "route " + route
}

func (s *Suite) judgeHeaders(want map[string]string, a answered, f Failure) (Failure, bool) {
	if len(want) == 0 {
		return f, true
	}
	if a.decision != DecideAllow {
		f.Expected = "allow, with headers"
		return f, false
	}
	told, err := s.Gate.Headers(a.Verdict.Route, a.Verdict.Identity)
	if err != nil {
		f.Got = "no identity headers: " + err.Error()
		return f, false
	}
	for _, name := range sortedKeys(want) {
		// As they are on the wire: presets have names in lower case.
		var got string
		for told, values := range told {
			if strings.EqualFold(told, name) {
				got = strings.Join(values, ", ")
			}
		}
		if got != want[name] {
			f.Expected = fmt.Sprintf("header %s: %s", name, orNone(want[name]))
			f.Got = orNone(masked(got))
			f.Conditions = nil
			return f, false
		}
	}
	return f, true
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return strconv.Quote(value)
}

// deciding lists the leaves that made the outcome what it is.
func deciding(e policy.Explanation) []string {
	root, hits := e.Root, e.Outcome == policy.OutcomeAllow
	if e.Outcome == policy.OutcomeStepUp {
		root = e.Require
	}
	var list []string
	for _, leaf := range leaves(root, nil) {
		if (leaf.Result == policy.Hit) != hits {
			continue
		}
		text := fmt.Sprintf("%-7s %s", leaf.Result, leaf.Text)
		if leaf.Has != "" {
			text += "   has: " + leaf.Has
		}
		list = append(list, text+"   "+leaf.Rule)
	}
	return list
}

// leaves appends the conditions at f and below that have no others below them;
// none if f is nil.
func leaves(f *policy.Finding, list []*policy.Finding) []*policy.Finding {
	if f == nil {
		return list
	}
	if len(f.Children) == 0 {
		return append(list, f)
	}
	for _, c := range f.Children {
		list = leaves(c, list)
	}
	return list
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
