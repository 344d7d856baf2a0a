package mfa_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/store/storetest"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
)

func TestRecoveryCodesWorkOnceEach(t *testing.T) {
	w := newWorld(t, func(c *mfa.Config) { c.AccountTries = 100 })
	_, err := w.f.NewRecoveryCodes(t.Context(), w.alice.ID)
	w.want("codes without a factor", err, mfa.ErrNotOffered)
	w.enrol(w.alice)
	codes, err := w.f.NewRecoveryCodes(t.Context(), w.alice.ID)
	w.must(err)
	seen := map[string]bool{}
	for _, c := range codes {
		if !regexp.MustCompile(`^[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}$`).MatchString(c) || seen[c] {
			t.Errorf("code %q", c)
		}
		seen[c] = true
	}
	if len(codes) != 10 || w.of(w.alice).RecoveryLeft != 10 {
		t.Fatalf("%d codes, %d left", len(codes), w.of(w.alice).RecoveryLeft)
	}
	won := w.atOnce(func(int) error { return w.answer(w.alice, mfa.Recovery, codes[0]) }, mfa.ErrWrong)
	if won != 1 {
		t.Errorf("one recovery code was right %d times", won)
	}
	plain, _ := mfa.ParseRecoveryCode(codes[1])
	proof, err := w.f.Check(t.Context(), mfa.Reply{Who: w.alice, Kind: mfa.Recovery, Code: " " + plain[:3] + " " + plain[3:] + "\n"})
	w.must(err)
	if proof.Left != 8 || w.of(w.alice).RecoveryLeft != 8 {
		t.Errorf("left = %d, %d, want 8", proof.Left, w.of(w.alice).RecoveryLeft)
	}
	if e := w.lastEvent(); e.Type != "recovery_code.used" || e.Detail["left"] != "8" {
		t.Errorf("event = %+v", e)
	}
	w.want("another spelling of a used code", w.answer(w.alice, mfa.Recovery, plain), mfa.ErrWrong)
	w.enrol(w.bob)
	w.want("bob with alice's", w.answer(w.bob, mfa.Recovery, codes[2]), mfa.ErrWrong)
	fresh, err := w.f.NewRecoveryCodes(t.Context(), w.alice.ID)
	w.must(err)
	w.want("a replaced code", w.answer(w.alice, mfa.Recovery, codes[3]), mfa.ErrWrong)
	w.must(w.answer(w.alice, mfa.Recovery, fresh[3]))
}

// ends demands that the newest event is of that type and ended what alice had.
func (w *world) ends(event string, do func()) {
	w.Helper()
	hers, his := fmt.Sprint("a", len(w.events())), fmt.Sprint("b", len(w.events()))
	w.must(w.db.Sessions().Insert(w.Context(), storetest.Session(hers, w.alice.ID)))
	w.must(w.db.Sessions().Insert(w.Context(), storetest.Session(his, w.bob.ID)))
	before := w.clock.Now().Add(-2 * time.Second)
	do()
	e := w.lastEvent()
	if e.Type != event || e.Target != w.alice.ID || len(e.Revoke) != 1 || e.Revoke[0].Kind != audit.KindSubject || e.Revoke[0].Value != w.alice.ID {
		w.Errorf("event = %+v, want %s that revokes alice's tokens", e, event)
	}
	if gone, err := w.db.Revoked(w.Context(), token.Handles{Subject: w.alice.ID, IssuedAt: before}); !gone || err != nil {
		w.Errorf("%s: a token of before lives: %v", event, err)
	}
	for id, want := range map[string]bool{hers: false, his: true} {
		row := storetest.Session(id, "")
		if _, err := w.db.Sessions().FindByTicket(w.Context(), row.TicketHash); (err == nil) != want {
			w.Errorf("%s: session %s lives: %v", event, id, err)
		}
	}
}

func TestChangesEndWhatWasIssuedBefore(t *testing.T) {
	w := newWorld(t)
	w.ends("factor.added", func() { w.enrol(w.alice) })
	w.ends("factor.added", func() { w.enrolMail(w.alice) })
	w.ends("factor.removed", func() { w.must(w.f.Remove(t.Context(), w.alice, mfa.Email, "")) })
	w.ends("factors.reset", func() { w.must(w.f.Reset(t.Context(), w.alice.ID)) })
}

// The sign-in that has set up a factor gets its tokens in the same second.
func TestTokensOfTheSignInThatEnrolledLive(t *testing.T) {
	w := newWorld(t)
	setup, err := w.f.BeginTOTP(w.alice)
	w.must(err)
	_, err = w.f.ConfirmTOTP(t.Context(), w.alice, setup.Artefact, w.code(w.secretOf(setup), 0), "")
	w.must(err)
	if gone, err := w.db.Revoked(t.Context(), token.Handles{Subject: w.alice.ID, IssuedAt: w.clock.Now().Truncate(time.Second)}); gone || err != nil {
		t.Errorf("a token issued right after is revoked: %v, %v", gone, err)
	}
}

