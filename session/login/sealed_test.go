package login

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

func fullAttempt() attempt {
	a := newAttempt("corp", "/vault?a=b", time.UnixMilli(time.Now().UnixMilli()))
	a.again, a.force = true, true
	a.demand = demand{mfa: true, acr: []string{"gold", ""}, maxAge: 90 * time.Second, strict: true, person: personOf("https://a", "b")}
	return a
}

func TestAttemptSurvivesItsCookie(t *testing.T) {
	plain := newAttempt("main", "/", time.UnixMilli(0))
	for _, want := range []attempt{fullAttempt(), plain} {
		got, err := decodeAttempt(want.encode())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
	}
}

func TestAttemptsThatAreNone(t *testing.T) {
	full := fullAttempt()
	good := full.encode()
	page := len("/vault?a=b")
	for n := range len(good) - page {
		if a, err := decodeAttempt(good[:n]); err == nil {
			t.Errorf("the first %d bytes are %+v", n, a)
		}
	}
	for _, version := range []byte{0, 1, attemptVersion + 1} {
		old := full.encode()
		old[0] = version
		if _, err := decodeAttempt(old); err == nil {
			t.Errorf("version %d decodes", version)
		}
	}
}

// TestAttemptsOfBeforeAreNone: whoever signs in while the program is replaced
// begins again; what an older one sealed is not read as something else.
func TestAttemptsOfBeforeAreNone(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	answer := w.issuer.approve(b.stepUp("/vault", StepUp{MFA: true}), "alice")
	name := w.site.AttemptPrefix() + attemptOf(answer.Get("state"))
	plain, _ := w.login.attempts.Open(w.site.Host, b.jar[name])
	plain[0] = 1
	sealed, err := w.login.attempts.Seal(w.site.Host, plain)
	if err != nil {
		t.Fatal(err)
	}
	kept := b.jar[name]
	b.jar[name] = sealed
	if result, err := b.callback(answer); err != nil || result.Location != "/" || result.Session != nil || w.issuer.calls() != 1 {
		t.Errorf("an attempt of version 1: %+v, %v", result, err)
	}
	for i := 0; i < len(kept); i += 7 {
		changed := []byte(kept)
		changed[i] ^= 1
		b.jar[name] = string(changed)
		if result, err := b.callback(answer); err != nil || result.Session != nil || w.issuer.calls() != 1 {
			t.Errorf("byte %d changed: %+v, %v", i, result, err)
		}
	}
	stranger := w.browser()
	stranger.jar[name] = sealed
	_, err = stranger.callback(answer)
	wantCode(t, "an attempt of version 1, not signed in", err, CodeUnknown)
}

// TestALongPageGivesWayToWhatIsAsked: a cookie holds 4,096 bytes.
func TestALongPageGivesWayToWhatIsAsked(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	var classes []string
	for i := range 10 {
		classes = append(classes, fmt.Sprintf("urn:class:%d:%s", i, strings.Repeat("x", 80)))
	}
	w.issuer.say(map[string]any{"acr": classes[9]})
	for page, want := range map[string]string{
		"/" + strings.Repeat("x", 2047): "/",
		"/" + strings.Repeat("x", 1000): "/" + strings.Repeat("x", 1000),
	} {
		result, err := b.callback(w.issuer.approve(b.stepUp(page, StepUp{ACR: classes}), "alice"))
		if err != nil || result.Location != want {
			t.Errorf("a page of %d bytes leads to %.20s (%d bytes), %v", len(page), result.Location, len(result.Location), err)
		}
	}
	// A second factor alone leaves room for the longest page.
	w.issuer.say(map[string]any{"amr": []string{"mfa"}})
	longest := "/" + strings.Repeat("x", 2047)
	if result, err := b.callback(w.issuer.approve(b.stepUp(longest, StepUp{MFA: true, MaxAge: time.Hour}), "alice")); err != nil || result.Location != longest {
		t.Errorf("the longest page: %d bytes, %v", len(result.Location), err)
	}
}

func FuzzDecodeAttempt(f *testing.F) {
	full := fullAttempt()
	f.Add(full.encode())
	f.Add([]byte{attemptVersion, bitStrict})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAttempt(b)
		if err != nil {
			return
		}
		// What decodes means the same when written again.
		if again, err := decodeAttempt(a.encode()); err != nil || !reflect.DeepEqual(again, a) {
			t.Errorf("%+v became %+v, %v", a, again, err)
		}
	})
}
