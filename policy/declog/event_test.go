package declog

import (
	"encoding/json"
	"regexp"
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

func TestWhatCannotBeWrittenIsRecordedWithoutItsInput(t *testing.T) {
	for name, claim := range map[string]any{"no JSON": func() {}, "no number": json.Number("1e"), "too long": strings.Repeat("x", MaxLine)} {
		e := entry(policy.OutcomeDeny)
		e.Query.Identity.Claims["odd"] = claim
		ev, err := Parse([]byte(written(t, config(func(c *policy.LogConfig) { c.Mask = nil }), e)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if ev.Input != nil || !cmp.Equal(ev.Erased, []string{"/input"}) || ev.Result.Reason != "group_missing" {
			t.Errorf("%s: input %v, erased %v, reason %s; want the decision without input", name, ev.Input, ev.Erased, ev.Result.Reason)
		}
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
