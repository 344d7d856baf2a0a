package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/session"
)

// throughJSON is what a log makes of a record.
func throughJSON(t *testing.T, record map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var back map[string]any
	if err := dec.Decode(&back); err != nil {
		t.Fatal(err)
	}
	return back
}

// full adds to a random query what records hold besides.
func (c chance) full(q Query) Query {
	q.Host, q.Path, q.RawQuery = "app.test", "/tenants/t1/x", []string{"", "a=b&c=%20"}[c.IntN(2)]
	q.Method = []string{"GET", "HEAD", "POST", "NEVER"}[c.IntN(4)]
	q.Time = time.Unix(1_700_000_000+c.Int64N(1e6), c.Int64N(1e9))
	q.Variables = []Variable{{"tenant", fmt.Sprint("g", c.IntN(3))}, {"item", "x"}}[:c.IntN(3)]
	if q.Body.State = BodyState(c.IntN(5)); q.Body.State == BodyParsed {
		q.Body.Value = map[string]any{"k": c.claim()}
	}
	if id := q.Identity; id != nil {
		id.Issuer, id.Name, id.SID, id.AccessToken = "https://issuer.test", "Name", "secret-sid", "secret-token"
		id.MFA = c.IntN(2) == 0
		if c.IntN(2) == 0 {
			id.ACR, id.AMR = "urn:"+fmt.Sprint(c.IntN(2)), c.some("m")
		}
		if c.IntN(3) > 0 {
			id.AuthTime = q.Time.Add(-time.Duration(c.IntN(7200)) * time.Second).Truncate(time.Second)
		}
		if c.IntN(4) == 0 {
			id.Claims["amount"] = c.scalar()
		}
	}
	return q
}

func TestARecordedQueryIsDecidedAlike(t *testing.T) {
	allowed := 0
	for seed := range uint64(8) {
		c := chance{rand.New(rand.NewPCG(seed, 31))}
		p, conditions := randomPolicy(t, c, 50, true)
		for i, cond := range conditions {
			for range 12 {
				q := c.full(c.query(i))
				record := Record(q)
				back, err := Recall(throughJSON(t, record))
				if err != nil {
					t.Fatal(err)
				}
				back.Route = i
				want, got := p.Decide(context.Background(), q), p.Decide(context.Background(), back)
				if got.Outcome != want.Outcome || got.Reason != want.Reason || got.Rule != want.Rule {
					t.Fatalf("seed %d: recalled %s %s, want %s %s\ncondition %s\nrecord %s",
						seed, got.Outcome, got.Reason, want.Outcome, want.Reason, show(cond), show(record))
				}
				if want.Outcome == OutcomeAllow {
					allowed++
				}
			}
		}
	}
	if allowed < 200 {
		t.Errorf("only %d of the random queries were allowed: the test sees too little", allowed)
	}
}

// What depends on the time, the sign-in, the path and the body comes back too.
func TestARecordedRequestIsDecidedAlike(t *testing.T) {
	people := Allow{Word: WordSignedIn}
	rules := []Rule{
		{Route: "mfa", Allow: people, Require: &Require{MFA: true, ACR: []string{"urn:0"}}},
		{Route: "fresh", Allow: people, Require: &Require{SignedInWithin: 30 * time.Minute}},
		{Route: "time", Allow: Allow{When: &Condition{Time: []Window{{Hours: "08:00-20:00"}}}}},
		{Route: "method", Allow: Allow{When: &Condition{Method: []string{"GET"}, Groups: []string{"g1", "g2"}}}},
		{Route: "tenant", Allow: Allow{When: &Condition{Groups: []string{"{tenant}"}}}, Variables: []string{"tenant"}},
		{Route: "body", Allow: Allow{When: &Condition{OPA: &OPA{"data.op.amount"}}}, Bodies: []BodyState{BodyParsed}},
	}
	dir := t.TempDir()
	writeFile(t, dir+"/op.rego", "package op\n\namount if input.request.body.k == 1\n\namount if input.request.body.k == \"x\"\n")
	p, err := Compile(context.Background(), Config{Custom: []Custom{{Path: dir}}}, rules)
	if err != nil {
		t.Fatal(err)
	}
	p.timeout = time.Minute
	c := chance{rand.New(rand.NewPCG(3, 1))}
	seen := map[string]int{}
	for i, rule := range rules {
		for range 400 {
			q := c.full(c.query(i))
			if len(q.Variables) == 0 {
				q.Variables = []Variable{{"tenant", "g1"}}
			}
			back, err := Recall(throughJSON(t, Record(q)))
			if err != nil {
				t.Fatal(err)
			}
			back.Route = i
			want, got := p.Decide(context.Background(), q), p.Decide(context.Background(), back)
			if got.Outcome != want.Outcome || got.Reason != want.Reason {
				t.Fatalf("route %s: recalled %s %s, want %s %s (%v)\nrecord %s", rule.Route, got.Outcome, got.Reason, want.Outcome, want.Reason, want.Err, show(Record(q)))
			}
			seen[rule.Route+" "+want.Outcome.String()]++
		}
	}
	for _, what := range []string{
		"mfa allow", "mfa step_up", "fresh allow", "fresh step_up", "time allow", "time deny", "method allow", "method deny",
		"tenant allow", "tenant deny", "body allow", "body deny",
	} {
		if seen[what] < 5 {
			t.Errorf("%s came %d times: the test sees too little", what, seen[what])
		}
	}
}

