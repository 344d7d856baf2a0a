package declog

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/policy"
)

func TestEventHasTheShapeOfOPAsDecisionLog(t *testing.T) {
	cfg := config(func(c *policy.LogConfig) { c.Mask = nil })
	var got map[string]any
	if err := json.Unmarshal([]byte(written(t, cfg, entry(policy.OutcomeDeny))), &got); err != nil {
		t.Fatal(err)
	}
	id, _ := got["decision_id"].(string)
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("decision_id = %q, want a random UUID", id)
	}
	delete(got, "decision_id")
	want := map[string]any{
		"labels":  map[string]any{"id": "gw-1", "version": "1.2.3", "app": "gatehouse"},
		"bundles": map[string]any{"gatehouse": map[string]any{"revision": "0123456789ab"}},
		"path":    "gatehouse/routes/allow",
		"result": map[string]any{
			"allow": false, "outcome": "deny", "reason": "group_missing", "route": "orders", "rule": "gatehouse.yaml:7",
		},
		"requested_by": "192.0.2.7",
		"timestamp":    "2026-05-04T03:02:01.123456789Z",
		"metrics":      map[string]any{"timer_gatehouse_decide_ns": 1500.0},
		"custom":       map[string]any{"request_id": "req-1"},
		"input": map[string]any{
			"route": "orders", "time": float64(at.UnixNano()),
			"user": map[string]any{
				"subject": "sub-7", "username": "alice", "name": "Alice Example", "email": "mail-alice@example.com",
				"email_domain": "example.com", "groups": []any{"staff", "admins"}, "acr": "urn:acr", "amr": []any{"pwd", "otp"},
				"auth_time": float64(at.Unix() - 60), "mfa": true,
			},
			"credential": map[string]any{
				"kind": "session", "issuer": "https://issuer.test", "subject": "sub-7", "client": "gateway", "person": true, "listed": true,
				"scopes": []any{"orders.read"},
				"claims": map[string]any{"department": "sales", "contact": []any{"Mail-Alice@example.com"}, "a/b": "slashed", "level": 3.0},
			},
			"request": map[string]any{
				"method": "POST", "host": "app.test", "path": "/tenants/acme/orders", "query": "code=secret-query",
				"client_ip": "192.0.2.7", "variables": map[string]any{"tenant": "acme"}, "body_state": "parsed",
				"body": map[string]any{"items": []any{"one", map[string]any{"note": "secret-body"}}},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the event differs (-want +got):\n%s", diff)
	}
}

func TestNoTokenAndNoSessionIsEverRecorded(t *testing.T) {
	line := written(t, config(func(c *policy.LogConfig) { c.Mask = nil }), entry(policy.OutcomeAllow))
	for _, secret := range []string{"secret-session", "secret-jti", "secret-token"} {
		if strings.Contains(line, secret) {
			t.Errorf("%s stands in %s", secret, line)
		}
	}
}

func TestWhatCannotBeWrittenIsLeftOutStepByStep(t *testing.T) {
	const body, claims, query = "/input/request/body", "/input/credential/claims", "/input/request/query"
	long := strings.Repeat("x", MaxLine)
	for name, c := range map[string]struct {
		edit   func(*policy.Query)
		erased []string
	}{
		"a long body":     {func(q *policy.Query) { q.Body.Value = long }, []string{body}},
		"odd characters":  {func(q *policy.Query) { q.Body.Value = strings.Repeat("\x01", MaxLine/5) }, []string{body}},
		"no JSON":         {func(q *policy.Query) { q.Identity.Claims["odd"] = func() {} }, []string{body, claims, query}},
		"no number":       {func(q *policy.Query) { q.Identity.Claims["odd"] = json.Number("1e") }, []string{body, claims, query}},
		"a long claim":    {func(q *policy.Query) { q.Identity.Claims["odd"] = long }, []string{body, claims, query}},
		"a long query":    {func(q *policy.Query) { q.RawQuery = long }, []string{body, claims, query}},
		"much is no harm": {func(q *policy.Query) { q.Body.Value = strings.Repeat("<", MaxLine/2) }, nil},
	} {
		e := entry(policy.OutcomeDeny)
		c.edit(&e.Query)
		line := written(t, config(func(c *policy.LogConfig) { c.Mask = nil }), e)
		ev, err := Parse([]byte(line))
		if err != nil || len(line) > MaxLine {
			t.Fatalf("%s: %d bytes, %v", name, len(line), err)
		}
		if !cmp.Equal(ev.Erased, c.erased) || text(ev.Input, "user", "username") != "alice" || ev.Result.Reason != "group_missing" {
			t.Errorf("%s: erased %v, want %v and the rest of the input", name, ev.Erased, c.erased)
		}
	}
}

func TestWhoAskedForWhatIsRecordedAtAnyLength(t *testing.T) {
	e := entry(policy.OutcomeDeny)
	e.Query.Path = "/evil/" + strings.Repeat("ä", MaxLine)
	e.Query.Variables[0].Value, e.Other = e.Query.Path, e.Query.Path
	ev, err := Parse([]byte(written(t, config(func(*policy.LogConfig) {}), e)))
	if err != nil {
		t.Fatal(err)
	}
	path := "/evil/" + strings.Repeat("ä", (maxKept-len("/evil/"))/2)
	want := map[string]any{
		"user": map[string]any{"subject": "sub-7"}, "credential": map[string]any{"subject": "sub-7"},
		"request": map[string]any{"method": "POST", "path": path, "client_ip": "192.0.2.7"},
	}
	if diff := cmp.Diff(want, ev.Input); diff != "" {
		t.Errorf("the input differs (-want +got):\n%s", diff)
	}
	if ev.RequestedBy != "192.0.2.7" || ev.Custom.Other != "" {
		t.Errorf("requested_by %q, other path %.20q", ev.RequestedBy, ev.Custom.Other)
	}
	for _, pointer := range []string{"/input/request/path", "/input/request/variables", "/input/user/groups", "/input/credential/kind", "/input/route"} {
		if !slices.Contains(ev.Erased, pointer) {
			t.Errorf("erased = %v, want %s among them", ev.Erased, pointer)
		}
	}
}

func TestALongLineTellsNothingThatIsMasked(t *testing.T) {
	e := entry(policy.OutcomeDeny)
	e.Query.Method = strings.Repeat("M", MaxLine)
	line, _ := masked(t, e, "/input/request/path", "/input/request/client_ip", "/input/user/subject")
	for _, secret := range []string{"acme", "192.0.2.7", "sub-7"} {
		if strings.Contains(line, secret) {
			t.Errorf("%s stands in %s", secret, line)
		}
	}
	if !strings.Contains(line, `"MMM`) {
		t.Errorf("the method is gone from %s", line)
	}
}

func TestAnEventThatIsLongBesideItsInputLosesIt(t *testing.T) {
	ev := &Event{Input: policy.Record(entry(policy.OutcomeDeny).Query), Result: Result{Rule: strings.Repeat("r", MaxLine)}, RequestedBy: "192.0.2.7"}
	if _, err := ev.encode(); err != nil || ev.Input != nil || !cmp.Equal(ev.Erased, []string{"/input"}) || ev.RequestedBy != "" {
		t.Errorf("input %v, erased %v, requested by %s, %v; want no input", ev.Input, ev.Erased, ev.RequestedBy, err)
	}
}

func TestMarkupStaysReadable(t *testing.T) {
	e := entry(policy.OutcomeDeny)
	e.Query.RawQuery = "a=1&b=<2>"
	if line := written(t, config(func(c *policy.LogConfig) { c.Mask = nil }), e); !strings.Contains(line, `"a=1&b=<2>"`) {
		t.Errorf("a query is escaped as if for HTML: %s", line)
	}
}

func TestParseRefusesWhatIsNoEvent(t *testing.T) {
	good := written(t, config(func(*policy.LogConfig) {}), entry(policy.OutcomeDeny))
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatalf("Parse of our own event: %v", err)
	}
	for _, text := range []string{
		"", "{}", "[]", good + good, good[:len(good)-2],
		strings.Replace(good, "gatehouse/routes/allow", "system/main", 1),
		strings.Replace(good, `"outcome":"deny",`, "", 1),
		strings.Replace(good, `"timestamp"`, `"timestamps"`, 1),
		strings.Replace(good, `"input":{`, `"input":[],"inputs":{`, 1),
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("Parse(%.60q) = nil, want an error", text)
		}
	}
}
