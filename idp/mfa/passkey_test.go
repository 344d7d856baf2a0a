package mfa_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/mfa"
)

// register makes a passkey of who.
func (w *world) register(who mfa.Person, a *authenticator) *credential {
	w.Helper()
	w.must(w.tryRegister(who, a))
	return a.keys[len(a.keys)-1]
}

func (w *world) tryRegister(who mfa.Person, a *authenticator) error {
	w.Helper()
	c, err := w.f.BeginPasskey(w.Context(), who)
	if err != nil {
		return err
	}
	_, err = w.f.FinishPasskey(w.Context(), who, mfa.NewPasskey{State: c.State, Response: a.make(c.Options), Name: "laptop"})
	return err
}

func (w *world) ask(who mfa.Person) mfa.Ceremony {
	w.Helper()
	c, err := w.f.AskPasskey(w.Context(), who)
	w.must(err)
	return c
}

func (w *world) askAnybody() mfa.Ceremony {
	w.Helper()
	c, err := w.f.AskAnybody()
	w.must(err)
	return c
}

func TestPasskeyIsASecondFactor(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	key := w.register(w.alice, a)
	set := w.of(w.alice)
	if len(set.Factors) != 1 || set.Factors[0].Name != "laptop" || set.Factors[0].ID != b64(key.id) || !set.Enrolled() {
		t.Errorf("set = %+v", set)
	}
	w.clock.Forward(time.Hour)
	c := w.ask(w.alice)
	o := a.read(c.Options)
	if len(o.PublicKey.Allow) != 1 || o.PublicKey.Allow[0].ID != b64(key.id) || o.PublicKey.UserVerification != "preferred" {
		t.Errorf("options = %s", c.Options)
	}
	a.flags = flagUP
	proof, err := w.f.AnswerPasskey(t.Context(), w.alice, c.State, a.sign(c.Options, key))
	w.must(err)
	if proof != (mfa.Proof{UserID: w.alice.ID, Kind: mfa.Passkey}) {
		t.Errorf("proof = %+v", proof)
	}
	if used := w.of(w.alice).Factors[0].Used; !used.Equal(w.clock.Now()) {
		t.Errorf("last used %s, want now", used)
	}
	_, err = w.f.AskPasskey(t.Context(), w.bob)
	w.want("asking bob, who has none", err, mfa.ErrNotOffered)
}

func TestPasskeyAloneSignsInWithEveryAlgorithm(t *testing.T) {
	w := newWorld(t)
	for _, alg := range []int{es256, eddsa, rs256} {
		a := newAuthenticator(t)
		a.alg = alg
		key := w.register(w.bob, a)
		c := w.askAnybody()
		proof, err := w.f.AnswerAnybody(t.Context(), c.State, a.sign(c.Options, key))
		w.must(err)
		if proof != (mfa.Proof{UserID: w.bob.ID, Kind: mfa.Passkey, Verified: true}) {
			t.Errorf("algorithm %d: proof = %+v", alg, proof)
		}
		if !mfa.Satisfies(mfa.AMR(nil, proof)) {
			t.Error("a passkey that verified the person is not multi-factor")
		}
	}
}

func TestRegistrationAsksForWhatIsTaken(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	key := w.register(w.alice, a)
	c, err := w.f.BeginPasskey(t.Context(), w.alice)
	w.must(err)
	o := a.read(c.Options).PublicKey
	var algs []int
	for _, p := range o.Params {
		algs = append(algs, p.Alg)
	}
	if !slices.Equal(algs, []int{es256, eddsa, rs256}) || o.RP.ID != "login.test" || o.Attestation != "none" ||
		o.Selection["residentKey"] != "preferred" || len(o.Exclude) != 1 || o.Exclude[0].ID != b64(key.id) {
		t.Errorf("options = %s", c.Options)
	}
	// The handle is nobody's id, and always the same.
	if o.User.ID != b64(key.handle) || len(key.handle) != 32 || bytes.Contains(c.Options, []byte(w.alice.ID)) {
		t.Errorf("user handle = %q", o.User.ID)
	}
}

