package whatif

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/policy"
)

// TestFile is one file of policy tests.
type TestFile struct {
	// Path is where it was read.
	Path string `yaml:"-"`
	// Personas are people and machines to name in tests. Default none.
	Personas Personas `yaml:"personas"`
	// Tests are what shall happen. Default none: a file may hold personas alone.
	Tests []*Test `yaml:"tests"`
}

// Test is one test: every persona sends every request, and each of them gets
// what is expected.
type Test struct {
	Pos conf.Pos `yaml:"-"`
	// Name says in words what shall hold. Mandatory.
	Name string `yaml:"name"`
	// As is who asks: a persona or a list of them. Mandatory.
	As Cast `yaml:"as"`
	// Request is what they ask for: a request or a list of them. Mandatory.
	Request Requests `yaml:"request"`
	// Expect is what shall happen. Mandatory.
	Expect Expect `yaml:"expect"`
}

// Check reports what is missing.
func (t *Test) Check(r *conf.Report) {
	for _, key := range []struct {
		field any
		name  string
		empty bool
	}{
		{&t.Name, "name", t.Name == ""},
		{&t.As, "as", len(t.As) == 0},
		{&t.Request, "request", len(t.Request) == 0},
		{&t.Expect, "expect", t.Expect.empty()},
	} {
		if key.empty && !r.Failed(key.field) {
			r.Errorf(key.field, "a test needs %s", key.name)
		}
	}
}

// Check resolves the names of personas.
func (f *TestFile) Check(r *conf.Report) {
	for _, t := range f.Tests {
		if t == nil {
			continue
		}
		for _, p := range t.As {
			if p.Word == "" || p.Word == Visitor || p.Word == SignedIn {
				continue
			}
			if f.Personas.find(p.Word) != nil {
				continue
			}
			hint := ""
			if near := conf.Suggest(p.Word, f.Personas.names()); near != "" {
				hint = fmt.Sprintf(" — did you mean %q?", near)
			}
			r.Errorf(p.Pos, "nobody below personas is called %q%s", p.Word, hint)
		}
	}
}

// persona returns the one that p names, or p itself.
func (f *TestFile) persona(p *Persona) *Persona {
	if found := f.Personas.find(p.Word); found != nil {
		return found
	}
	return p
}

// Cast are the personas of one test.
type Cast []*Persona

// UnmarshalConf reads one persona or a list of them.
func (c *Cast) UnmarshalConf(n *conf.Node) {
	for _, item := range n.Items() {
		p := new(Persona)
		item.Decode(p)
		*c = append(*c, p)
	}
}

// Requests are the requests of one test.
type Requests []*Request

// UnmarshalConf reads one request or a list of them.
func (rs *Requests) UnmarshalConf(n *conf.Node) {
	for _, item := range n.Items() {
		r := new(Request)
		item.Decode(r)
		*rs = append(*rs, r)
	}
}

// Request is a request that a test makes: "GET /admin", or a map.
type Request struct {
	Pos conf.Pos `yaml:"-"`
	// Method is an HTTP method. Default GET.
	Method string `yaml:"method"`
	// URL is a path with query, of the first public URL, or absolute. Mandatory.
	URL string `yaml:"url"`
	// Websocket asks for a web socket. Default false.
	Websocket bool `yaml:"websocket"`
	// IP is the client's address. Default 192.0.2.1, which is nobody's (RFC 5737).
	IP netip.Addr `yaml:"ip"`
	// Time is when it comes, RFC 3339. Default now.
	Time string `yaml:"time"`
	// Body is the JSON value in the body; BodyState is absent, parsed, truncated
	// or unparsable. Default absent, and parsed where there is a Body.
	Body      any    `yaml:"body"`
	BodyState string `yaml:"body_state"`

	at   time.Time
	body policy.Body
}

// UnmarshalConf reads either form.
func (r *Request) UnmarshalConf(n *conf.Node) {
	r.Method, r.IP = "GET", sampleIP
	r.body.State = policy.BodyNone
	if n.Kind() == conf.Scalar {
		words := strings.Fields(n.Scalar())
		if len(words) != 2 {
			n.Errorf("the request is %q, want method and path, such as GET /admin", n.Scalar())
			return
		}
		r.Method, r.URL = words[0], words[1]
	} else if !n.Decode(r) {
		return
	}
	if _, err := (Question{Method: r.Method, URL: r.URL, Origin: "http://localhost"}).request(context.Background()); err != nil {
		n.Errorf("%v", err)
	}
	if r.Time != "" {
		at, err := time.Parse(time.RFC3339, r.Time)
		if err != nil {
			n.Get("time").Errorf("time is %q, want RFC 3339 such as 2026-05-04T09:30:00Z", r.Time)
		}
		r.at = at
	}
	if n.Kind() == conf.Map {
		r.fillBody(n)
	}
}

func (r *Request) fillBody(n *conf.Node) {
	states := []policy.BodyState{policy.BodyNone, policy.BodyParsed, policy.BodyCut, policy.BodyBroken}
	if slices.Contains(n.Keys(), "body") {
		value, err := asJSON(r.Body)
		if err != nil {
			n.Get("body").Errorf("body: %v", err)
		}
		r.body = policy.Body{State: policy.BodyParsed, Value: value}
	}
	if r.BodyState == "" {
		return
	}
	i := slices.IndexFunc(states, func(s policy.BodyState) bool { return s.String() == r.BodyState })
	switch {
	case i < 0:
		n.Get("body_state").Errorf("body_state is %q, want absent, parsed, truncated or unparsable", r.BodyState)
	case (states[i] == policy.BodyParsed) != (r.body.State == policy.BodyParsed):
		n.Get("body_state").Errorf("body_state is %s, which does not go with the presence or absence of body", r.BodyState)
	default:
		r.body.State = states[i]
	}
}

