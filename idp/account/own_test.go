package account_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/audit"
)

// typed is the password that somebody types again.
func typed(pass string) account.Old { return account.Old{Password: pass, From: here} }

func TestPasswordIsChangedWithTheOldOne(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.alice()
	w.must(w.db.Sessions().Insert(ctx, storetest.Session("s1", u.ID)))
	w.events()
	w.want("wrong", w.acc.ChangePassword(ctx, u, typed("wrong"), "a new long password"), account.ErrWrongPassword)
	w.want("none", w.acc.ChangePassword(ctx, u, typed(""), "a new long password"), account.ErrWrongPassword)
	w.want("short", w.acc.ChangePassword(ctx, u, typed(pass), "short"), pool.ErrInvalid)
	w.none("refused changes")
	w.must(w.acc.ChangePassword(ctx, u, typed(pass), "a new long password"))
	w.only(account.PasswordChanged)
	if !w.signsIn("alice", "a new long password") || w.tries.n.Load() != 4 {
		t.Errorf("the new password does not count, or tries = %d", w.tries.n.Load())
	}
	if all, _ := w.db.Sessions().OfUser(ctx, u.ID); len(all) != 0 {
		t.Error("a session outlived the change")
	}
	w.want("with what was known before", w.acc.ChangePassword(ctx, u, typed("a new long password"), "yet another one"), account.ErrWrongPassword)
}

func TestWhoHasNoPasswordSetsOne(t *testing.T) {
	w := newWorld(t)
	u := w.add(pool.NewUser{Username: "key"})
	w.must(w.acc.ChangePassword(t.Context(), u, typed(""), "a new long password"))
	if !w.signsIn("key", "a new long password") {
		t.Error("the first password does not count")
	}
}

func TestChangedPasswordEndsResetLinks(t *testing.T) {
	w := newWorld(t)
	u := w.alice()
	w.events()
	token := w.link()
	w.must(w.acc.ChangePassword(t.Context(), u, typed(pass), "a new long password"))
	w.want("Reset", failed(w.acc.Reset(t.Context(), token, "by the old link")), account.ErrLink)
}

// T243: a field that may not be written is refused by name, and nothing is
// changed.
func TestProfileTakesWhatMayBeWritten(t *testing.T) {
	w := newWorld(t, func(c *account.Config, p *pool.Config) {
		c.Attributes = []string{"name", "nickname", "custom:team", "custom:badge", "website"}
		p.Required = []string{"nickname"}
	})
	ctx := t.Context()
	u := w.alice()
	w.must(w.acc.ChangeProfile(ctx, u, map[string]string{"name": "Alice", "nickname": "al", "custom:badge": "7"}, nil))
	got := w.user(u.ID)
	if got.Name != "Alice" || got.Attributes["nickname"] != "al" || got.Attributes["custom:badge"] != "7" {
		t.Fatalf("user = %+v", got)
	}
	for field, value := range map[string]string{
		"email": "eve@example.com", "email_verified": "true", "phone_number": "+41791234567", "phone_number_verified": "true", "groups": "admins",
		"username": "root", "sub": "x", "enabled": "true", "status": "CONFIRMED", "custom:role": "admin", "custom:none": "x", "": "x",
		"custom:badge": "8", "website": "javascript:alert(1)", "nickname": "",
	} {
		var refused *account.FieldError
		err := w.acc.ChangeProfile(ctx, u, map[string]string{"name": "Changed", field: value}, nil)
		if !errors.As(err, &refused) || refused.Field != field {
			t.Errorf("%s: %v, want it refused by name", field, err)
		}
	}
	if after := w.user(u.ID); after.Name != "Alice" || after.Attributes["custom:badge"] != "7" || after.Email != "alice@example.com" {
		t.Errorf("a refused change left %+v", after)
	}
	w.must(w.acc.ChangeProfile(ctx, u, map[string]string{"custom:role": "reader"}, []string{"custom:role"}))
	var refused *account.FieldError
	if err := w.acc.ChangeProfile(ctx, u, map[string]string{"name": "x"}, []string{}); !errors.As(err, &refused) {
		t.Errorf("an empty list allows: %v", err)
	}
}

func TestOwnAccountIsDeleted(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.alice()
	w.must(w.db.Sessions().Insert(ctx, storetest.Session("s1", u.ID)))
	w.events()
	w.want("wrong password", w.acc.Delete(ctx, u, typed("wrong")), account.ErrWrongPassword)
	w.must(w.acc.Delete(ctx, u, typed(pass)))
	var deleted audit.Event
	for _, e := range w.events() {
		if e.Type == "user.deleted" {
			deleted = e
		}
	}
	if deleted.Target != u.ID || len(deleted.Revoke) != 1 {
		t.Errorf("event = %+v", deleted)
	}
	if _, err := w.pool.Find(ctx, "alice"); !errors.Is(err, pool.ErrNotFound) {
		t.Errorf("the account is there: %v", err)
	}
	if buried, err := w.pool.Buried(ctx, "alice"); err != nil || !buried {
		t.Errorf("a restart would bring it back: %v, %v", buried, err)
	}
	w.cfg.Delete = false
	w.open()
	bob := w.add(pool.NewUser{Username: "bob", Password: pass})
	w.want("closed", w.acc.Delete(ctx, bob, typed(pass)), account.ErrClosed)
}

