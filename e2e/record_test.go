package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is left of a person whose journey has ended: nothing but the record.

// wantGone fails unless the session of v ends within a second, and the name and
// the address are nobody's.
func (h house) wantGone(t *testing.T, v *visitor) {
	t.Helper()
	time.Sleep(time.Second)
	if status, _ := v.me(); status != http.StatusUnauthorized {
		t.Errorf("me.json a second after the account was deleted = %d, want 401", status)
	}
	for _, name := range []string{erin, erinMail} {
		if out, _, code := command(t, nil, "user", "show", name, "--config", h.config); code == 0 {
			t.Errorf("user show %s finds somebody:\n%s", name, out)
		}
	}
}

// event is one line of `gatehouse audit`.
type event struct {
	Type   string            `json:"type"`
	Actor  string            `json:"actor"`
	Target string            `json:"target"`
	Detail map[string]string `json:"detail"`
}

// wantStory fails unless the record tells of this person's journey, in its order,
// and gives none of the secrets away.
func (h house) wantStory(t *testing.T, name string, secrets ...string) {
	t.Helper()
	out, stderr, code := command(t, nil, "audit", "--output", "json", "--config", h.config)
	if code != 0 {
		t.Fatalf("audit exits %d: %s", code, stderr)
	}
	for _, secret := range secrets {
		if strings.Contains(out, secret) {
			t.Errorf("the record holds the secret %q", secret)
		}
	}
	var told []string
	who := ""
	for line := range strings.Lines(out) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("audit prints %q: %v", line, err)
		}
		if e.Type == "user.created" && e.Detail["username"] == name {
			who = e.Target
		}
		if who != "" && e.Target == who {
			told = append(told, e.Type)
		}
	}
	story := []string{
		"user.created", "user.signed_up", "user.signed_in", "factor.added", "recovery_codes.made", "user.signed_in",
		"recovery_code.used", "user.signed_in", "user.password_set", "recovery_code.used", "user.signed_in",
	}
	if name != finn {
		story = append(story, "factor.added", "user.signed_in") // the passkey
	}
	at := 0
	for _, want := range append(story, "user.deleted") {
		i := slices.Index(told[at:], want)
		if i < 0 {
			t.Fatalf("the record lacks %s after %v:\n%s", want, told[:at], out)
		}
		at += i + 1
	}
}

// wantFree fails unless somebody else may have the name and the address now.
func (h house) wantFree(t *testing.T) {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(erinSecond), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := command(t, nil, "user", "add", erin, "--email", erinMail, "--password-file", secret, "--config", h.config)
	if code != 0 {
		t.Errorf("user add %s exits %d: %s%s", erin, code, stdout, stderr)
	}
}