// T231: what a stranger is asked tells nothing of anybody.
func TestSignInByPasskeyAsksEverybodyTheSame(t *testing.T) {
	w := newWorld(t)
	before := w.askAnybody()
	w.register(w.alice, newAuthenticator(t))
	after := w.askAnybody()
	o, p := newAuthenticator(t).read(before.Options), newAuthenticator(t).read(after.Options)
	if o.PublicKey.Challenge == p.PublicKey.Challenge || len(o.PublicKey.Challenge) < 43 {
		t.Errorf("challenges %q and %q", o.PublicKey.Challenge, p.PublicKey.Challenge)
	}
	if o.PublicKey.UserVerification != "required" || len(p.PublicKey.Allow) > 0 || len(before.Options) != len(after.Options) {
		t.Errorf("options %s and %s", before.Options, after.Options)
	}
}

// T240, at registration.
func TestForgedRegistrationsAreRefused(t *testing.T) {
	for what, turn := range map[string]func(*authenticator){
		"another origin":            func(a *authenticator) { a.origin = "https://evil.test" },
		"an origin with our suffix": func(a *authenticator) { a.origin = "https://evillogin.test:8443" },
		"a longer origin":           func(a *authenticator) { a.origin = "https://login.test:8443.evil.test" },
		"a host below":              func(a *authenticator) { a.origin = "https://app.login.test:8443" },
		"another port":              func(a *authenticator) { a.origin = "https://login.test" },
		"plain http":                func(a *authenticator) { a.origin = "http://login.test:8443" },
		"an origin with a user":     func(a *authenticator) { a.origin = "https://x@login.test:8443" },
		"an origin with a path":     func(a *authenticator) { a.origin = "https://login.test:8443/x" },
		"upper case":                func(a *authenticator) { a.origin = "https://LOGIN.test:8443" },
		"no origin":                 func(a *authenticator) { a.origin = "" },
		"an app's origin":           func(a *authenticator) { a.origin = "android:apk-key-hash:x" },
		"a frame elsewhere":         func(a *authenticator) { a.crossOrigin = true },
		"another rpId":              func(a *authenticator) { a.rpID = "evil.test" },
		"a parent as rpId":          func(a *authenticator) { a.rpID = "test" },
		"another challenge":         func(a *authenticator) { a.challenge = b64(make([]byte, 32)) },
		"an assertion's type":       func(a *authenticator) { a.clientType = "webauthn.get" },
		"nobody there":              func(a *authenticator) { a.flags = 0 },
		"an unlisted algorithm":     func(a *authenticator) { a.alg = es384 },
		"backed up, not eligible":   func(a *authenticator) { a.flags = flagUP | 1<<4 },
		"unknown attestation":       func(a *authenticator) { a.format = "nonsense" },
		"none with a statement":     func(a *authenticator) { a.statement = map[string]any{"sig": []byte{1}} },
		"packed without signature":  func(a *authenticator) { a.format = "packed" },
		"packed with garbage": func(a *authenticator) {
			a.format, a.statement = "packed", map[string]any{"alg": es256, "sig": []byte("x"), "x5c": [][]byte{{1, 2, 3}}}
		},
	} {
		w := newWorld(t)
		a := newAuthenticator(t)
		turn(a)
		w.want(what, w.tryRegister(w.alice, a), mfa.ErrWrong)
		if w.of(w.alice).Enrolled() {
			t.Errorf("%s: a passkey was stored", what)
		}
	}
}

func TestGarbageIsRefused(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	key := w.register(w.alice, a)
	c, err := w.f.BeginPasskey(t.Context(), w.alice)
	w.must(err)
	answer := a.make(c.Options)
	sign := w.ask(w.alice)
	signed := a.sign(sign.Options, key)
	// 1 MiB of CBOR: an array that says it has 2^32 arrays.
	huge := append([]byte{0x9a, 0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{0x81}, 1<<20)...)
	deep := bytes.Repeat([]byte{0x81}, 40<<10)
	for what, text := range map[string][]byte{
		"nothing": nil, "null": []byte("null"), "no JSON": []byte("{"), "an array": []byte("[]"),
		"two values": append(slices.Clone(answer), "{}"...), "too long": append(slices.Clone(answer), bytes.Repeat([]byte(" "), 64<<10)...),
		"1 MB of CBOR":     a.response(key.id, map[string]any{"clientDataJSON": b64([]byte("{}")), "attestationObject": b64(huge)}),
		"deep CBOR":        a.response(key.id, map[string]any{"clientDataJSON": b64([]byte("{}")), "attestationObject": b64(deep)}),
		"no attestation":   a.response(key.id, map[string]any{"clientDataJSON": b64([]byte("{}"))}),
		"padded base64":    bytes.ReplaceAll(answer, []byte(`"rawId":"`), []byte(`"rawId":"==`)),
		"truncated answer": answer[:len(answer)/2],
	} {
		_, err := w.f.FinishPasskey(t.Context(), w.alice, mfa.NewPasskey{State: c.State, Response: text})
		w.want("registration: "+what, err, mfa.ErrWrong)
		_, err = w.f.AnswerPasskey(t.Context(), w.alice, sign.State, text)
		w.want("assertion: "+what, err, mfa.ErrWrong)
	}
	_, err = w.f.AnswerPasskey(t.Context(), w.alice, sign.State, signed)
	w.must(err) // the good one still works
	for _, state := range []string{"", "null", "{}", `{"kind":"register"}`} {
		_, err := w.f.FinishPasskey(t.Context(), w.alice, mfa.NewPasskey{State: []byte(state), Response: answer})
		w.want("state "+state, err, mfa.ErrStale)
	}
}

