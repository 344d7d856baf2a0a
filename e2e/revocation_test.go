package e2e

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Whoever changes a user from the command line changes a running gateway: what
// the user has open ends within a second.
func TestCommandLineReachesTheRunningGateway(t *testing.T) {
	h := startInProcess(t, usualTTL)
	bob, alice := newVisitor(t, h.url), newVisitor(t, h.url)
	bob.signIn("bob", demoPassword, "/")
	alice.signIn("alice", demoPassword, "/")
	c, _, err := socket(t, bob, h.url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	echo(t, c, "before")

	stdout, stderr, code := command(t, nil, "user", "disable", "bob", "--config", h.config)
	if code != 0 {
		t.Fatalf("user disable bob exits %d: %s%s", code, stdout, stderr)
	}
	time.Sleep(time.Second)
	if passes(t, h.url, bob.session()) {
		t.Error("bob's cookie opens the application a second after he was disabled")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("bob's socket: %v, want close code 1008", err)
	}
	if a := bob.open("/"); a.url.String() == h.url+"/" {
		t.Errorf("the provider's own session lets bob in again: %v", a.hops)
	}
	f := bob.fill(bob.open("/"), "bob", demoPassword)
	if a := bob.submit(f); a.url.String() == h.url+"/" {
		t.Error("bob signs in although he is disabled")
	}
	if !passes(t, h.url, alice.session()) {
		t.Error("alice was signed out too")
	}

	stdout, stderr, code = command(t, nil, "group", "remove-member", "admins", "alice", "--config", h.config)
	if code != 0 {
		t.Fatalf("group remove-member exits %d: %s%s", code, stdout, stderr)
	}
	time.Sleep(time.Second)
	if a := alice.fetch("/admin/"); a.status == http.StatusOK {
		t.Error("alice reaches /admin/ a second after she left the group")
	}
}