func TestDeletionIsTold(t *testing.T) {
	w := newWorld(t)
	u := w.alice()
	w.events()
	w.must(w.acc.Delete(t.Context(), u, typed(pass)))
	if m := w.only(account.AccountDeleted); m["to"] != "alice@example.com" {
		t.Errorf("notice = %v", m)
	}
}

func (w *world) invite() (pool.User, string) {
	w.t.Helper()
	w.events()
	u, err := w.acc.Invite(w.t.Context(), pool.NewUser{Username: "dana", Email: "dana@example.com", Password: "ignored password"})
	w.must(err)
	m := w.only(account.Invitation)
	if m["to"] != "dana@example.com" || len(m["token"]) < 22 {
		w.t.Fatalf("message = %v", m)
	}
	return u, m["token"]
}

func TestInvitationSetsUpAnAccountOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u, token := w.invite()
	if w.signsIn("dana", "ignored password") || w.user(u.ID).Status != pool.ForceChangePassword {
		t.Error("an invited person has a password that somebody else chose")
	}
	for range 3 {
		if got, err := w.acc.CheckInvite(ctx, token); err != nil || got.ID != u.ID {
			t.Fatalf("CheckInvite = %v", err)
		}
	}
	w.want("as a reset", failed(w.acc.Reset(ctx, token, "a new long password")), account.ErrLink)
	w.want("short", w.acc.AcceptInvite(ctx, token, "short"), pool.ErrInvalid)
	if n := w.fifty(func() error { return w.acc.AcceptInvite(ctx, token, "a new long password") }, account.ErrLink, errBusy); n != 1 {
		t.Errorf("%d of fifty accepted", n)
	}
	if got := w.user(u.ID); got.Status != pool.Confirmed || !got.EmailVerified || !w.signsIn("dana@example.com", "a new long password") {
		t.Errorf("user = %+v", got)
	}
	w.want("second use", w.acc.AcceptInvite(ctx, token, "yet another password"), account.ErrLink)
}

func TestInvitationDies(t *testing.T) {
	for name, kill := range map[string]func(w *world, u pool.User){
		"by time":      func(w *world, _ pool.User) { w.clock.Forward(7 * 24 * time.Hour) },
		"by another":   func(w *world, u pool.User) { w.must(w.acc.InviteAgain(w.t.Context(), u.ID)) },
		"by deletion":  func(w *world, u pool.User) { w.must(w.pool.Delete(w.t.Context(), u.ID)) },
		"by disabling": func(w *world, u pool.User) { w.must(w.pool.Disable(w.t.Context(), u.ID)) },
		"by a password": func(w *world, u pool.User) {
			w.must(w.pool.SetPassword(w.t.Context(), u.ID, "set by hand", pool.Confirmed))
		},
		"by an address": func(w *world, u pool.User) {
			w.must(w.pool.Change(w.t.Context(), u.ID, pool.Changes{Email: new("x@example.com")}))
		},
		"by the switch": func(w *world, _ pool.User) { w.cfg.SignUp = account.Off; w.open() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u, token := w.invite()
			w.clock.Forward(time.Second)
			kill(w, u)
			_, err := w.acc.CheckInvite(t.Context(), token)
			w.want("CheckInvite", err, account.ErrLink)
			w.want("AcceptInvite", w.acc.AcceptInvite(t.Context(), token, "a new long password"), account.ErrLink)
		})
	}
}

func TestInvitationToAnAddressThatIsSomebodysByNow(t *testing.T) {
	w := newWorld(t)
	_, token := w.invite()
	w.add(pool.NewUser{Username: "other", Email: "dana@example.com", EmailVerified: true})
	w.want("AcceptInvite", w.acc.AcceptInvite(t.Context(), token, "a new long password"), account.ErrAddressTaken)
	w.cfg.SignUp = account.Off
	w.open()
	_, err := w.acc.Invite(t.Context(), pool.NewUser{Username: "x", Email: "x@example.com"})
	w.want("Invite when off", err, account.ErrClosed)
	w.cfg.SignUp = account.Open
	w.open()
	var field *account.FieldError
	if _, err := w.acc.Invite(t.Context(), pool.NewUser{Username: "x"}); !errors.As(err, &field) || field.Field != "email" {
		t.Errorf("Invite without an address: %v", err)
	}
	u := w.alice()
	w.want("InviteAgain of a member", w.acc.InviteAgain(t.Context(), u.ID), pool.ErrInvalid)
}

func TestRefusedInvitationMakesNobody(t *testing.T) {
	w := newWorld(t)
	w.alice()
	_, err := w.acc.Invite(t.Context(), pool.NewUser{Username: "ALICE", Email: "x@example.com"})
	w.want("a taken name", err, pool.ErrExists)
	_, err = w.acc.Invite(t.Context(), pool.NewUser{Username: "x", Email: "x@example.com", Groups: []string{"none"}})
	w.want("an unknown group", err, pool.ErrNotFound)
	w.none("refused invitations")
}