// T240, at sign-in: by both ways.
func TestForgedAnswersAreRefused(t *testing.T) {
	type turn func(a *authenticator, key *credential)
	for what, turn := range map[string]turn{
		"another origin":            func(a *authenticator, _ *credential) { a.origin = "https://evil.test" },
		"an origin with our suffix": func(a *authenticator, _ *credential) { a.origin = "https://evillogin.test:8443" },
		"a host below":              func(a *authenticator, _ *credential) { a.origin = "https://app.login.test:8443" },
		"an origin with a path":     func(a *authenticator, _ *credential) { a.origin = "https://login.test:8443/x" },
		"a frame elsewhere":         func(a *authenticator, _ *credential) { a.crossOrigin = true },
		"another rpId":              func(a *authenticator, _ *credential) { a.rpID = "evil.test" },
		"another challenge":         func(a *authenticator, _ *credential) { a.challenge = b64(make([]byte, 32)) },
		"a registration's type":     func(a *authenticator, _ *credential) { a.clientType = "webauthn.create" },
		"nobody there":              func(a *authenticator, _ *credential) { a.flags = flagUV },
		"eligible for backup now":   func(a *authenticator, _ *credential) { a.flags |= flagBE },
		"another key":               func(_ *authenticator, key *credential) { key.make(t) },
		"bob's handle":              func(a *authenticator, key *credential) { key.handle = a.keys[1].handle },
		"nobody's handle":           func(_ *authenticator, key *credential) { key.handle = []byte("x") },
		"bob's credential":          func(a *authenticator, key *credential) { *key = *a.keys[1]; key.handle = a.keys[0].handle },
		"an unknown credential":     func(_ *authenticator, key *credential) { key.id = []byte("0123456789abcdef") },
	} {
		w := newWorld(t)
		a := newAuthenticator(t)
		w.register(w.alice, a)
		w.register(w.bob, a)
		key := *a.keys[0]
		// alice's own handle must stay as it is for the last cases.
		kept := *a.keys[0]
		a.keys[0] = &kept
		turn(a, &key)
		c := w.ask(w.alice)
		_, err := w.f.AnswerPasskey(t.Context(), w.alice, c.State, a.sign(c.Options, &key))
		w.want("second factor: "+what, err, mfa.ErrWrong)
		c = w.askAnybody()
		_, err = w.f.AnswerAnybody(t.Context(), c.State, a.sign(c.Options, &key))
		w.want("alone: "+what, err, mfa.ErrWrong)
	}
}

func TestPasskeyAloneMustVerifyThePerson(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	key := w.register(w.alice, a)
	a.flags = flagUP
	c := w.askAnybody()
	_, err := w.f.AnswerAnybody(t.Context(), c.State, a.sign(c.Options, key))
	w.want("without UV", err, mfa.ErrWrong)
	key.handle = nil
	a.flags = flagUP | flagUV
	_, err = w.f.AnswerAnybody(t.Context(), c.State, a.sign(c.Options, key))
	w.want("without a handle", err, mfa.ErrWrong)
}

