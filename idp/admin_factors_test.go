package idp_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/idp/admin"
	"gatehouse/idp/mfa"
)

func TestSessionsAndFactorsAreAdministered(t *testing.T) {
	c := startConsole(t)
	tok := c.token("alice", "openid "+strings.Join(admin.Rights(), " "))
	bob := c.userID("bob")
	b := c.browser()
	r := newRequest()
	b.submit(b.open(r), "bob", password)
	_, out := c.asks(tok, "GET", "/users/"+bob+"/sessions", "")
	sessions := out["sessions"].([]any)
	if len(sessions) != 1 {
		t.Fatalf("sessions = %v, want one", out)
	}
	sid := sessions[0].(map[string]any)["id"].(string)
	if status, _ := c.asks(tok, "DELETE", "/users/"+c.userID("alice")+"/sessions/"+sid, ""); status != http.StatusNotFound {
		t.Errorf("bob's session as alice's: %d, want 404", status)
	}
	if status, _ := c.asks(tok, "DELETE", "/users/"+bob+"/sessions/"+sid, ""); status != http.StatusNoContent {
		t.Errorf("end bob's session: %d", status)
	}
	if got := b.silent(); !strings.Contains(got, "login_required") {
		t.Errorf("bob is still signed in: %s", got)
	}
	who := mfa.Person{ID: bob, Name: "bob"}
	setup, err := c.p.Factors.BeginTOTP(who)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.p.Factors.ConfirmTOTP(t.Context(), who, setup.Artefact, appCode(t, setup.Secret, c.now()), "phone"); err != nil {
		t.Fatal(err)
	}
	codes, err := c.p.Factors.NewRecoveryCodes(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	_, out = c.asks(tok, "GET", "/users/"+bob+"/factors", "")
	if out["recovery_codes_left"] != float64(len(codes)) {
		t.Errorf("factors = %v, want %d recovery codes", out, len(codes))
	}
	if status, _ := c.asks(tok, "DELETE", "/users/"+bob+"/factors/sms", ""); status != http.StatusNotFound {
		t.Errorf("remove a factor he does not have: %d, want 404", status)
	}
	if status, _ := c.asks(tok, "DELETE", "/users/"+bob+"/factors", ""); status != http.StatusNoContent {
		t.Errorf("reset: %d", status)
	}
	if _, out = c.asks(tok, "GET", "/users/"+bob+"/factors", ""); out["recovery_codes_left"] != 0.0 {
		t.Errorf("after a reset: %v", out)
	}
}
