package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// resident is a person, and what gatehouse has confirmed to them.
type resident struct {
	name, email, password string
	// letters is how many were promised.
	letters   int
	confirmed bool
	enrolled  bool // has a second factor
}

// letterLimit is how long somebody waits for a letter before doing something
// else; it must come all the same.
const letterLimit = 3 * time.Second

// settle lives one life after the other: sign-up, confirmation, tokens, a
// forgotten password.
func (o *ordeal) settle(worker int) {
	for n := 0; !o.over.Load() && !o.t.Failed(); n++ {
		name := fmt.Sprintf("p%d-%d", worker, n)
		r := &resident{name: name, email: name + "@example.com", password: newPassword()}
		if err := o.live(r, n); err != nil {
			o.t.Errorf("%s: %v", r.name, err)
		}
		if r.letters > 0 || r.confirmed {
			o.mu.Lock()
			o.people = append(o.people, r)
			o.mu.Unlock()
		}
	}
}

func (o *ordeal) live(r *resident, n int) error {
	b, page, err := o.signUp(r)
	if err != nil || page == "" || !o.letter(r) {
		return err
	}
	code, link := o.post.find(r.email, "/signup/confirm")
	if link == "" || code == "" {
		return errors.New("the letter about a sign-up has no code or no link")
	}
	answers := []string{"code", code}
	if n%2 == 1 {
		page, answers = link, nil
	}
	if err := o.confirm(r, b, page, answers...); err != nil {
		return err
	}
	// The page in the browser that has used it, the link in another.
	if err := o.linkIsSpent(b, page); err != nil {
		return err
	}
	if err := o.linkIsSpent(o.agent(), link); err != nil {
		return err
	}
	c := o.noGrace()
	b, err = o.signIn(r, r.password, c)
	if err != nil {
		return fmt.Errorf("sign in after the confirmation: %w", err)
	}
	if err := o.useTokens(b, c, n); err != nil {
		return err
	}
	if err := o.forget(r, b, c); err != nil || n%3 != 2 {
		return err
	}
	return o.enrol(r)
}

// signUp signs somebody up, and returns their browser and the page that asks for
// the code, "" when they gave up.
func (o *ordeal) signUp(r *resident) (b *agent, page string, err error) {
	b = o.agent()
	err = o.persist(func(before bool) error {
		if before {
			// The sign-up is there with its letter, or neither is.
			o.note("sign-up without an answer")
			return nil
		}
		a, err := b.visit(o.issuer+"/signup", "email", r.email, "username", r.name, "password", r.password)
		if err != nil {
			return err
		}
		if a.status != http.StatusSeeOther {
			return a.unexpected("sign up")
		}
		next, err := a.url.Parse(a.header.Get("Location"))
		if err != nil {
			return err
		}
		page, r.letters = next.String(), 1
		o.note("signed up")
		return nil
	})
	if err == nil && page == "" {
		o.mu.Lock()
		o.people = append(o.people, r)
		o.mu.Unlock()
	}
	return b, page, err
}

// letter waits a little for the letters that were promised.
func (o *ordeal) letter(r *resident) bool {
	ctx, cancel := context.WithTimeout(context.Background(), letterLimit)
	defer cancel()
	if !o.post.await(ctx, r.email, r.letters) {
		o.note("letter is late")
		return false
	}
	return true
}

// confirm makes the account. What had no answer has happened or not; the sign-in
// that follows shows that it is not in between.
func (o *ordeal) confirm(r *resident, b *agent, page string, answers ...string) error {
	return o.persist(func(before bool) error {
		a, err := b.open(page)
		if err == nil && a.status == http.StatusOK {
			o.gather()
			a, err = b.send(a, answers...)
		}
		switch {
		case err != nil:
			return err
		case before && a.stale():
			o.note("confirmation without an answer, happened")
		case a.status != http.StatusSeeOther && a.status != http.StatusOK:
			return a.unexpected("confirm")
		case before:
			o.note("confirmation worked the second time")
		}
		r.confirmed = true
		o.note("confirmed")
		return nil
	})
}

// lateConfirm confirms, in another browser, a sign-up whose letter came late or
// that had no answer. If there is a letter, there is a sign-up.
func (o *ordeal) lateConfirm(r *resident) {
	_, link := o.post.find(r.email, "/signup/confirm")
	if link == "" {
		return
	}
	if err := o.confirm(r, o.agent(), link, "password", r.password); err != nil {
		o.t.Errorf("%s, whose letter came: %v", r.name, err)
		return
	}
	o.note("confirmed late")
	if err := o.linkIsSpent(o.agent(), link); err != nil {
		o.t.Errorf("%s: %v", r.name, err)
	}
}

// linkIsSpent holds that a page or link that has done its work is refused.
func (o *ordeal) linkIsSpent(b *agent, link string) error {
	return o.persist(func(bool) error {
		a, err := b.open(link)
		if err != nil {
			return err
		}
		if !a.stale() {
			return a.unexpected("open a link that has been used")
		}
		o.note("used link refused")
		return nil
	})
}

// forget forgets the password and sets another by the link. b is where the
// person was signed in until then.
func (o *ordeal) forget(r *resident, b *agent, c *program) error {
	before, err := o.chain(b, c, 1)
	if err != nil && !errors.Is(err, errSpent) {
		return err
	}
	asked := false
	err = o.persist(func(before bool) error {
		if before {
			return nil // a second letter would wait for a minute
		}
		a, err := o.agent().visit(o.issuer+"/forgot", "username", r.name)
		if err != nil {
			return err
		}
		if a.status != http.StatusOK || !strings.Contains(a.body, "Check your mail") {
			return a.unexpected("forget the password")
		}
		asked = true
		r.letters++
		o.note("forgotten password")
		return nil
	})
	if err != nil || !asked || !o.letter(r) {
		return err
	}
	_, link := o.post.find(r.email, "/reset")
	if link == "" {
		return errors.New("the letter about a forgotten password has no link")
	}
	old := r.password
	if err := o.reset(r, link); err != nil {
		return err
	}
	return o.afterReset(r, old, link, before, c)
}

// reset sets a new password.
func (o *ordeal) reset(r *resident, link string) error {
	next := newPassword()
	err := o.persist(func(before bool) error {
		a, err := o.agent().visit(link, "password", next)
		switch {
		case err != nil:
			return err
		case before && a.stale():
			o.note("reset without an answer, happened")
		case a.status != http.StatusOK || !strings.Contains(a.body, "Your password is set"):
			return a.unexpected("reset the password")
		case before:
			o.note("reset worked the second time")
		}
		o.note("password reset")
		return nil
	})
	if err != nil {
		return err
	}
	r.password = next
	r.letters++ // the notice
	return nil
}

// afterReset holds that the new password counts, and nothing of before.
func (o *ordeal) afterReset(r *resident, old, link string, before chain, c *program) error {
	if err := o.linkIsSpent(o.agent(), link); err != nil {
		return err
	}
	if len(before.tokens) > 0 {
		if err := o.mustFail("a token from before the reset", c.refresh(before.tokens[len(before.tokens)-1])); err != nil {
			return err
		}
	}
	if _, err := o.signIn(r, old, c); !errors.Is(err, errWrongPassword) {
		return fmt.Errorf("sign in with the password of before: %v, want a refusal", err)
	}
	if _, err := o.signIn(r, r.password, c); err != nil {
		return fmt.Errorf("sign in with the new password: %w", err)
	}
	return nil
}