// String is the request in one line.
func (r *Request) String() string {
	text := r.Method + " " + r.URL
	if r.Websocket {
		text += " (web socket)"
	}
	return text
}

// Expect is what shall happen: a word, a status, or a map of what is known.
type Expect struct {
	Pos conf.Pos `yaml:"-"`
	// Decision is allow; deny: refused in whatever form; sign_in: a page is sent
	// to sign in; step_up: to sign in again or more strongly; ours: a page of
	// the gateway or the provider. Default any.
	Decision string `yaml:"decision"`
	// Status is that of the refusal of a request that is no navigation.
	// Default any.
	Status int `yaml:"status"`
	// Reason is a word of the closed list of reasons. Default any.
	Reason string `yaml:"reason"`
	// Route is the name of the route. Default any.
	Route string `yaml:"route"`
	// Headers are identity headers the upstream gets, whole and exactly; "" for
	// one that it does not get. Default any.
	Headers map[string]string `yaml:"headers"`
}

// The decisions a test may expect.
const (
	DecideAllow  = "allow"
	DecideDeny   = "deny"
	DecideSignIn = "sign_in"
	DecideStepUp = "step_up"
	DecideOurs   = "ours"
)

var decisions = []string{DecideAllow, DecideDeny, DecideSignIn, DecideStepUp, DecideOurs}

// UnmarshalConf reads either form.
func (e *Expect) UnmarshalConf(n *conf.Node) {
	if n.Kind() != conf.Scalar {
		if n.Decode(e) && e.empty() {
			n.Errorf("expect is empty, so nothing would be tested; want allow, deny, sign_in, step_up or a status")
		}
		if e.Decision != "" && !slices.Contains(decisions, e.Decision) {
			n.Get("decision").Errorf("decision is %q, want %s", e.Decision, strings.Join(decisions, ", "))
		}
		return
	}
	text := n.Scalar()
	if status, err := strconv.Atoi(text); err == nil && status >= 400 && status < 600 {
		e.Status = status
		return
	}
	if e.Decision = text; !slices.Contains(decisions, text) {
		n.Errorf("expect is %q, want %s, the status of a refusal such as 403, or a map", text, strings.Join(decisions, ", "))
	}
}

func (e *Expect) empty() bool {
	return e.Decision == "" && e.Status == 0 && e.Reason == "" && e.Route == "" && len(e.Headers) == 0
}

// String is what is expected, in one line.
func (e *Expect) String() string {
	var parts []string
	if e.Decision != "" {
		parts = append(parts, e.Decision)
	}
	if e.Status != 0 {
		parts = append(parts, strconv.Itoa(e.Status))
	}
	if e.Reason != "" {
		parts = append(parts, "for "+e.Reason)
	}
	if e.Route != "" {
		parts = append(parts, "on route "+e.Route)
	}
	return strings.Join(parts, " ")
}

// ErrNoTests is returned when there is no file of tests where they were looked
// for.
var ErrNoTests = errors.New("no tests")

// ReadTests reads one file of tests or personas. The error is a *conf.Problems
// with every mistake of the file when it can be read.
func ReadTests(path string) (*TestFile, error) {
	f := &TestFile{Path: path}
	_, err := conf.Load(path, f)
	return f, err
}

// FindTests returns the files of tests that paths lead to, in order, each once:
// a file itself, and every *.yaml and *.yml below a directory that has the key
// tests, names that begin with a dot aside. Files in except are not looked at.
// It returns ErrNoTests for a path without any.
func FindTests(paths, except []string) ([]string, error) {
	var found []string
	for _, path := range paths {
		below, err := testsBelow(path, except)
		if err != nil {
			return nil, err
		}
		if len(below) == 0 {
			return nil, fmt.Errorf("%w: no YAML file below %s has the key tests", ErrNoTests, path)
		}
		for _, file := range below {
			if !slices.Contains(found, file) {
				found = append(found, file)
			}
		}
	}
	return found, nil
}

func testsBelow(path string, except []string) (found []string, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s does not exist", ErrNoTests, path)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{filepath.Clean(path)}, nil
	}
	err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// A mounted ConfigMap keeps its files a second time below ..data.
		if strings.HasPrefix(d.Name(), ".") && file != path {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		ext := filepath.Ext(file)
		if d.IsDir() || ext != ".yaml" && ext != ".yml" || isAmong(file, except) {
			return nil
		}
		var peek keys
		if _, err := conf.Load(file, &peek); err != nil {
			return err
		}
		if slices.Contains(peek.names, "tests") {
			found = append(found, file)
		}
		return nil
	})
	return found, err
}

func isAmong(file string, list []string) bool {
	abs, err := filepath.Abs(file)
	return err == nil && slices.ContainsFunc(list, func(other string) bool {
		o, err := filepath.Abs(other)
		return err == nil && o == abs
	})
}

// keys are the keys at the top of a YAML file.
type keys struct{ names []string }

// UnmarshalConf looks and does not judge.
func (k *keys) UnmarshalConf(n *conf.Node) { k.names = n.Keys() }