func TestARecordIsRecalledAndRecordedAlike(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(9, 9))}
	for range 2000 {
		record := Record(c.full(c.query(0)))
		back, err := Recall(throughJSON(t, record))
		if err != nil {
			t.Fatal(err)
		}
		if again := Record(back); show(again) != show(record) {
			t.Fatalf("recorded again it is\n%s\nwant\n%s", show(again), show(record))
		}
		direct, err := Recall(record)
		if err != nil || show(Record(direct)) != show(record) {
			t.Fatalf("without JSON it is %s (%v), want %s", show(Record(direct)), err, show(record))
		}
	}
}

// A mask is held against these names, so that they are those of a record.
func TestEveryPartOfARecordIsKnown(t *testing.T) {
	seen := map[string][]string{"route": nil} // the log puts it there
	for seed := range uint64(40) {
		c := chance{rand.New(rand.NewPCG(seed, 33))}
		_, conditions := randomPolicy(t, c, 5, true)
		for i := range conditions {
			for part, value := range Record(c.full(c.query(i))) {
				below, _ := value.(document)
				if plain, ok := value.(map[string]any); ok {
					below = plain
				}
				if seen[part] == nil {
					seen[part] = nil
				}
				for name := range below {
					if !slices.Contains(seen[part], name) {
						seen[part] = append(seen[part], name)
					}
				}
				slices.Sort(seen[part])
			}
		}
	}
	if diff := cmp.Diff(recorded, seen); diff != "" {
		t.Errorf("parts of records (-known +seen):\n%s", diff)
	}
}

func TestARecordHoldsNoTokenAndNoSession(t *testing.T) {
	q := Query{Identity: &session.Identity{
		Credential: session.Cookie, Person: true, Listed: true, SID: "secret-1", JTI: "secret-2", OriginJTI: "secret-3",
		IssuerSID: "secret-4", AccessToken: "secret-5", Email: "secret-6@example.com",
	}}
	if text := show(Record(q)); strings.Contains(text, "secret") {
		t.Errorf("the record holds a secret, or an address that is not verified: %s", text)
	}
}

func TestARecordHasAUserOnlyWhereTheInputHas(t *testing.T) {
	for _, c := range []struct{ person, listed, want bool }{{true, true, true}, {true, false, false}, {false, true, false}} {
		record := Record(Query{Identity: &session.Identity{Username: "alice", Groups: []string{"staff"}, Person: c.person, Listed: c.listed}})
		if _, got := record["user"]; got != c.want {
			t.Errorf("person %t, listed %t: user is there = %t, want %t", c.person, c.listed, got, c.want)
		}
	}
	if record := Record(Query{}); record["credential"] != nil || record["user"] != nil {
		t.Errorf("the record of nobody has a user or a credential: %s", show(record))
	}
}

func TestRecallKeepsTheDomainOfAMaskedAddress(t *testing.T) {
	record := Record(Query{Identity: &session.Identity{Person: true, Listed: true, Email: "a@example.com", EmailVerified: true}})
	delete(record["user"].(map[string]any), "email")
	q, err := Recall(record)
	if err != nil || emailDomain(q.Identity) != "example.com" {
		t.Errorf("domain = %q (%v), want example.com", emailDomain(q.Identity), err)
	}
}

func TestRecallTellsUnknownFromEmpty(t *testing.T) {
	for _, groups := range [][]string{nil, {}, {"a"}} {
		id := &session.Identity{Person: true, Listed: true, Groups: groups, Scopes: groups}
		q, err := Recall(throughJSON(t, Record(Query{Identity: id, ClientIP: netip.MustParseAddr("::ffff:192.0.2.1")})))
		if err != nil || !reflect.DeepEqual(q.Identity.Groups, groups) || !reflect.DeepEqual(q.Identity.Scopes, groups) {
			t.Errorf("groups %#v come back as %#v and %#v (%v)", groups, q.Identity.Groups, q.Identity.Scopes, err)
		}
		if q.ClientIP != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("client = %v, want 192.0.2.1", q.ClientIP)
		}
	}
}

func TestRecallNamesWhatHasTheWrongShape(t *testing.T) {
	for text, want := range map[string]string{
		`{"request":7}`:                                         "input.request",
		`{"time":"now"}`:                                        "input.time",
		`{"time":1.5}`:                                          "input.time",
		`{"credential":1}`:                                      "input.credential",
		`{"credential":{},"user":[]}`:                           "input.user",
		`{"credential":{"person":"yes"}}`:                       "input.credential.person",
		`{"credential":{"scopes":"a b"}}`:                       "input.credential.scopes",
		`{"credential":{"scopes":[1]}}`:                         "input.credential.scopes",
		`{"credential":{"claims":[]}}`:                          "input.credential.claims",
		`{"credential":{},"user":{"groups":{}}}`:                "input.user.groups",
		`{"credential":{},"user":{"auth_time":true}}`:           "input.user.auth_time",
		`{"request":{"client_ip":"here"}}`:                      "input.request.client_ip",
		`{"request":{"path":["/"]}}`:                            "input.request.path",
		`{"request":{"body_state":"half"}}`:                     "input.request.body_state",
		`{"request":{"variables":{"tenant":1}}}`:                "input.request.variables.tenant",
		`{"credential":{"kind":null}}`:                          "input.credential.kind",
		`{"request":null}`:                                      "input.request",
		`{"credential":{},"user":{"mfa":1,"username":["bob"]}}`: "input.user.username",
	} {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		var input map[string]any
		if err := dec.Decode(&input); err != nil {
			t.Fatal(err)
		}
		if q, err := Recall(input); err == nil || !strings.HasPrefix(err.Error(), want+" ") || q.Identity != nil {
			t.Errorf("Recall(%s) = %v, %v; want an error about %s", text, q, err, want)
		}
	}
}
