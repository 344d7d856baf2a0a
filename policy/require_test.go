package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/session"
)

// requires makes a policy with one route that is for staff and scope x.
func requires(t *testing.T, require string) *Policy {
	t.Helper()
	return compile(t, "routes:\n  - name: it\n    allow: { any_of: [{ groups: [staff] }, { scopes: [x] }] }\n    require: "+require+"\n")
}

func signedIn(ago time.Duration, change ...func(*session.Identity)) *session.Identity {
	id := person(change...)
	id.AuthTime = base.Add(-ago)
	return id
}

func stepsTo(t *testing.T, p *Policy, id *session.Identity, want Outcome, reason Reason) {
	t.Helper()
	d := p.Decide(context.Background(), Query{Identity: id, Method: "GET", Time: base})
	if d.Outcome != want || d.Reason != reason || d.Err != nil {
		t.Errorf("Decide = %s %s (%v), want %s %s\n%s", d.Outcome, d.Reason, d.Err, want, reason, p.RouteModule(0))
	}
	if (d.Require != nil) != (want == OutcomeStepUp) {
		t.Errorf("%s %s: Decision.Require = %v", d.Outcome, d.Reason, d.Require)
	}
	if want == OutcomeStepUp && d.Rule.Line != 4 {
		t.Errorf("the step-up is at line %d, want 4", d.Rule.Line)
	}
}

func mfa(id *session.Identity) { id.MFA = true }

func acr(class string) func(*session.Identity) {
	return func(id *session.Identity) { id.ACR = class }
}

func TestRequireIsJudgedOnTheSignIn(t *testing.T) {
	p := requires(t, "{ mfa: true }")
	stepsTo(t, p, person(mfa), OutcomeAllow, ConditionsOK)
	stepsTo(t, p, person(), OutcomeStepUp, MFARequired)
	stepsTo(t, p, person(func(id *session.Identity) { id.AMR = []string{"mfa"} }), OutcomeStepUp, MFARequired) // only MFA tells
	stepsTo(t, p, person(inGroups("guests"), mfa), OutcomeDeny, GroupMissing)
	stepsTo(t, p, person(inGroups("guests")), OutcomeDeny, GroupMissing) // deny beats step-up
	stepsTo(t, p, nil, OutcomeDeny, SignInRequired)

	p = requires(t, "{ acr: [gold, silver] }")
	stepsTo(t, p, person(acr("silver")), OutcomeAllow, ConditionsOK)
	for _, class := range []string{"", "bronze", "Gold", "gold silver", "gold "} {
		stepsTo(t, p, person(acr(class)), OutcomeStepUp, ACRRequired)
	}

	p = requires(t, "{ signed_in_within: 15m }")
	for ago, want := range map[time.Duration]Outcome{
		0: OutcomeAllow, 15 * time.Minute: OutcomeAllow, 15*time.Minute + time.Second: OutcomeStepUp,
		-time.Minute: OutcomeAllow, -time.Minute - time.Second: OutcomeStepUp, 1000 * time.Hour: OutcomeStepUp,
		-1000 * time.Hour: OutcomeStepUp,
	} {
		reason := ConditionsOK
		if want == OutcomeStepUp {
			reason = ReauthRequired
		}
		stepsTo(t, p, signedIn(ago), want, reason)
	}
	stepsTo(t, p, person(), OutcomeStepUp, ReauthRequired) // it is unknown when
}

func TestWhatIsMissingFirstIsTold(t *testing.T) {
	p := requires(t, "{ signed_in_within: 1h, acr: gold, mfa: true }")
	stepsTo(t, p, person(), OutcomeStepUp, MFARequired)
	stepsTo(t, p, person(mfa), OutcomeStepUp, ACRRequired)
	stepsTo(t, p, person(mfa, acr("gold")), OutcomeStepUp, ReauthRequired)
	stepsTo(t, p, signedIn(time.Hour, mfa, acr("gold")), OutcomeAllow, ConditionsOK)
	d := p.Decide(context.Background(), Query{Identity: person(mfa), Time: base})
	if r := d.Require; !r.MFA || !slices.Equal(r.ACR, []string{"gold"}) || r.SignedInWithin != time.Hour {
		t.Errorf("Decision.Require = %+v, want all that the route requires", r)
	}
}

// Who cannot sign in cannot do so anew.
func TestMachinesCannotStepUp(t *testing.T) {
	p := requires(t, "{ mfa: true }")
	m := machine("x")
	m.MFA = true
	stepsTo(t, p, machine("x"), OutcomeDeny, PersonRequired)
	stepsTo(t, p, m, OutcomeDeny, PersonRequired)
	stepsTo(t, p, person(byToken("x"), mfa), OutcomeDeny, BearerNotListed)
	stepsTo(t, p, person(byToken("x"), listed), OutcomeStepUp, MFARequired)
	stepsTo(t, p, person(byToken("x"), listed, mfa), OutcomeAllow, ConditionsOK)
}

