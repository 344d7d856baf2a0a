package mfa_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/store/storetest"
)

func TestSentCodeSignsInOnce(t *testing.T) {
	w := newWorld(t, func(c *mfa.Config) { c.AccountTries, c.CodeTries = 100, 100 })
	w.enrolMail(w.alice)
	sent, err := w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.must(err)
	if sent.To != "a•••@example.com" || !sent.Again.Equal(w.clock.At.Add(time.Minute)) || !sent.Expires.Equal(w.clock.At.Add(10*time.Minute)) {
		t.Errorf("Sent = %+v", sent)
	}
	m := w.mail.last()
	if m.To != w.alice.Email || m.UserID != w.alice.ID || m.Purpose != mfa.SignIn || len(m.Code) != 6 {
		t.Errorf("message = %+v", m)
	}
	won := w.atOnce(func(int) error { return w.answer(w.alice, mfa.Email, m.Code) }, mfa.ErrWrong)
	if won != 1 {
		t.Errorf("one code was right %d times", won)
	}
}

func TestSMSHasItsOwnMessengerAndNumber(t *testing.T) {
	w := newWorld(t)
	sent, err := w.send(w.alice, mfa.SMS, mfa.SetUp, "flow")
	w.must(err)
	if len(w.mail.sent) != 0 || w.sms.last().To != w.alice.Phone || sent.To != "•••00" {
		t.Errorf("sent to %q, told %q", w.sms.last().To, sent.To)
	}
	proof, err := w.f.ConfirmSent(t.Context(), mfa.Reply{Who: w.alice, Kind: mfa.SMS, Challenge: "flow", Code: w.sms.last().Code})
	w.must(err)
	if proof.Kind != mfa.SMS || !w.of(w.alice).Has(mfa.SMS) {
		t.Error("SMS is not enrolled")
	}
}

func TestSentCodeIsBound(t *testing.T) {
	for what, change := range map[string]func(*mfa.Reply){
		"another person":     func(r *mfa.Reply) { r.Who.ID = "bob-id" },
		"another flow":       func(r *mfa.Reply) { r.Challenge = "other" },
		"no flow":            func(r *mfa.Reply) { r.Challenge = "" },
		"another kind":       func(r *mfa.Reply) { r.Kind = mfa.SMS },
		"an address changed": func(r *mfa.Reply) { r.Who.Email = "new@example.com" },
	} {
		w := newWorld(t)
		w.enrolMail(w.alice)
		w.enrolMail(w.bob)
		_, err := w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
		w.must(err)
		reply := mfa.Reply{Who: w.alice, Kind: mfa.Email, Challenge: "flow", Code: w.mail.last().Code}
		change(&reply)
		_, err = w.f.Check(t.Context(), reply)
		w.want(what, err, mfa.ErrWrong)
	}
	w := newWorld(t)
	w.enrolMail(w.alice)
	_, err := w.send(w.alice, mfa.Email, mfa.SetUp, "flow")
	w.must(err)
	w.want("a code for set-up signs in", w.answer(w.alice, mfa.Email, w.mail.last().Code), mfa.ErrWrong)
	w.clock.Forward(time.Minute)
	_, err = w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.must(err)
	_, err = w.f.ConfirmSent(t.Context(), mfa.Reply{Who: w.alice, Kind: mfa.Email, Challenge: "flow", Code: w.mail.last().Code})
	w.want("a code for sign-in sets up", err, mfa.ErrWrong)
}

func TestSentCodeEnds(t *testing.T) {
	w := newWorld(t)
	w.enrolMail(w.alice)
	_, err := w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.must(err)
	first := w.mail.last().Code
	w.clock.Forward(time.Minute)
	_, err = w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.must(err)
	if second := w.mail.last().Code; second != first {
		w.want("the code before", w.answer(w.alice, mfa.Email, first), mfa.ErrWrong)
	}
	w.clock.Forward(10 * time.Minute)
	w.want("a late code", w.answer(w.alice, mfa.Email, w.mail.last().Code), mfa.ErrWrong)
}

func TestCodeIsSentToEnrolledAndKnownAddressesOnly(t *testing.T) {
	w := newWorld(t)
	_, err := w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.want("a factor that is not enrolled", err, mfa.ErrNotOffered)
	nobody := w.alice
	nobody.Email = ""
	_, err = w.send(nobody, mfa.Email, mfa.SetUp, "flow")
	w.want("nobody's address", err, mfa.ErrNotOffered)
	_, err = w.send(w.alice, mfa.TOTP, mfa.SignIn, "flow")
	w.want("a kind that is not sent", err, mfa.ErrNotOffered)
	if len(w.mail.sent) > 0 {
		t.Errorf("sent %+v", w.mail.sent)
	}
}

// Sending once more must not give more tries, nor may it be done without end.
func TestResendingIsBounded(t *testing.T) {
	w := newWorld(t, func(c *mfa.Config) { c.AccountTries = 100 })
	w.enrolMail(w.alice)
	_, err := w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.must(err)
	for range 5 {
		w.want("a wrong code", w.answer(w.alice, mfa.Email, "no"), mfa.ErrWrong)
	}
	_, err = w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.waits("at once", err, time.Minute)
	w.clock.Forward(time.Minute)
	_, err = w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.must(err)
	w.want("the right code after five wrong ones", w.answer(w.alice, mfa.Email, w.mail.last().Code), mfa.ErrTooManyTries)
	for i := range 3 {
		w.clock.Forward(time.Minute)
		_, err = w.send(w.alice, mfa.Email, mfa.SignIn, fmt.Sprint("flow", i))
		w.must(err)
	}
	w.clock.Forward(time.Minute)
	_, err = w.send(w.alice, mfa.SMS, mfa.SetUp, "another")
	w.waits("the sixth in an hour, of another kind", err, 59*time.Minute)
}

