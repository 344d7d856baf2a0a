package whatif_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/proxy/whatif"
	"gatehouse/session"
)

const config = `public_url: [https://app.example.com, https://www.example.com]
upstreams: { app: http://127.0.0.1:9 }
bearer: { issuers: [{ issuer: https://tokens.example.org, audiences: [app] }] }
routes:
  - { name: inside, match: { path: /inside/** }, allow: { ip: 10.0.0.0/8 } }
  - { name: socket, match: { path: /live, websocket: true }, allow: signed-in }
  - { name: files, match: { path: /files/** }, allow: anyone, odd: [encoded_slash] }
  - { name: signed, match: { path: /signed }, allow: signed-in, identity_headers: alb }
  - { name: www, match: { host: www.example.com }, allow: nobody }
  - { name: rest, match: { path: /rest/** }, allow: { any_of: [{ groups: [staff] }, { users: [dana] }] } }
`

// ask asks the gate of config without a sign-in or a database.
func ask(t *testing.T, q whatif.Question) whatif.Answer {
	t.Helper()
	plan, err := app.Parse("gatehouse.yaml", []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	asking, err := app.OpenAsking(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	defer asking.Close()
	if q.Method == "" {
		q.Method = "GET"
	}
	q.Origin = plan.Origin()
	a, err := whatif.Explain(t.Context(), asking.Gate, asking.Policy, q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func person(name string, groups ...string) *session.Identity {
	return &session.Identity{
		Credential: session.Cookie, Issuer: "https://login.example.com", Subject: "0-" + name, Username: name,
		Groups: groups, Person: true, Listed: true, Claims: map[string]any{}, Expires: time.Now().Add(time.Hour),
	}
}

func TestAnswerNamesRouteAndReason(t *testing.T) {
	for _, c := range []struct {
		what   string
		q      whatif.Question
		route  string
		status int
		reason string
	}{
		{"a member of the group", whatif.Question{URL: "/rest/x", Identity: person("bob", "staff")}, "rest", 0, "conditions_ok"},
		{"a user by name", whatif.Question{URL: "/rest/x", Identity: person("dana")}, "rest", 0, "conditions_ok"},
		{"neither of the two", whatif.Question{URL: "/rest/x", Identity: person("bob", "guests")}, "rest", 403, ""},
		{"a path that is encoded as the route takes it", whatif.Question{URL: "/files/a%2Fb"}, "files", 0, "route_open"},
		{"a path that is encoded as no route takes it", whatif.Question{URL: "/rest/a%2Fb", Identity: person("dana")}, "rest", 400, "path_rejected"},
		{"a path that nobody takes", whatif.Question{URL: "/rest/../x"}, "", 400, "path_rejected"},
		{"another host", whatif.Question{URL: "https://www.example.com/x", Identity: person("dana")}, "www", 403, "nobody"},
		{"a host that is not ours", whatif.Question{URL: "https://elsewhere.example/"}, "", 404, "no_route"},
		{"a web socket", whatif.Question{URL: "/live", Websocket: true, Identity: person("dana")}, "socket", 0, "signed_in"},
		{"a page where a web socket is", whatif.Question{URL: "/live", Identity: person("dana")}, "", 404, "no_route"},
		{"an address outside", whatif.Question{URL: "/inside/", Client: netip.MustParseAddr("192.0.2.1"), Identity: person("dana")}, "inside", 403, ""},
	} {
		a := ask(t, c.q)
		route := ""
		for _, s := range a.Steps {
			if s.Miss == "" {
				route = s.Route
			}
		}
		decision := map[bool]string{true: "allow", false: "deny"}[c.status == 0]
		if route != c.route || a.Status != c.status || a.Decision != decision || c.reason != "" && a.Reason != c.reason {
			t.Errorf("%s: route %q, %s %d for %s, want route %q, %s %d for %s",
				c.what, route, a.Decision, a.Status, a.Reason, c.route, decision, c.status, c.reason)
		}
	}
}

func TestAnswerShowsNoTokenThatCouldBeUsed(t *testing.T) {
	a := ask(t, whatif.Question{URL: "/signed", Identity: person("dana")})
	if a.Decision != "allow" || len(a.Headers) == 0 {
		t.Fatalf("GET /signed = %s with headers %v, want allow and the headers of alb", a.Decision, a.Headers)
	}
	var text strings.Builder
	a.Write(&text)
	if strings.Contains(text.String(), "eyJ") || !strings.Contains(text.String(), "(a signed token)") {
		t.Errorf("the answer shows a signed token:\n%s", &text)
	}
}

func TestAnswerSaysEachWayToBeAllowed(t *testing.T) {
	var text strings.Builder
	ask(t, whatif.Question{URL: "/rest/x", Identity: person("bob", "guests"), Who: "bob"}).Write(&text)
	for _, want := range []string{"as bob", "joined group staff", "gatehouse.yaml:10"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the answer does not say %q:\n%s", want, &text)
		}
	}
}

func TestQuestionIsAPathOrAURL(t *testing.T) {
	for _, url := range []string{"rest/x", "", "http://", "%zz", "https:///x"} {
		_, err := whatif.Explain(t.Context(), nil, nil, whatif.Question{Method: "GET", URL: url, Origin: "https://app.example.com"})
		if err == nil {
			t.Errorf("Explain(%q) = nil, want an error: it names no request", url)
		}
	}
}
