package mfa_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/store/storetest"
)

// RFC 6238 appendix B, the last six of its eight digits.
func TestTOTPAgreesWithTheRFC(t *testing.T) {
	key := []byte("12345678901234567890")
	for at, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := mfa.TOTPCode(key, at/30); got != want {
			t.Errorf("code at %d = %s, want %s", at, got, want)
		}
	}
}

func TestCodeWorksOnce(t *testing.T) {
	w := newWorld(t)
	key := w.enrol(w.alice)
	code := w.code(key, 0)
	w.must(w.answer(w.alice, mfa.TOTP, code))
	w.want("the same code again", w.answer(w.alice, mfa.TOTP, code), mfa.ErrWrong)
	w.want("the code before", w.answer(w.alice, mfa.TOTP, w.code(key, -1)), mfa.ErrWrong)
	w.must(w.answer(w.alice, mfa.TOTP, w.code(key, 1)))
	w.clock.Forward(30 * time.Second)
	w.want("the code of the clock's step, used early", w.answer(w.alice, mfa.TOTP, w.code(key, 0)), mfa.ErrWrong)
}

func TestCodeOfASetUpDoesNotSignIn(t *testing.T) {
	w := newWorld(t)
	key := w.enrol(w.alice)
	w.clock.Forward(-time.Minute)
	w.want("the code that confirmed", w.answer(w.alice, mfa.TOTP, w.code(key, 0)), mfa.ErrWrong)
}

func TestWindowIsOneStepEitherSide(t *testing.T) {
	for steps, ok := range map[int64]bool{-2: false, -1: true, 0: true, 1: true, 2: false} {
		w := newWorld(t)
		key := w.enrol(w.alice)
		w.clock.Forward(time.Hour)
		if err := w.answer(w.alice, mfa.TOTP, w.code(key, steps)); (err == nil) != ok {
			t.Errorf("code of step %d: %v, want accepted %v", steps, err, ok)
		}
	}
}

// T235: fifty submits of one code at once, on two replicas, in every spelling.
func TestFiftySubmitsOfOneCodeAreOneSuccess(t *testing.T) {
	w := newWorld(t, func(c *mfa.Config) { c.AccountTries = 100 })
	key := w.enrol(w.alice)
	code := w.code(key, 0)
	replicas := []*mfa.Factors{w.f, w.factors(w.sealer)}
	won := w.atOnce(func(i int) error {
		spelled := []string{code, code[:3] + " " + code[3:], " " + code + "\r\n"}[i%3]
		_, err := replicas[i%2].Check(t.Context(), mfa.Reply{Who: w.alice, Kind: mfa.TOTP, Code: spelled})
		return err
	}, mfa.ErrWrong)
	if won != 1 {
		t.Errorf("one code was right %d times", won)
	}
}

func TestOtherSpellingsOfACodeAreRefused(t *testing.T) {
	w := newWorld(t, func(c *mfa.Config) { c.AccountTries = 100 })
	key := w.enrol(w.alice)
	code := w.code(key, 0)
	full := strings.Map(func(r rune) rune { return r - '0' + '０' }, code)
	for what, typed := range map[string]string{
		"full width": full, "zero width": code[:3] + "\u200b" + code[3:], "no-break space": code[:3] + "\u00a0" + code[3:],
		"seven digits": code + "0", "five": code[:5], "empty": "", "hyphen": code[:3] + "-" + code[3:], "NUL": code + "\x00",
		"plus": "+" + code[1:], "long": strings.Repeat(" ", 100) + code, "word": "abcdef",
	} {
		w.want(what, w.answer(w.alice, mfa.TOTP, typed), mfa.ErrWrong)
	}
	w.must(w.answer(w.alice, mfa.TOTP, code))
}

func TestSecretIsSealedAndBoundToItsRow(t *testing.T) {
	w := newWorld(t)
	key := w.enrol(w.alice)
	if storetest.Holds(t, w.db, string(key)) {
		t.Error("the secret stands in the database in clear")
	}
	rows, err := w.db.MFASecrets().List(t.Context(), w.alice.ID)
	w.must(err)
	stolen := rows[0]
	stolen.UserID = w.bob.ID
	w.must(w.db.MFASecrets().Put(t.Context(), stolen))
	if err := w.answer(w.bob, mfa.TOTP, w.code(key, 0)); err == nil || errors.Is(err, mfa.ErrWrong) {
		t.Errorf("alice's secret in bob's row: %v, want an error of the store", err)
	}
}