func TestCodeThatWasNotTakenIsNotSent(t *testing.T) {
	w := newWorld(t)
	w.mail.broken = errors.New("no disk")
	_, err := w.send(w.alice, mfa.Email, mfa.SetUp, "flow")
	w.want("a broken messenger", err, w.mail.broken)
	w.mail.broken = nil
	_, err = w.send(w.alice, mfa.Email, mfa.SetUp, "flow")
	w.must(err) // nothing was sent, so nothing was counted
}

func TestCodesAreNotInTheDatabase(t *testing.T) {
	w := newWorld(t)
	w.enrolMail(w.alice)
	_, err := w.send(w.alice, mfa.Email, mfa.SignIn, "flow")
	w.must(err)
	codes, err := w.f.NewRecoveryCodes(t.Context(), w.alice.ID)
	w.must(err)
	plain, _ := mfa.ParseRecoveryCode(codes[0])
	for _, secret := range []string{w.mail.last().Code, codes[0], plain, w.alice.Email} {
		if storetest.Holds(t, w.db, secret) {
			t.Errorf("%q stands in the database", secret)
		}
	}
	for _, e := range w.events() {
		if e == "code.sent" {
			return
		}
	}
	t.Error("sending left no event")
}

// T236: the count is the account's, over all kinds and flows.
func TestAccountTakesTenWrongCodes(t *testing.T) {
	w := newWorld(t)
	key := w.enrol(w.alice)
	w.enrolMail(w.alice)
	codes, err := w.f.NewRecoveryCodes(t.Context(), w.alice.ID)
	w.must(err)
	kinds := []mfa.Kind{mfa.TOTP, mfa.Recovery, mfa.Email}
	for i := range 10 {
		w.want("a wrong code", w.answer(w.alice, kinds[i%3], w.wrong(key)), mfa.ErrWrong)
	}
	w.waits("the right code", w.answer(w.alice, mfa.TOTP, w.code(key, 0)), time.Hour)
	w.waits("a recovery code", w.answer(w.alice, mfa.Recovery, codes[0]), time.Hour)
	setup, err := w.f.BeginTOTP(w.alice)
	w.must(err)
	_, err = w.f.ConfirmTOTP(t.Context(), w.alice, setup.Artefact, "000000", "")
	w.waits("a set-up", err, time.Hour)
	w.enrol(w.bob)
	w.clock.Forward(time.Hour - time.Minute)
	w.must(w.answer(w.alice, mfa.TOTP, w.code(key, 0)))
	for range 9 {
		w.want("a wrong code", w.answer(w.alice, mfa.TOTP, w.wrong(key)), mfa.ErrWrong)
	}
	w.must(w.answer(w.alice, mfa.TOTP, w.code(key, 1)))
	w.want("after a right one", w.answer(w.alice, mfa.TOTP, w.wrong(key)), mfa.ErrWrong)
}

func TestFiftyWrongCodesAtOnceAreTenLooks(t *testing.T) {
	w := newWorld(t)
	key := w.enrol(w.alice)
	var looks atomic.Int32
	won := w.atOnce(func(int) error {
		err := w.answer(w.alice, mfa.TOTP, w.wrong(key))
		var wait *mfa.WaitError
		if errors.As(err, &wait) {
			return errWaited
		}
		looks.Add(1)
		return err
	}, mfa.ErrWrong, errWaited)
	if won != 0 || looks.Load() != 10 {
		t.Errorf("%d of %d wrong codes were looked at and %d right, want 10 and 0", looks.Load(), storetest.Callers, won)
	}
	w.waits("the next", w.answer(w.alice, mfa.TOTP, w.code(key, 0)), time.Hour)
}

var errWaited = errors.New("account waits")

func TestDigitsHaveOneSpelling(t *testing.T) {
	for typed, want := range map[string]string{"123456": "123456", " 123 456 ": "123456", "123\t456\r\n": "123456"} {
		if got, ok := mfa.Digits(typed); got != want || !ok {
			t.Errorf("Digits(%q) = %q, %v", typed, got, ok)
		}
	}
}

func FuzzDigits(f *testing.F) {
	for _, s := range []string{"123456", "123 456", "１２３４５６", "12345６", "\u200b123456", "", "1234567", "12345\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, ok := mfa.Digits(typed)
		if !ok {
			if got != "" {
				t.Fatalf("Digits(%q) = %q and false", typed, got)
			}
			return
		}
		if len(got) != 6 || strings.Trim(got, "0123456789") != "" {
			t.Fatalf("Digits(%q) = %q", typed, got)
		}
		if rest := strings.Trim(typed, " \t\r\n0123456789"); rest != "" {
			t.Fatalf("Digits(%q) overlooked %q", typed, rest)
		}
		if again, ok := mfa.Digits(got); again != got || !ok {
			t.Fatalf("Digits(%q) = %q, %v", got, again, ok)
		}
	})
}

func FuzzParseRecoveryCode(f *testing.F) {
	for _, s := range []string{"abcde-fghjk", "ABCDE FGHJK", "0o1il-00000", "uuuuu-uuuuu", "абвгд-еёжзи", "", "-", "abcde-fghjkm"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		got, ok := mfa.ParseRecoveryCode(typed)
		if !ok {
			return
		}
		if len(got) != 10 || strings.ContainsAny(got, "ilou") || strings.ToLower(got) != got {
			t.Fatalf("ParseRecoveryCode(%q) = %q", typed, got)
		}
		if again, ok := mfa.ParseRecoveryCode(got); again != got || !ok {
			t.Fatalf("ParseRecoveryCode(%q) = %q, %v", got, again, ok)
		}
	})
}
