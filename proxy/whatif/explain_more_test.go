package whatif_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/proxy/whatif"
)

// judging has a route for each thing that a rule may look at besides the
// identity.
const judging = `public_url: https://app.example.com
upstreams: { app: http://127.0.0.1:9 }
bearer: { issuers: [{ issuer: https://tokens.example.org, audiences: [app] }] }
policy: { custom: [%q] }
identity_headers: alb
routes:
  - { name: tenant, match: { path: "/t/{tenant}/{page}" }, allow: { claims: { tenant: "{tenant}" } } }
  - { name: fresh, match: { path: /fresh }, allow: signed-in, require: { signed_in_within: 1h } }
  - { name: hours, match: { path: /hours }, allow: { groups: [staff], time: [{ hours: "08:00-12:00" }] } }
  - { name: order, match: { path: /order }, allow: { opa: { rule: data.orders.small } }, body: { max: 1KiB, accept: [parsed, absent] } }
  - { name: open, match: { path: /open }, allow: anyone }
`

const smallOrders = "package orders\n\nsmall if input.request.body.amount < 100\n\nsmall if input.request.body_state == \"absent\"\n"

// judged asks the gate of judging, and returns the answer and its text.
func judged(t *testing.T, q whatif.Question) (whatif.Answer, string) {
	t.Helper()
	rego := t.TempDir() + "/orders.rego"
	if err := os.WriteFile(rego, []byte(smallOrders), 0o600); err != nil {
		t.Fatal(err)
	}
	plan, err := app.Parse("gatehouse.yaml", fmt.Appendf(nil, judging, rego))
	if err != nil {
		t.Fatal(err)
	}
	asking, err := app.OpenAsking(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	defer asking.Close()
	q.Method, q.Origin = "POST", plan.Origin()
	a, err := whatif.Explain(t.Context(), asking.Gate, asking.Policy, q)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	a.Write(&text)
	return a, text.String()
}

func TestAnswerShowsPathVariables(t *testing.T) {
	dana := person("dana")
	dana.Claims["tenant"] = "acme"
	a, text := judged(t, whatif.Question{URL: "/t/acme/start", Identity: dana})
	if a.Decision != "allow" || a.Variables["tenant"] != "acme" || a.Variables["page"] != "start" || !strings.Contains(text, "{tenant} is acme\n") {
		t.Errorf("/t/acme/start = %s with %v, want allow with the two variables, in\n%s", a.Decision, a.Variables, text)
	}
	if a, _ := judged(t, whatif.Question{URL: "/t/other/start", Identity: dana}); a.Decision != "deny" || a.Variables["tenant"] != "other" {
		t.Errorf("/t/other/start = %s with %v, want deny", a.Decision, a.Variables)
	}
}

func TestAnswerSaysWhatAStepUpLacks(t *testing.T) {
	dana := person("dana")
	dana.AuthTime = time.Now().Add(-2 * time.Hour)
	a, text := judged(t, whatif.Question{URL: "/fresh", Identity: dana})
	if a.Decision != "step_up" || a.Reason != "reauth_required" || a.Status != 401 || !strings.Contains(text, "decision  STEP UP 401") ||
		!strings.Contains(text, "signed_in_within") {
		t.Errorf("/fresh = %s for %s, want a step-up that names what is missing, in\n%s", a.Decision, a.Reason, text)
	}
	dana.AuthTime = time.Now()
	if a, _ := judged(t, whatif.Question{URL: "/fresh", Identity: dana}); a.Decision != "allow" {
		t.Errorf("/fresh after a sign-in just now = %s for %s, want allow", a.Decision, a.Reason)
	}
}

func TestAnswerIsForTheTimeAskedAbout(t *testing.T) {
	for at, want := range map[string]string{"2026-11-20T08:00:00Z": "allow", "2026-11-20T12:00:00Z": "deny"} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		a, text := judged(t, whatif.Question{URL: "/hours", Identity: person("bob", "staff"), Time: when})
		if a.Decision != want || a.Time != at || !strings.Contains(text, "time "+at) {
			t.Errorf("at %s = %s, want %s, in\n%s", at, a.Decision, want, text)
		}
	}
}

func TestAnswerJudgesTheBodyAsTheGateDoes(t *testing.T) {
	for _, c := range []struct{ body, state, decision, reason string }{
		{`{"amount": 99}`, "parsed", "allow", "opa_allow"},
		{`{"amount": 100}`, "parsed", "deny", "opa_deny"},
		{`{"amount": 99, "amount": 100}`, "unparsable", "deny", "body_unparsable"},
		{`{"amount": 99, "x": "` + strings.Repeat("x", 2000) + `"}`, "truncated", "deny", "body_truncated"},
		{"", "absent", "allow", "opa_allow"},
	} {
		q := whatif.Question{URL: "/order", Identity: person("dana")}
		if c.body != "" {
			q.Body = []byte(c.body)
		}
		for _, at := range []time.Time{{}, time.Now()} {
			q.Time = at
			a, text := judged(t, q)
			if a.Body != c.state || a.Decision != c.decision || a.Reason != c.reason || !strings.Contains(text, "  body "+c.state+"\n") {
				t.Errorf("body %.40s = %s, %s for %s, want %s, %s for %s", c.body, a.Body, a.Decision, a.Reason, c.state, c.decision, c.reason)
			}
		}
	}
}

func TestAnswerShowsWhatOPAIsGiven(t *testing.T) {
	dana := person("dana", "staff")
	dana.Claims["proof"] = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln"
	q := whatif.Question{URL: "/order", Identity: dana, Body: []byte(`{"amount": 7}`), Input: true, Trace: true}
	a, text := judged(t, q)
	var input struct {
		Route   string `json:"route"`
		Request struct {
			Body struct {
				Amount int `json:"amount"`
			} `json:"body"`
		} `json:"request"`
	}
	if err := json.Unmarshal(a.Input, &input); err != nil || input.Route != "order" || input.Request.Body.Amount != 7 {
		t.Errorf("input = %s (%v), want the route and the body", a.Input, err)
	}
	if !strings.Contains(a.Trace, "data.orders.small") || !strings.Contains(text, a.Trace) || !strings.Contains(text, string(a.Input)) {
		t.Errorf("the answer does not show input and trace:\n%s", text)
	}
	if strings.Contains(text, "eyJ") {
		t.Errorf("the answer shows a signed token:\n%s", text)
	}
	q.URL = "/open"
	if a, text := judged(t, q); a.Input != nil || a.Trace != "" || !strings.Contains(text, "OPA is not asked") {
		t.Errorf("/open: input %s, want that OPA is not asked, in\n%s", a.Input, text)
	}
	q.URL, q.Input, q.Trace = "/order", false, false
	if a, _ := judged(t, q); a.Input != nil || a.Trace != "" {
		t.Errorf("input %s and a trace of %d bytes, want none unless asked for", a.Input, len(a.Trace))
	}
}

func TestAnswerHidesAnAccessTokenOfAnyForm(t *testing.T) {
	dana := person("dana")
	dana.AccessToken, dana.Claims["tenant"] = "opaque-0123456789", "acme"
	a, text := judged(t, whatif.Question{URL: "/t/acme/x", Identity: dana})
	if a.Decision != "allow" || a.Headers["X-Amzn-Oidc-Accesstoken"] == "" && a.Headers["x-amzn-oidc-accesstoken"] == "" {
		t.Fatalf("%s with headers %v, want allow and the header of the access token", a.Decision, a.Headers)
	}
	whole, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text+string(whole), dana.AccessToken) {
		t.Errorf("the answer shows the access token:\n%s", text)
	}
}
