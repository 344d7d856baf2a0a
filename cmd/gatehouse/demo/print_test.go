package demo_test

import (
	"regexp"
	"strings"
	"testing"

	"gatehouse/cmd/gatehouse/demo"
)

func screen(t *testing.T, change func(*demo.Summary)) string {
	t.Helper()
	s := demo.Summary{
		Version: "1.0.0",
		Address: "http://localhost:8080",
		Command: "go run ./cmd/gatehouse",
		Users: []demo.User{
			{Username: "alice", Email: "alice@example.com", Password: "zusab-gutih-tugad-mopor", Groups: []string{"admins"}},
			{Username: "carol", Email: "carol@example.com", Password: "babad-babad-babad-babad"},
		},
		Routes: []demo.Route{
			{Who: "anyone", What: []string{"/healthz", "/public/**"}},
			{Who: "signed-in", What: []string{"/**"}},
		},
		Explain: "gatehouse explain --as bob GET /admin/",
		Data:    "/tmp/gatehouse-demo-1",
		Control: "/tmp/gatehouse-0/8080.sock",
	}
	if change != nil {
		change(&s)
	}
	var b strings.Builder
	if err := demo.Print(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestScreen(t *testing.T) {
	const want = `
  Open        http://localhost:8080    a demo application behind the gateway
              gatehouse 1.0.0, demo mode: throw-away users and keys, not for production

  Sign in as  alice    alice@example.com    zusab-gutih-tugad-mopor    groups: admins
              carol    carol@example.com    babad-babad-babad-babad    groups: -

  Machine     curl -H "Authorization: Bearer $(go run ./cmd/gatehouse demo token orders.read)" http://localhost:8080/api/orders/7

  Routes      anyone       /healthz   /public/**
              signed-in    /**

  Try         http://localhost:8080/admin/                                   alice may, bob gets 403
              http://localhost:8080/headers                                  what the application is told of you
              http://localhost:8080/_gatehouse/me                            who the gateway takes you for
              http://localhost:8080/_gatehouse/idp/demo/mail                 alice reads what would be sent to who signs up
              go run ./cmd/gatehouse demo --upstream http://localhost:3000   your own application instead
              gatehouse explain --as bob GET /admin/    # why bob is refused

  Data        /tmp/gatehouse-demo-1    temporary, removed when you stop it with Ctrl-C
  Tokens      /tmp/gatehouse-0/8080.sock    for your user only: this is how ` + "`demo token`" + ` finds us

`
	got := screen(t, nil)
	if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("screen:\n%s\nwant (spacing aside):\n%s", got, want)
	}
}

func TestScreenWithOwnApplicationWarnsAndNamesIt(t *testing.T) {
	got := screen(t, func(s *demo.Summary) { s.Upstream = "http://localhost:3000"; s.Moved = true })
	for _, want := range []string{"http://localhost:3000 behind the gateway", "could read what you type", "the usual port is taken"} {
		if !strings.Contains(got, want) {
			t.Errorf("screen does not say %q:\n%s", want, got)
		}
	}
}

func TestScreenDoesNotRepeatAGivenPassword(t *testing.T) {
	got := screen(t, func(s *demo.Summary) { s.GivenPassword = true })
	if strings.Contains(got, "zusab") || !strings.Contains(got, "$GATEHOUSE_DEMO_PASSWORD") {
		t.Errorf("screen shows the caller's password:\n%s", got)
	}
}

func TestPasswordsArePronounceableAndNeverTheSame(t *testing.T) {
	shape := regexp.MustCompile(`^(?:[bdfghjkmnprstvwz][aiou][bdfghjkmnprstvwz][aiou][bdfghjkmnprstvwz]-?){4}$`)
	seen := map[string]bool{}
	letters := map[rune]int{}
	for range 2000 {
		p := demo.Password()
		if !shape.MatchString(p) || len(p) != 23 {
			t.Fatalf("Password() = %q, want four groups of five letters", p)
		}
		if seen[p] {
			t.Fatalf("Password() gave %q twice", p)
		}
		seen[p] = true
		for _, c := range p {
			letters[c]++
		}
	}
	// 16 consonants, 4 vowels and "-": each must occur, or bits were lost.
	if len(letters) != 21 {
		t.Errorf("2000 passwords use %d different characters, want 21", len(letters))
	}
}