func TestLastFactorStaysWhereOneIsNeeded(t *testing.T) {
	for _, c := range []struct {
		mode   string
		groups []string
		want   error
	}{
		{mfa.Optional, nil, nil},
		{mfa.Optional, []string{"staff"}, nil},
		{mfa.Optional, []string{"staff", "admins"}, mfa.ErrLastFactor},
		{mfa.Required, nil, mfa.ErrLastFactor},
	} {
		w := newWorld(t, func(cfg *mfa.Config) { cfg.Mode = c.mode })
		w.alice.Groups = c.groups
		w.enrol(w.alice)
		w.enrolMail(w.alice)
		_, err := w.f.NewRecoveryCodes(t.Context(), w.alice.ID)
		w.must(err)
		w.must(w.f.Remove(t.Context(), w.alice, mfa.TOTP, ""))
		w.want("TOTP that is gone", w.f.Remove(t.Context(), w.alice, mfa.TOTP, ""), mfa.ErrNotFound)
		w.want(fmt.Sprint("the last factor of ", c), w.f.Remove(t.Context(), w.alice, mfa.Email, ""), c.want)
		set := w.of(w.alice)
		if c.want == nil && (len(set.Factors) > 0 || set.RecoveryLeft > 0) || c.want != nil && set.RecoveryLeft != 10 {
			t.Errorf("%v: left %+v", c, set)
		}
	}
}

// Two who remove the last two factors at once must not both find the other one.
func TestTwoRemovalsAtOnceLeaveOneFactor(t *testing.T) {
	w := newWorld(t, func(c *mfa.Config) { c.Mode = mfa.Required })
	w.enrol(w.alice)
	w.enrolMail(w.alice)
	won := w.atOnce(func(i int) error {
		return w.f.Remove(t.Context(), w.alice, []mfa.Kind{mfa.TOTP, mfa.Email}[i%2], "")
	}, mfa.ErrLastFactor, mfa.ErrNotFound)
	if won != 1 || !w.of(w.alice).Enrolled() {
		t.Errorf("%d of two factors were removed", won)
	}
}

func TestResetTakesEverything(t *testing.T) {
	w := newWorld(t)
	key := w.enrol(w.alice)
	w.enrolMail(w.alice)
	w.enrol(w.bob)
	codes, err := w.f.NewRecoveryCodes(t.Context(), w.alice.ID)
	w.must(err)
	_, err = w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.must(err)
	w.must(w.f.Prefer(t.Context(), w.alice.ID, mfa.Email))
	w.must(w.f.Reset(t.Context(), w.alice.ID))
	if set := w.of(w.alice); len(set.Factors) > 0 || set.RecoveryLeft > 0 || set.Preferred != "" {
		t.Errorf("after Reset: %+v", set)
	}
	for what, err := range map[string]error{
		"totp": w.answer(w.alice, mfa.TOTP, w.code(key, 0)), "recovery": w.answer(w.alice, mfa.Recovery, codes[0]),
		"email": w.answer(w.alice, mfa.Email, w.mail.last().Code),
	} {
		w.want(what, err, mfa.ErrWrong)
	}
	if !w.of(w.bob).Enrolled() {
		t.Error("bob lost his factor too")
	}
	w.must(w.f.Reset(t.Context(), w.alice.ID)) // nothing left, and no error
}

func TestNeed(t *testing.T) {
	with, without := mfa.Set{Factors: []mfa.Factor{{Kind: mfa.TOTP}}}, mfa.Set{}
	codesOnly := mfa.Set{Factors: []mfa.Factor{{Kind: mfa.Recovery}}, RecoveryLeft: 3}
	admins, staff := []string{"x", "admins"}, []string{"staff"}
	for _, c := range []struct {
		mode   string
		set    mfa.Set
		groups []string
		want   mfa.Need
	}{
		{mfa.Off, with, admins, mfa.Nothing},
		{mfa.Off, without, admins, mfa.Nothing},
		{mfa.Optional, without, staff, mfa.Nothing},
		{mfa.Optional, without, nil, mfa.Nothing},
		{mfa.Optional, with, staff, mfa.Answer},
		{mfa.Optional, without, admins, mfa.Enrol},
		{mfa.Optional, codesOnly, admins, mfa.Enrol},
		{mfa.Optional, with, admins, mfa.Answer},
		{mfa.Required, without, nil, mfa.Enrol},
		{mfa.Required, with, nil, mfa.Answer},
	} {
		w := newWorld(t, func(cfg *mfa.Config) { cfg.Mode = c.mode })
		if got := w.f.Need(c.set, c.groups); got != c.want {
			t.Errorf("Need(%s, %v, %v) = %v, want %v", c.mode, c.set, c.groups, got, c.want)
		}
	}
}

