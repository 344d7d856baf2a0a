package proxy

import (
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/policy"
	"gatehouse/session"
)

// records keeps what it is told.
type records struct {
	mu  sync.Mutex
	all []Decided
}

// Record implements Recorder.
func (r *records) Record(d Decided) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, d)
}

// take returns what has been told since.
func (r *records) take() []Decided {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

func TestEachDecisionIsRecordedOnce(t *testing.T) {
	var told records
	w := newWorldWith(t, stepUpRoutes+`
  - { name: open, match: { path: "/never/**" }, allow: anyone }
`, setup{recorder: &told})
	bob := "Cookie: " + w.session("bob", "staff")
	for _, c := range []struct {
		method, path string
		headers      []string
		route        string
		outcome      policy.Outcome
		reason       policy.Reason
	}{
		{"GET", "/x?a=1", []string{bob}, "rest", policy.OutcomeAllow, policy.SignedIn},
		{"GET", "/vault/x", []string{bob}, "vault", policy.OutcomeDeny, policy.GroupMissing},
		{"GET", "/x", nil, "rest", policy.OutcomeDeny, policy.SignInRequired},
		{"GET", "/x", []string{navigate}, "rest", policy.OutcomeDeny, policy.SignInRequired},
		{"GET", "/fresh/x", []string{bob}, "fresh", policy.OutcomeStepUp, policy.ReauthRequired},
	} {
		res := w.ask(c.method, c.path, c.headers...)
		all := told.take()
		if len(all) != 1 {
			t.Errorf("%s %s was recorded %d times, want once", c.method, c.path, len(all))
			continue
		}
		d := all[0]
		if d.Route != c.route || d.Decision.Outcome != c.outcome || d.Decision.Reason != c.reason {
			t.Errorf("%s %s is recorded as %s %s %s, want %s %s %s", c.method, c.path, d.Route, d.Decision.Outcome, d.Decision.Reason, c.route, c.outcome, c.reason)
		}
		if d.RequestID != res.Header.Get("X-Request-Id") || d.Query.Path != d.Request.Path || d.Query.Time.IsZero() || d.Took <= 0 {
			t.Errorf("%s %s is recorded as %+v", c.method, c.path, d)
		}
	}
}

func TestWhatThePolicyDoesNotDecideIsNotRecorded(t *testing.T) {
	var told records
	w := newWorldWith(t, baseRoutes, setup{recorder: &told})
	bob := "Cookie: " + w.session("bob", "staff")
	w.status(200, "GET", "/public/x", bob)
	w.status(400, "GET", "/a%2fb", bob)
	w.status(401, "GET", "/x", "Authorization: Bearer junk")
	w.ask("GET", "/_gatehouse/me", bob)
	w.stale.Store(true)
	w.status(503, "GET", "/x", bob)
	if all := told.take(); len(all) != 0 {
		t.Errorf("recorded: %+v, want nothing", all)
	}
	w.stale.Store(false)
	w.status(403, "GET", "/closed/x") // a decision, though nobody needs to ask for it
	if all := told.take(); len(all) != 1 || all[0].Decision.Reason != policy.Nobody {
		t.Errorf("recorded: %+v, want one for a route that is closed", all)
	}
}

// Gate.Check has no effect, and neither has Ask.
func TestCheckRecordsNothing(t *testing.T) {
	var told records
	w := newWorldWith(t, askedRoutes, setup{recorder: &told, rego: notAdmin})
	w.handler.gate().Check(w.request("GET", "/x"))
	w.handler.gate().Ask(w.request("GET", "/x"), nil, w.client())
	if all := told.take(); len(all) != 0 {
		t.Errorf("recorded: %+v, want nothing", all)
	}
}

func TestTheDecisionThatEndsAStreamIsRecorded(t *testing.T) {
	t.Parallel()
	var told records
	w := newWorldWith(t, stepUpRoutes, setup{recorder: &told})
	w.cutOff(w.ask("GET", "/events", "Cookie: "+w.sessionWith("bob", ago(9*time.Second))))
	all := told.take()
	outcomes := make([]policy.Outcome, len(all))
	for i, d := range all {
		outcomes[i] = d.Decision.Outcome
	}
	if !slices.Equal(outcomes, []policy.Outcome{policy.OutcomeAllow, policy.OutcomeStepUp}) || all[0].RequestID != all[1].RequestID {
		t.Errorf("recorded outcomes %v of %+v, want allow and step_up of one request", outcomes, all)
	}
}

func TestNoRecorderCostsNothing(t *testing.T) {
	w := newWorld(t, baseRoutes)
	g := w.handler.gate()
	v := Verdict{Route: 3, Identity: &session.Identity{}, judged: true, variables: []policy.Variable{{Name: "a", Value: "b"}}}
	if n := testing.AllocsPerRun(100, func() { g.record(&v, "id") }); n != 0 {
		t.Errorf("recording for nobody allocates %v times, want 0", n)
	}
}

// A page of a stranger that opens a web socket with the cookie of a person is
// refused before the policy is asked, so nothing is recorded as allowed.
func TestASocketFromAnotherOriginIsNotRecordedAsAllowed(t *testing.T) {
	var told records
	w := newWorldWith(t, allowing(1, "signed-in"), setup{recorder: &told})
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	cookie := "Cookie: " + w.session("bob", "staff")
	for _, origin := range []string{"https://evil.example", "null"} {
		w.status(403, "GET", "/ws", append(upgrade, cookie, "Origin: "+origin)...)
		for _, d := range told.take() {
			if d.Decision.Outcome == policy.OutcomeAllow {
				t.Errorf("a web socket from %s is recorded as %s %s", origin, d.Decision.Outcome, d.Decision.Reason)
			}
		}
	}
}