func TestCeremonyIsBoundToPersonKindAndTime(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	key, bobs := w.register(w.alice, a), w.register(w.bob, a)
	c := w.ask(w.alice)
	_, err := w.f.AnswerPasskey(t.Context(), w.bob, c.State, a.sign(c.Options, bobs))
	w.want("bob answers alice's", err, mfa.ErrStale)
	// A second factor does not ask for verification; so it must not sign in alone.
	_, err = w.f.AnswerAnybody(t.Context(), c.State, a.sign(c.Options, key))
	w.want("a second factor's ceremony signs in alone", err, mfa.ErrStale)
	begun, err := w.f.BeginPasskey(t.Context(), w.alice)
	w.must(err)
	_, err = w.f.FinishPasskey(t.Context(), w.bob, mfa.NewPasskey{State: begun.State, Response: a.make(begun.Options)})
	w.want("bob registers in alice's ceremony", err, mfa.ErrStale)
	_, err = w.f.FinishPasskey(t.Context(), w.alice, mfa.NewPasskey{State: c.State, Response: a.make(begun.Options)})
	w.want("an assertion's state registers", err, mfa.ErrStale)
	w.clock.Forward(10 * time.Minute)
	_, err = w.f.AnswerPasskey(t.Context(), w.alice, c.State, a.sign(c.Options, key))
	w.want("a late answer", err, mfa.ErrStale)
	_, err = w.f.FinishPasskey(t.Context(), w.alice, mfa.NewPasskey{State: begun.State, Response: a.make(begun.Options)})
	w.want("a late registration", err, mfa.ErrStale)
}

// Authenticators without a counter would take an answer for ever.
func TestFiftySubmitsOfOneAnswerAreOneSuccess(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	key := w.register(w.alice, a)
	c := w.askAnybody()
	answer := a.sign(c.Options, key)
	replicas := []*mfa.Factors{w.f, w.factors(w.sealer)}
	won := w.atOnce(func(i int) error {
		_, err := replicas[i%2].AnswerAnybody(t.Context(), c.State, answer)
		return err
	}, mfa.ErrStale)
	if won != 1 {
		t.Errorf("one answer was right %d times", won)
	}
}

func TestCounterThatGoesBackIsRefusedAndTold(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	c, err := w.f.BeginPasskey(t.Context(), w.alice)
	w.must(err)
	_, err = w.f.FinishPasskey(t.Context(), w.alice, mfa.NewPasskey{State: c.State, Response: a.make(c.Options)})
	w.must(err)
	key := a.keys[0]
	use := func(counter uint32) error {
		key.counter = counter
		c := w.ask(w.alice)
		_, err := w.f.AnswerPasskey(t.Context(), w.alice, c.State, a.sign(c.Options, key))
		return err
	}
	w.must(use(5))
	for _, counter := range []uint32{5, 4, 0} {
		w.want(fmt.Sprint("counter ", counter, " after 5"), use(counter), mfa.ErrWrong)
		if e := w.lastEvent(); e.Type != "passkey.clone_suspected" || e.Target != w.alice.ID || e.Detail["id"] != b64(key.id) {
			t.Errorf("event = %+v", e)
		}
	}
	w.must(use(6))
}

func TestCredentialBelongsToOnePerson(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	key := w.register(w.alice, a)
	for _, who := range []mfa.Person{w.alice, w.bob} {
		c, err := w.f.BeginPasskey(t.Context(), who)
		w.must(err)
		double := &credential{id: key.id, alg: es256}
		answer := a.answer(a.read(c.Options), double, double.make(t))
		_, err = w.f.FinishPasskey(t.Context(), who, mfa.NewPasskey{State: c.State, Response: answer})
		w.want(who.Name+" registers alice's credential id", err, mfa.ErrExists)
	}
	// rawId says one id and the authenticator data another.
	c, err := w.f.BeginPasskey(t.Context(), w.bob)
	w.must(err)
	answer := a.make(c.Options)
	mine := b64(a.keys[len(a.keys)-1].id)
	answer = []byte(strings.ReplaceAll(string(answer), mine, b64([]byte("0123456789abcdef"))))
	_, err = w.f.FinishPasskey(t.Context(), w.bob, mfa.NewPasskey{State: c.State, Response: answer})
	w.want("two ids in one answer", err, mfa.ErrWrong)
	if w.of(w.bob).Enrolled() || len(w.of(w.alice).Factors) != 1 {
		t.Error("a credential changed hands")
	}
}

func TestLongKeysAreRefused(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	c, err := w.f.BeginPasskey(t.Context(), w.alice)
	w.must(err)
	long := &credential{id: []byte("0123456789abcdef"), alg: rs256}
	public := map[int]any{1: 3, 3: rs256, -1: bytes.Repeat([]byte{0xff}, 30<<10), -2: []byte{1, 0, 1}}
	_, err = w.f.FinishPasskey(t.Context(), w.alice, mfa.NewPasskey{State: c.State, Response: a.answer(a.read(c.Options), long, public)})
	w.want("a key of 30 KiB", err, mfa.ErrWrong)
	long = &credential{id: bytes.Repeat([]byte{1}, 2000), alg: es256}
	_, err = w.f.FinishPasskey(t.Context(), w.alice, mfa.NewPasskey{State: c.State, Response: a.answer(a.read(c.Options), long, long.make(t))})
	w.want("an id of 2000 bytes", err, mfa.ErrWrong)
}

