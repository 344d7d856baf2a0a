package idp_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/idp"
	"gatehouse/idp/account"
	"gatehouse/idp/admin"
)

func TestPeopleAreInvitedByAdministrators(t *testing.T) {
	sink, mail := withMail(t)
	c := startConsole(t, mail, func(c *idp.Config) { c.Account.SignUp = account.InviteOnly })
	c.runOutbox()
	post := &mailed{c.fixture, sink}
	tok := c.token("alice", "openid "+strings.Join(admin.Rights(), " "))
	status, u := c.asks(tok, "POST", "/users", `{"username":"dora","email":"dora@example.com","invite":true,"groups":["staff"]}`)
	if status != http.StatusCreated || u["status"] != "FORCE_CHANGE_PASSWORD" || u["email_verified"] != false {
		t.Fatalf("invite: %d %v", status, u)
	}
	first := post.mail("dora@example.com").link()
	again := "/users/" + u["id"].(string) + "/invite"
	if status, out := c.asks(tok, "POST", again, ""); status != http.StatusNoContent {
		t.Fatalf("again: %d %v", status, out)
	}
	second := post.mail("dora@example.com").link()
	b := c.browser()
	b.want(b.get(first), http.StatusBadRequest, "has been used")
	b.want(b.fill(b.get(second), "password", "violet lamp 42 river"), http.StatusOK, "Your account is ready")
	if status, out := c.asks(tok, "POST", again, ""); status != http.StatusUnprocessableEntity {
		t.Errorf("somebody who has come: %d %v, want 422", status, out)
	}
	for _, body := range []string{
		`{"username":"erin","invite":true}`,
		`{"username":"erin","email":"erin@example.com","invite":true,"password":"violet lamp 42 river"}`,
		`{"username":"erin","email":"erin@example.com","invite":true,"temporary":true}`,
	} {
		if status, out := c.asks(tok, "POST", "/users", body); status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %v, want 422", body, status, out)
		}
	}
	if _, list := c.asks(tok, "GET", "/users?name=erin", ""); len(list["users"].([]any)) != 0 {
		t.Errorf("a refused invitation leaves a user: %v", list)
	}
	bob := c.token("bob", "openid "+strings.Join(admin.Rights(), " "))
	if status, _ := c.asks(bob, "POST", "/users/"+c.userID("alice")+"/invite", ""); status != http.StatusForbidden {
		t.Errorf("invite somebody with more rights: %d, want 403", status)
	}
}

func TestNobodyIsInvitedWithoutMail(t *testing.T) {
	c := startConsole(t)
	tok := c.token("alice", "openid "+admin.UsersWrite)
	status, out := c.asks(tok, "POST", "/users", `{"username":"dora","email":"dora@example.com","invite":true}`)
	if status != http.StatusConflict || out["error"] != "conflict" {
		t.Errorf("invite: %d %v, want 409 conflict", status, out)
	}
	if status, _ := c.asks(tok, "POST", "/users/"+c.userID("bob")+"/invite", ""); status != http.StatusConflict {
		t.Errorf("again: %d, want 409", status)
	}
}
