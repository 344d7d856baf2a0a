package app

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// edit reloads the configuration with edits: pairs of texts, the first replaced
// by the second.
func (w *world) edit(edits ...string) {
	w.t.Helper()
	text, err := os.ReadFile(w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.reload(strings.NewReplacer(edits...).Replace(string(text)))
}

func TestSessionsOutliveReloads(t *testing.T) {
	w := newWorld(t)
	alice := w.browser()
	alice.signIn("/", "alice")
	for i, edits := range [][]string{
		{"allow: signed-in", "allow: { groups: [admins] }"},
		{"routes:\n", "session: { idle: 30m }\nroutes:\n"},
		{"allow: { groups: [admins] }", "allow: signed-in"},
	} {
		w.edit(edits...)
		if got := alice.fetch("/"); got != http.StatusOK {
			t.Errorf("alice's session after reload %d = %d, want 200", i, got)
		}
	}
}

// TestSignInsThatBeganBeforeAReloadEndAfterIt reloads while the sign-in page is
// open, also with settings that make another relying party.
func TestSignInsThatBeganBeforeAReloadEndAfterIt(t *testing.T) {
	w := newWorld(t)
	for _, edits := range [][]string{{"# Made", "# made"}, {"routes:\n", "session: { idle: 30m }\nroutes:\n"}} {
		alice := w.browser()
		page := alice.open("/x")
		w.edit(edits...)
		end, err := alice.submit(page, map[string]string{"username": "alice", "password": demoPassword})
		if err != nil || end.StatusCode != http.StatusOK || end.Request.URL.Path != "/x" {
			t.Errorf("a sign-in over a reload with %q ends at %v with %d, %v", edits, end.Request.URL, end.StatusCode, err)
		}
	}
}

func TestANewPublicURLIsRegistered(t *testing.T) {
	w := newWorld(t)
	other := strings.Replace(w.origin, "127.0.0.1", "localhost", 1)
	w.edit("public_url: ", "public_url: [\""+other+"\", ", "\nlisten:", "]\nlisten:")
	alice := w.browser()
	page, err := alice.do(other+"/x", nil, navigation)
	if err != nil {
		t.Fatal(err)
	}
	end, err := alice.submit(page, map[string]string{"username": "alice", "password": demoPassword})
	if err != nil || end.StatusCode != http.StatusOK || !strings.HasPrefix(end.Request.URL.String(), other) {
		t.Errorf("a sign-in at the new address ends at %v with %d, %v:\n%s", end.Request.URL, end.StatusCode, err, end.body)
	}
}

func TestScopesOfTheGatewayFollowItsConfiguration(t *testing.T) {
	w := newWorld(t)
	w.edit("idp:\n", "login: { scopes: [orders.read] }\nidp:\n")
	c, err := w.app.provider.Clients.Find(t.Context(), "gatehouse")
	if err != nil || !strings.Contains(strings.Join(c.Scopes, " "), "orders.read") {
		t.Errorf("the gateway may ask for %q (%v), want orders.read among them", c.Scopes, err)
	}
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.path, strings.Replace(string(text), "[orders.read] }\nidp:", "[orders.raed] }\nidp:", 1))
	w.app.Reload()
	if line := w.logs.next(t, refused); !strings.Contains(line, "orders.raed") {
		t.Errorf("an unknown scope is refused with %s", line)
	}
}

func TestAWebSocketEndsWithTheRightToIt(t *testing.T) {
	w := newWorld(t)
	bob, alice := w.browser(), w.browser()
	bob.signIn("/", "bob")
	alice.signIn("/", "alice")
	his, hers := bob.socket(t), alice.socket(t)
	w.edit("allow: signed-in", "allow: { groups: [admins] }")
	second, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, _, err := his.Read(second); errors.Is(err, context.DeadlineExceeded) {
		t.Error("bob's web socket is open two seconds after a reload that refuses him")
	}
	if err := hers.Write(t.Context(), 1, []byte("still")); err != nil {
		t.Errorf("alice's web socket did not outlive the reload: %v", err)
	}
	if _, echo, err := hers.Read(t.Context()); err != nil || string(echo) != "still" {
		t.Errorf("alice's web socket answers %q, %v after the reload", echo, err)
	}
}