func TestExplainTellsWhatASignInLacks(t *testing.T) {
	p := requires(t, "{ mfa: true, signed_in_within: 1h }")
	e := p.Explain(context.Background(), Query{Identity: signedIn(2 * time.Hour), Time: base})
	if e.Outcome != OutcomeStepUp || e.Require == nil || len(e.WouldChange) != 1 ||
		!strings.HasPrefix(e.WouldChange[0], "signed in with a second factor and signed in again within 1h (rule ") {
		t.Errorf("Explain = %s", show(e))
	}
	e = p.Explain(context.Background(), Query{Identity: signedIn(0, mfa), Time: base})
	if e.Outcome != OutcomeAllow || !slices.ContainsFunc(e.WouldChange, func(s string) bool { return strings.HasPrefix(s, "signed in without a second factor (") }) {
		t.Errorf("Explain = %s", show(e))
	}
}

func TestMistakesInRequire(t *testing.T) {
	for require, want := range map[string]string{
		"{}":                                     "empty",
		"{ mfa: false }":                         "empty",
		"{ acr: [] }":                            "empty",
		"{ signed_in_within: 0s }":               "at least 1s",
		"{ signed_in_within: 999ms, mfa: true }": "at least 1s",
		"{ signed_in_within: -1h }":              "want a duration",
		`{ acr: [gold, ""] }`:                    "no class",
		`{ acr: "gold silver" }`:                 "no class",
		"{ mfa: yes please }":                    "",
		"{ second_factor: true }":                "mfa",
		"mfa":                                    "",
	} {
		mistake(t, "signed-in\n  require: "+require, "4:", want)
	}
	for _, word := range []Word{WordAnyone, WordNobody} {
		_, err := Compile(context.Background(), Config{}, []Rule{{Route: "it", Allow: Allow{Word: word}, Require: &Require{MFA: true}}})
		if err == nil || !strings.Contains(err.Error(), "require stands beside allow: "+string(word)) {
			t.Errorf("Compile with require beside %s = %v, want an error", word, err)
		}
	}
	for _, r := range []Require{{}, {SignedInWithin: time.Millisecond}, {ACR: []string{" "}}, {SignedInWithin: -1, MFA: true}} {
		_, err := Compile(context.Background(), Config{}, []Rule{{Route: "it", Allow: Allow{Word: WordSignedIn}, Require: &r}})
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Compile with require %+v = %v, want an error", r, err)
		}
	}
}

func TestBodiesAreJudgedBeforeTheRule(t *testing.T) {
	cond := Condition{Groups: []string{"staff"}}
	policy := func(states ...BodyState) *Policy {
		p, err := Compile(context.Background(), Config{Memory: true}, []Rule{{Route: "it", Allow: Allow{When: &cond}, Bodies: states}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	states := []BodyState{BodyUnread, BodyNone, BodyParsed, BodyCut, BodyBroken}
	reasons := []Reason{BodyAbsent, BodyAbsent, BodyUnparsable, BodyTruncated, BodyUnparsable}
	for _, takes := range [][]BodyState{{BodyParsed}, {BodyParsed, BodyNone}, {BodyCut, BodyBroken}, {BodyNone}, {}} {
		p := policy(append([]BodyState{}, takes...)...)
		for i, state := range states {
			q := Query{Identity: person(), Body: Body{State: state}}
			d := p.Decide(context.Background(), q)
			want := reasons[i]
			if slices.Contains(takes, state) {
				want = GroupOK
			}
			if d.Reason != want {
				t.Errorf("a route that takes %v, body %q: %s %s, want %s", takes, state, d.Outcome, d.Reason, want)
			}
			if input, err := p.Input(q); (input == nil) != (d.Outcome == OutcomeDeny) || err != nil {
				t.Errorf("Input with body %q = %s, %v", state, input, err)
			}
			q.Identity = nil
			if d := p.Decide(context.Background(), q); d.Reason != SignInRequired {
				t.Errorf("nobody with body %q: %s, want sign_in_required", state, d.Reason)
			}
		}
	}
}

func TestABodyIsForConditionsOnly(t *testing.T) {
	for _, word := range []Word{WordAnyone, WordNobody, WordSignedIn} {
		_, err := Compile(context.Background(), Config{}, []Rule{{Route: "it", Allow: Allow{Word: word}, Bodies: []BodyState{BodyParsed}}})
		if err == nil || !strings.Contains(err.Error(), "judges the body") {
			t.Errorf("Compile with a body beside %s = %v, want an error", word, err)
		}
	}
}

func TestExplainTellsWhichBodyIsTaken(t *testing.T) {
	cond := Condition{Groups: []string{"staff"}}
	p, err := Compile(context.Background(), Config{}, []Rule{{Route: "it", Allow: Allow{When: &cond}, Bodies: []BodyState{BodyParsed, BodyNone}}})
	if err != nil {
		t.Fatal(err)
	}
	e := p.Explain(context.Background(), Query{Identity: person(), Body: Body{State: BodyCut}})
	if want := "[sent a body that is parsed or absent]"; fmt.Sprint(e.WouldChange) != want {
		t.Errorf("WouldChange = %q, want %s", e.WouldChange, want)
	}
}