func TestOfferIsWhatThePersonCanAnswer(t *testing.T) {
	w := newWorld(t)
	w.enrol(w.alice)
	w.enrolMail(w.alice)
	_, err := w.f.NewRecoveryCodes(t.Context(), w.alice.ID)
	w.must(err)
	offer := func(who mfa.Person, want ...mfa.Kind) {
		t.Helper()
		if got := w.f.Offer(w.of(who), who); !slices.Equal(got, want) {
			t.Errorf("Offer = %v, want %v", got, want)
		}
	}
	offer(w.alice, mfa.TOTP, mfa.Email, mfa.Recovery)
	w.want("Prefer what is not enrolled", w.f.Prefer(t.Context(), w.alice.ID, mfa.SMS), mfa.ErrNotFound)
	w.want("Prefer recovery", w.f.Prefer(t.Context(), w.alice.ID, mfa.Recovery), mfa.ErrNotFound)
	w.must(w.f.Prefer(t.Context(), w.alice.ID, mfa.Email))
	offer(w.alice, mfa.Email, mfa.TOTP, mfa.Recovery)
	moved := w.alice
	moved.Email = ""
	offer(moved, mfa.TOTP, mfa.Recovery)
	offer(w.bob)
	if got := w.f.Enrollable(w.of(w.alice), w.alice); !slices.Equal(got, []mfa.Kind{mfa.Passkey, mfa.TOTP, mfa.SMS}) {
		t.Errorf("Enrollable = %v", got)
	}
	w.cfg.Factors = []mfa.Kind{mfa.TOTP}
	w.f = w.factors(w.sealer)
	offer(w.alice, mfa.TOTP)
	w.want("a kind that is not configured any more", w.answer(w.alice, mfa.Recovery, "x"), mfa.ErrNotOffered)
	w.cfg.Mode = mfa.Off
	w.f = w.factors(w.sealer)
	offer(w.alice)
	_, err = w.f.BeginTOTP(w.alice)
	w.want("set-up while off", err, mfa.ErrNotOffered)
}

func TestAMRTellsWhatWasDone(t *testing.T) {
	for _, c := range []struct {
		first []string
		proof mfa.Proof
		want  []string
	}{
		{[]string{"pwd"}, mfa.Proof{Kind: mfa.TOTP}, []string{"pwd", "otp", "mfa"}},
		{[]string{"pwd"}, mfa.Proof{Kind: mfa.Email}, []string{"pwd", "otp", "mfa"}},
		{[]string{"pwd"}, mfa.Proof{Kind: mfa.Recovery}, []string{"pwd", "otp", "mfa"}},
		{[]string{"pwd"}, mfa.Proof{Kind: mfa.SMS}, []string{"pwd", "sms", "mfa"}},
		{[]string{"pwd"}, mfa.Proof{Kind: mfa.Passkey}, []string{"pwd", "pop", "mfa"}},
		{nil, mfa.Proof{Kind: mfa.Passkey, Verified: true}, []string{"pop", "user", "mfa"}},
		{nil, mfa.Proof{Kind: mfa.Passkey}, []string{"pop"}},
		{nil, mfa.Proof{Kind: mfa.TOTP}, []string{"otp"}},
	} {
		got := mfa.AMR(c.first, c.proof)
		if !slices.Equal(got, c.want) || mfa.Satisfies(got) != slices.Contains(c.want, "mfa") {
			t.Errorf("AMR(%v, %+v) = %v, want %v", c.first, c.proof, got, c.want)
		}
	}
	if mfa.Satisfies([]string{"pwd"}) || mfa.Satisfies(nil) {
		t.Error("a password alone satisfies")
	}
}

func TestFactorsSurviveTheEndOfTheirSealingKey(t *testing.T) {
	for _, reseal := range []bool{true, false} {
		w := newWorld(t)
		path := filepath.Join(t.TempDir(), "secrets", "sealing.key")
		sealer := func() *keyring.Sealer {
			s, err := keyring.OpenSealing(path, true, "")
			w.must(err)
			return s
		}
		w.f = w.factors(sealer())
		key := w.enrol(w.alice)
		w.enrolMail(w.alice)
		codes, err := w.f.NewRecoveryCodes(t.Context(), w.alice.ID)
		w.must(err)
		ring, err := keyring.OpenRing(path, keyring.Sealing, false)
		w.must(err)
		for range 3 {
			w.must(ring.Rotate())
			w.f = w.factors(sealer())
			if reseal {
				w.must(w.f.Reseal(t.Context()))
			}
		}
		for what, err := range map[string]error{
			"totp": w.answer(w.alice, mfa.TOTP, w.code(key, 0)), "recovery": w.answer(w.alice, mfa.Recovery, codes[0]),
		} {
			if (err == nil) != reseal {
				t.Errorf("resealed %v, %s: %v", reseal, what, err)
			}
		}
	}
}
