package e2e

import (
	"encoding/base32"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testenv/authenticator"
)

// The journey of one person, from sign-up to the end of the account, in one
// browser and with a real mail server; on each database.

const (
	erin         = "erin"
	finn         = "finn" // like Erin, in a browser without scripts
	erinMail     = "erin@example.com"
	erinPassword = "plum-Lantern-71-gravel"
	erinSecond   = "quiet-Harbour-94-needle"
)

// journey is one person on the way.
type journey struct {
	*visitor
	house  house
	mail   *mailbox
	device *authenticator.Authenticator
	// secret is what the authenticator app holds, last the step of the last code
	// (RFC 6238 §5.2: a code works once).
	secret []byte
	last   int64
	// made are all recovery codes, codes those that are left.
	made, codes []string
}

// startJourney starts a gateway where everybody may sign up. Its issuer has a
// name: at an address there are no passkeys.
func startJourney(t *testing.T, store string, m *mailbox) house {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	public, issuer := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://localhost:%d", port)
	g := startServe(t, dir, public, file{
		public: public, dir: dir, upstream: application(t),
		parts: []string{provider(issuer, usualTTL), store, m.section(), "  account: { sign_up: open }\n"},
	}.String())
	return house{gateway: g, issuer: issuer, ours: true}
}

// TestJourney walks by HTTP, without a script in the browser.
func TestJourney(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			m := newMailbox(t)
			h := startJourney(t, e.store(t), m)
			j := &journey{
				visitor: newVisitor(t, h.url), house: h, mail: m,
				device: &authenticator.Authenticator{Origin: h.issuer, RPID: "localhost"},
			}
			j.signUp()
			j.setUpApp()
			j.signInByApp()
			j.signInByRecoveryCode()
			j.forgetPassword()
			j.setUpPasskey()
			j.signInByPasskey()
			j.leave()
			h.wantStory(t, erin, append(j.made, erinPassword, erinSecond)...)
			h.wantFree(t)
		})
	}
}

// TestChromiumJourney walks in a browser, with scripts, and again without them
// as somebody else.
func TestChromiumJourney(t *testing.T) {
	executable := chromium(t)
	node(t)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			m := newMailbox(t)
			h := startJourney(t, e.store(t), m)
			look := "yes"
			if e.name != engines[0].name {
				look = "no" // the pages are the same
			}
			runScript(t, "browser-journey.mjs", "CHROMIUM", executable, "PASSWORD", erinPassword, "PASSWORD_2", erinSecond,
				"GATEHOUSE_URL", h.url, "ISSUER", h.issuer, "MAIL_URL", m.serve(), "SCAN", look)
			h.wantStory(t, erin, erinPassword, erinSecond)
			h.wantStory(t, finn, erinPassword, erinSecond)
			h.wantFree(t)
		})
	}
}

// answerForm fills in the form of a that holds text, and sends it; pairs are
// names and values.
func (j *journey) answerForm(a *answer, text string, pairs ...string) *answer {
	j.t.Helper()
	f, err := a.formWith(text)
	if err != nil {
		j.t.Fatalf("%s (%d) has no form with %q:\n%s", a.url, a.status, text, a.body)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.values.Set(pairs[i], pairs[i+1])
	}
	return j.submit(f)
}

// take follows the link with this text.
func (j *journey) take(a *answer, text string) *answer {
	j.t.Helper()
	found := regexp.MustCompile(`<a\b([^>]*)>` + regexp.QuoteMeta(text) + `</a>`).FindStringSubmatch(a.body)
	if found == nil {
		j.t.Fatalf("%s (%d) has no link %q:\n%s", a.url, a.status, text, a.body)
	}
	to, err := a.url.Parse(attributes(found[1])["href"])
	if err != nil {
		j.t.Fatal(err)
	}
	return j.open(to.String())
}

// want fails unless a has this status and holds text.
func (j *journey) want(what string, a *answer, status int, text string) *answer {
	j.t.Helper()
	if a.status != status || !a.contains(text) {
		j.t.Fatalf("%s: %s answers %d, want %d and %q:\n%s", what, a.url, a.status, status, text, a.body)
	}
	return a
}

// wantIn fails unless a is the application's page at /page, for Erin.
func (j *journey) wantIn(what string, a *answer) {
	j.t.Helper()
	if a.status != http.StatusOK || a.url.String() != j.base+"/page" {
		j.t.Fatalf("%s: ends with %d at %s:\n%s", what, a.status, a.url, a.body)
	}
	if status, who := j.me(); status != http.StatusOK || who["username"] != erin {
		j.t.Fatalf("%s: me.json = %d %v, want %s", what, status, who, erin)
	}
}