func TestPersonHasTwentyPasskeys(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	c, err := w.f.BeginPasskey(t.Context(), w.alice)
	w.must(err)
	late := a.make(c.Options)
	for range 20 {
		w.register(w.alice, a)
	}
	w.want("the 21st", w.tryRegister(w.alice, a), mfa.ErrLimit)
	_, err = w.f.FinishPasskey(t.Context(), w.alice, mfa.NewPasskey{State: c.State, Response: late})
	w.want("the 21st, begun before", err, mfa.ErrLimit)
}

func TestPasskeysAreNamedAndRemovedByTheirOwner(t *testing.T) {
	w := newWorld(t)
	a := newAuthenticator(t)
	key := w.register(w.alice, a)
	w.enrol(w.alice)
	id := b64(key.id)
	for _, name := range []string{"", strings.Repeat("ä", 65), "a\x00", "a\u202eb", "\xff", "a\nb"} {
		w.want(fmt.Sprintf("name %q", name), w.f.Rename(t.Context(), w.alice.ID, id, name), mfa.ErrName)
	}
	w.want("bob renames alice's", w.f.Rename(t.Context(), w.bob.ID, id, "mine"), mfa.ErrNotFound)
	w.must(w.f.Rename(t.Context(), w.alice.ID, id, strings.Repeat("ä", 64)))
	w.want("bob removes alice's", w.f.Remove(t.Context(), w.bob, mfa.Passkey, id), mfa.ErrNotFound)
	c := w.askAnybody()
	w.must(w.f.Remove(t.Context(), w.alice, mfa.Passkey, id))
	_, err := w.f.AnswerAnybody(t.Context(), c.State, a.sign(c.Options, key))
	w.want("a removed passkey", err, mfa.ErrWrong)
}

func TestPasskeyAloneIsASwitch(t *testing.T) {
	w := newWorld(t)
	c := w.askAnybody()
	a := newAuthenticator(t)
	key := w.register(w.alice, a)
	w.cfg.PasskeySignIn = false
	w.f = w.factors(w.sealer)
	_, err := w.f.AskAnybody()
	w.want("AskAnybody", err, mfa.ErrNotOffered)
	_, err = w.f.AnswerAnybody(t.Context(), c.State, a.sign(c.Options, key))
	w.want("AnswerAnybody", err, mfa.ErrNotOffered)
	ask := w.ask(w.alice)
	_, err = w.f.AnswerPasskey(t.Context(), w.alice, ask.State, a.sign(ask.Options, key))
	w.must(err)
}

// WebAuthn knows no relying party at an address.
func TestNoPasskeysAtAnAddress(t *testing.T) {
	w := newWorld(t)
	for _, host := range []string{"127.0.0.1:8080", "[::1]:8080"} {
		f := mfa.New(w.cfg, mfa.Parts{Issuer: &url.URL{Scheme: "http", Host: host}})
		if _, err := f.AskAnybody(); !errors.Is(err, mfa.ErrNotOffered) || f.PasskeySignIn() {
			t.Errorf("%s offers passkeys: %v", host, err)
		}
	}
	f := mfa.New(w.cfg, mfa.Parts{Issuer: &url.URL{Scheme: "http", Host: "localhost:8080"}, Now: time.Now})
	if _, err := f.AskAnybody(); err != nil {
		t.Errorf("localhost: %v", err)
	}
}

func FuzzPasskeyAnswer(f *testing.F) {
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"}}`))
	f.Add([]byte(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`))
	f.Add([]byte("null"))
	var cfg mfa.Config
	cfg.Defaults()
	factors := mfa.New(cfg, mfa.Parts{Issuer: &url.URL{Scheme: "https", Host: "login.test"}, Now: time.Now})
	c, err := factors.AskAnybody()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		if json.Valid(answer) && bytes.Contains(answer, []byte("https://login.test")) {
			return // it would be looked up
		}
		if _, err := factors.AnswerAnybody(t.Context(), c.State, answer); !errors.Is(err, mfa.ErrWrong) {
			t.Fatalf("AnswerAnybody(%q) = %v, want ErrWrong", answer, err)
		}
	})
}
