package idp_test

import (
	"context"
	"path/filepath"
	"testing"

	"gatehouse/idp"
	"gatehouse/idp/account"
	"gatehouse/idp/pool"
	"gatehouse/internal/keyring"
)

const lamp = "violet lamp 42 river"

// ringed is a provider whose sealing keys are in a file.
type ringed struct {
	*mailed
	path string
}

func startRinged(t *testing.T) *ringed {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sealing.key")
	sealer, err := keyring.OpenSealing(path, true, "")
	if err != nil {
		t.Fatal(err)
	}
	sink, mail := withMail(t)
	f := startWith(t, "", idp.Deps{Sealer: sealer}, mail, func(c *idp.Config) {
		c.Account.SignUp, c.Account.NetworkPerHour = account.Open, 1000
	})
	return &ringed{&mailed{f, sink}, path}
}

// beside opens the pool as another process does.
func (r *ringed) beside() idp.Deps {
	r.t.Helper()
	sealer, err := keyring.OpenSealing(r.path, false, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return idp.Deps{DB: r.db, Sealer: sealer, Now: r.now}
}

func (r *ringed) rotate() {
	r.t.Helper()
	ring, err := keyring.OpenRing(r.path, keyring.Sealing, false)
	if err == nil {
		err = ring.Rotate()
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// restart lets a new provider answer.
func (r *ringed) restart() {
	r.t.Helper()
	p, err := idp.New(r.cfg, r.beside())
	if err != nil {
		r.t.Fatal(err)
	}
	r.serving.Store(p)
}

// commandLine is the pool in another process. It delivers messages in the place
// of the server, so that nothing but a link leads the server to a new key.
func (r *ringed) commandLine() idp.Domain {
	r.t.Helper()
	d, err := idp.NewDomain(&r.cfg, r.beside())
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func (r *ringed) deliver(d idp.Domain) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		d.Outbox.Run(ctx)
	}()
	r.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func (r *ringed) invite(a *account.Accounts, name string) {
	r.t.Helper()
	if _, err := a.Invite(r.t.Context(), pool.NewUser{Username: name, Email: name + "@example.com"}); err != nil {
		r.t.Fatal(err)
	}
}

// accepts follows the link of an invitation and sets up the account.
func (r *ringed) accepts(link string) {
	r.t.Helper()
	b := r.browser()
	b.want(b.fill(b.get(link), "password", lamp), 200, "Your account is ready")
}

// signsUp fills in the page of a sign-up and returns the one that asks for the
// code.
func (b *browser) signsUp(name string) answer {
	b.f.t.Helper()
	return b.follow(b.fill(b.signUpPage(), "email", name+"@example.com", "username", name, "password", lamp))
}

// What was mailed goes on working between a rotation of the sealing key and the
// restart after it, whoever sent it, and after that restart.
func TestLinksAndCodesOutliveANewSealingKey(t *testing.T) {
	r := startRinged(t)
	before := r.commandLine()
	r.deliver(before)
	r.invite(r.p.Accounts, "early")
	early := r.mail("early@example.com").link()
	r.invite(r.p.Accounts, "late")
	late := r.mail("late@example.com").link()
	b := r.browser()
	forgot := b.get(b.open(newRequest()).linkOf(t, "Forgotten"))
	b.want(b.fill(forgot, "username", "alice"), 200, "Check your mail")
	reset := r.mail("Alice@example.com").link()
	newcomer := r.browser()
	code := newcomer.signsUp("newt")
	byCode := r.mail("newt@example.com").code()

	r.rotate()
	cli := r.commandLine()
	r.invite(cli.Accounts, "between")
	between := r.mail("between@example.com").link()
	r.invite(cli.Accounts, "patient")
	patient := r.mail("patient@example.com").link()
	for _, link := range []string{between, early} {
		r.accepts(link)
	}
	newcomer.want(newcomer.fill(code, "code", byCode), 303, "")
	other := r.browser()
	code = other.signsUp("olm")
	byCode = r.mail("olm@example.com").code()

	r.restart()
	for _, link := range []string{late, patient} {
		r.accepts(link)
	}
	b.want(b.fill(b.get(reset), "password", lamp), 200, "Your password is set")
	r.accountOf("alice", lamp)
	page := other.get(code.Request.URL.String())
	other.want(other.fill(page, "code", byCode), 303, "")
}

// A key that is held no more proves nothing.
func TestLinksDieWithTheirSealingKey(t *testing.T) {
	r := startRinged(t)
	r.deliver(r.commandLine())
	r.invite(r.p.Accounts, "early")
	early := r.mail("early@example.com").link()
	for range 3 {
		r.rotate()
	}
	r.restart()
	b := r.browser()
	b.want(b.get(early), 400, "has been used")
}

// A page that is open goes on working, and so does what it is for: a code has no
// other page.
func TestOpenPagesOutliveANewSealingKey(t *testing.T) {
	r := startRinged(t)
	r.deliver(r.commandLine())
	r.invite(r.p.Accounts, "early")
	invited := r.browser()
	early := invited.get(r.mail("early@example.com").link())
	newcomer := r.browser()
	confirm := newcomer.signsUp("newt")
	code := r.mail("newt@example.com").code()
	signIn := r.browser()
	page := signIn.open(newRequest())

	r.rotate()
	r.restart()
	invited.want(invited.fill(early, "password", lamp), 200, "Your account is ready")
	newcomer.want(newcomer.fill(confirm, "code", code), 303, "")
	signIn.want(signIn.fill(page, "username", "alice", "password", password), 303, "")
}

// Whoever was told to wait, or has used up what there is, is not let in anew.
func TestCountsOutliveANewSealingKey(t *testing.T) {
	r := startRinged(t)
	r.deliver(r.commandLine())
	b := r.browser()
	ask := func() {
		t.Helper()
		page := b.get(b.open(newRequest()).linkOf(t, "Forgotten"))
		b.want(b.fill(page, "username", "alice"), 200, "Check your mail")
	}
	ask()
	link := r.mail("Alice@example.com").link()
	for range 2 {
		r.rotate()
		r.restart()
		ask() // too early: it is not sent, and the first link works on
	}
	b.want(b.fill(b.get(link), "password", lamp), 200, "Your password is set")
}