// leaveGateway signs out. What changes a factor ends the gateway's session, and
// a look at a page begins another in the provider's.
func (j *journey) leaveGateway() {
	j.t.Helper()
	j.open("/page")
	j.signOut()
}

// begin signs out and types name and password anew.
func (j *journey) begin(password string) *answer {
	j.t.Helper()
	j.leaveGateway()
	return j.submit(j.fill(j.open("/page"), erin, password))
}

func (j *journey) signUp() {
	j.t.Helper()
	form := j.want("sign-up", j.take(j.open("/page"), "Sign up"), http.StatusOK, "new-password")
	fields := []string{"email", erinMail, "username", erin, "name", "Erin Example", "password"}
	again := j.want("an easy password", j.answerForm(form, "new-password", append(fields, erin)...), http.StatusUnprocessableEntity, erinMail)
	check := j.answerForm(again, "new-password", append(fields, erinPassword)...)
	j.want("signed up", check, http.StatusOK, "Check your messages")

	l := j.mail.letter(erinMail, "code to sign up")
	scanner := newVisitor(j.t, j.base)
	for range 2 {
		j.want("a program that opens links", scanner.open(l.Link), http.StatusOK, "another browser")
	}
	early := newVisitor(j.t, j.base)
	if a := early.signIn(erin, erinPassword, "/page"); a.status != http.StatusUnprocessableEntity {
		j.t.Errorf("a sign-in before the confirmation = %d, want 422", a.status)
	}
	wrong := "000000"
	if l.Code == wrong {
		wrong = "000001"
	}
	check = j.want("a wrong code", j.answerForm(check, "code", "code", wrong), http.StatusUnprocessableEntity, "not right")
	signIn := j.answerForm(check, "code", "code", l.Code)
	j.wantIn("the way on from a sign-up", j.submit(j.fill(signIn, erinMail, erinPassword)))
	j.want("a link that is used up", j.open(l.Link), http.StatusBadRequest, "has been used")
}

// appCode is the next code that the authenticator app shows.
func (j *journey) appCode() string {
	j.last = max(j.last+1, time.Now().Unix()/30)
	return authenticator.Code(j.secret, time.Unix(30*j.last, 0), 0)
}

var codeTag = regexp.MustCompile(`<code>([^<]+)</code>`)

// security opens the page of the second factors.
func (j *journey) security() *answer {
	j.t.Helper()
	return j.want("the security page", j.open(j.house.issuer+"/account/security"), http.StatusOK, "Second factors")
}

func (j *journey) setUpApp() {
	j.t.Helper()
	page := j.answerForm(j.security(), "Set up: Authenticator app")
	found := codeTag.FindStringSubmatch(page.body)
	if found == nil {
		j.t.Fatalf("the set-up of an app shows no key:\n%s", page.body)
	}
	var err error
	if j.secret, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(found[1], " ", "")); err != nil {
		j.t.Fatal(err)
	}
	page = j.want("recovery codes", j.answerForm(page, `name="code"`, "code", j.appCode(), "name", "phone"), http.StatusOK, "Keep your recovery codes")
	for _, m := range codeTag.FindAllStringSubmatch(page.body, -1) {
		j.codes = append(j.codes, m[1])
	}
	j.made = j.codes
	if len(j.codes) != 10 {
		j.t.Fatalf("%d recovery codes, want 10", len(j.codes))
	}
	j.want("the app is set up", j.answerForm(page, "I have saved them"), http.StatusOK, "Authenticator app")
	j.mail.letter(erinMail, "sign-in method was added")
}

func (j *journey) signInByApp() {
	j.t.Helper()
	used := authenticator.Code(j.secret, time.Unix(30*j.last, 0), 0)
	page := j.want("the second factor", j.begin(erinPassword), http.StatusOK, "authenticator app")
	if status, _ := j.me(); status != http.StatusUnauthorized {
		j.t.Errorf("me.json with the password alone = %d, want 401", status)
	}
	page = j.want("a code for the second time", j.answerForm(page, `name="code"`, "code", used), http.StatusUnprocessableEntity, `role="alert"`)
	j.wantIn("sign-in with the app", j.answerForm(page, `name="code"`, "code", j.appCode()))
}