func TestSetUpIsBoundToPersonTimeAndOneUse(t *testing.T) {
	w := newWorld(t, func(c *mfa.Config) { c.AccountTries = 100 })
	setup, err := w.f.BeginTOTP(w.alice)
	w.must(err)
	shown, err := w.f.ShowTOTP(w.alice, setup.Artefact)
	w.must(err)
	if shown.Secret != setup.Secret || shown.QR != setup.QR {
		t.Error("ShowTOTP shows another secret")
	}
	key := w.secretOf(setup)
	confirm := func(who mfa.Person, code string) error {
		_, err := w.f.ConfirmTOTP(t.Context(), who, setup.Artefact, code, "")
		return err
	}
	w.want("bob confirms alice's", confirm(w.bob, w.code(key, 0)), mfa.ErrStale)
	w.want("a wrong code", confirm(w.alice, w.wrong(key)), mfa.ErrWrong)
	if w.of(w.alice).Enrolled() {
		t.Fatal("a wrong code has enrolled a factor")
	}
	won := w.atOnce(func(int) error { return confirm(w.alice, w.code(key, 0)) }, mfa.ErrStale)
	if won != 1 || !w.of(w.alice).Has(mfa.TOTP) {
		t.Errorf("set-up was confirmed %d times", won)
	}
	w.must(w.f.Remove(t.Context(), w.alice, mfa.TOTP, ""))
	w.clock.Forward(time.Minute)
	w.want("a used set-up", confirm(w.alice, w.code(key, 0)), mfa.ErrStale)

	setup, err = w.f.BeginTOTP(w.alice)
	w.must(err)
	w.clock.Forward(10 * time.Minute)
	w.want("a late set-up", confirm(w.alice, w.code(w.secretOf(setup), 0)), mfa.ErrStale)
	setup.Artefact = []byte("nonsense")
	w.want("no set-up", confirm(w.alice, "123456"), mfa.ErrStale)
}

func TestURIIsWhatAppsRead(t *testing.T) {
	w := newWorld(t)
	who := w.alice
	who.Name = "a b:c@x/ü"
	setup, err := w.f.BeginTOTP(who)
	w.must(err)
	u, err := url.Parse(setup.URI)
	w.must(err)
	q := u.Query()
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/login.test:8443:a b:c@x/ü" || q.Get("secret") != setup.Secret ||
		q.Get("issuer") != "login.test:8443" || q.Get("digits") != "6" || q.Get("period") != "30" {
		t.Errorf("URI = %s", setup.URI)
	}
	if len(setup.Secret) < 32 || strings.Contains(setup.URI, "+") {
		t.Errorf("secret %q in %s, want 160 bits and no plus signs", setup.Secret, setup.URI)
	}
}

// The image must be whole under a policy that drops style attributes, and have
// the border that readers need.
func TestQRCodeIsPlainSVG(t *testing.T) {
	w := newWorld(t)
	setup, err := w.f.BeginTOTP(w.alice)
	w.must(err)
	for _, bad := range []string{"style", "<script", "href", "class"} {
		if strings.Contains(setup.QR, bad) {
			t.Errorf("the image has %q", bad)
		}
	}
	d := xml.NewDecoder(strings.NewReader(setup.QR))
	var path string
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		w.must(err)
		if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "path" {
			path = e.Attr[0].Value
		}
	}
	modules := map[[2]int]bool{}
	for _, m := range strings.Split(strings.TrimSuffix(path, "z"), "z") {
		var x, y int
		if _, err := fmt.Sscanf(m, "M%d %dh1v1h-1", &x, &y); err != nil {
			t.Fatalf("path has %q: %v", m, err)
		}
		modules[[2]int{x, y}] = true
	}
	// A finder pattern stands behind a border of four light modules.
	for at, dark := range map[[2]int]bool{
		{3, 4}: false, {4, 3}: false, {4, 4}: true, {10, 4}: true, {11, 4}: false, {5, 5}: false, {6, 6}: true, {8, 8}: true, {4, 11}: false,
	} {
		if modules[at] != dark {
			t.Errorf("module %v is dark: %v, want %v", at, modules[at], dark)
		}
	}
}