// byRecoveryCode signs in with a password and a recovery code, which works
// nowhere else after that.
func (j *journey) byRecoveryCode(password string) *answer {
	j.t.Helper()
	page := j.begin(password)
	page = j.want("the way by recovery code", j.answerForm(page, `value="recovery"`, "use", "recovery"), http.StatusOK, "Enter a recovery code")
	code := j.codes[0]
	j.codes = j.codes[1:]
	in := j.answerForm(page, `name="code"`, "code", code)
	// The same code, in the same breath elsewhere.
	other := &journey{visitor: newVisitor(j.t, j.base), house: j.house}
	a := other.submit(other.fill(other.open("/page"), erin, password))
	a = other.answerForm(a, `value="recovery"`, "use", "recovery")
	j.want("a recovery code for the second time", other.answerForm(a, `name="code"`, "code", code), http.StatusUnprocessableEntity, `role="alert"`)
	return in
}

func (j *journey) signInByRecoveryCode() {
	j.t.Helper()
	j.wantIn("sign-in with a recovery code", j.byRecoveryCode(erinPassword))
}

func (j *journey) forgetPassword() {
	j.t.Helper()
	j.leaveGateway()
	page := j.take(j.open("/page"), "Forgotten your password?")
	j.want("a link is asked for", j.answerForm(page, "username", "username", erin), http.StatusOK, "Check your mail")
	l := j.mail.letter(erinMail, "Reset your password")
	scanner := newVisitor(j.t, j.base)
	for range 2 {
		j.want("a program that opens links", scanner.open(l.Link), http.StatusOK, "Choose a new password")
	}
	page = j.open(l.Link)
	page = j.want("a password that is too short", j.answerForm(page, "new-password", "password", "short"), http.StatusUnprocessableEntity, `role="alert"`)
	j.want("a new password", j.answerForm(page, "new-password", "password", erinSecond), http.StatusOK, "Your password is set")
	j.want("a link that is used up", j.open(l.Link), http.StatusBadRequest, "has been used")
	j.mail.letter(erinMail, "password was changed")
	j.want("the old password", j.begin(erinPassword), http.StatusUnprocessableEntity, `role="alert"`)
	// It still takes the second factor: a mailbox alone opens no account.
	j.wantIn("sign-in with the new password", j.byRecoveryCode(erinSecond))
}

// options are what the page asks the browser's passkeys.
func (j *journey) options(a *answer) []byte {
	j.t.Helper()
	for _, m := range regexp.MustCompile(`<form\b([^>]*)>`).FindAllStringSubmatch(a.body, -1) {
		if asked := attributes(m[1])["data-options"]; asked != "" {
			return []byte(asked)
		}
	}
	j.t.Fatalf("%s (%d) asks for no passkey:\n%s", a.url, a.status, a.body)
	return nil
}

func (j *journey) setUpPasskey() {
	j.t.Helper()
	page := j.answerForm(j.security(), "Set up: Passkey")
	made, err := j.device.Create(j.options(page))
	if err != nil {
		j.t.Fatal(err)
	}
	j.want("a passkey is set up", j.answerForm(page, `name="passkey"`, "passkey", string(made), "name", "laptop"), http.StatusOK, "laptop")
}

func (j *journey) signInByPasskey() {
	j.t.Helper()
	j.leaveGateway()
	page := j.open("/page")
	used, err := j.device.Get(j.options(page))
	if err != nil {
		j.t.Fatal(err)
	}
	j.wantIn("sign-in with a passkey alone", j.answerForm(page, `name="passkey"`, "passkey", string(used)))
}

func (j *journey) leave() {
	j.t.Helper()
	page := j.take(j.open(j.house.issuer+"/account"), "Delete your account")
	page = j.want("a wrong password", j.answerForm(page, "current-password", "password", erinPassword), http.StatusUnprocessableEntity, `role="alert"`)
	j.want("the account is deleted", j.answerForm(page, "current-password", "password", erinSecond), http.StatusOK, "Your account is deleted")
	j.mail.letter(erinMail, "account was deleted")
	j.house.wantGone(j.t, j.visitor)

	page = j.open("/page")
	j.want("sign-in to an account that is gone", j.submit(j.fill(page, erin, erinSecond)), http.StatusUnprocessableEntity, `role="alert"`)
	page = j.open("/page")
	used, err := j.device.Get(j.options(page))
	if err != nil {
		j.t.Fatal(err)
	}
	a := j.answerForm(page, `name="passkey"`, "passkey", string(used))
	j.want("the passkey of an account that is gone", a, http.StatusUnprocessableEntity, `role="alert"`)
}
