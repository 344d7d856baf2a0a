package e2e

import (
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"gatehouse/internal/testenv/authenticator"
)

var (
	// errAsked means that a password was right and a second factor is asked for.
	errAsked = errors.New("a second factor is asked for")
	// errCodeUsed means that a second factor was refused as wrong or used.
	errCodeUsed = errors.New("that code is refused")

	shownKey      = regexp.MustCompile(`type this key into it: <code>([A-Z2-7 ]+)</code>`)
	shownRecovery = regexp.MustCompile(`<li><code>([0-9a-z-]{11})</code>`)
)

// enrol sets up an authenticator app for somebody and uses what it shows, and
// some recovery codes: each works once.
func (o *ordeal) enrol(r *resident) error {
	key, recovery, err := o.setUpApp(r)
	if err != nil || !r.enrolled {
		return err
	}
	used := map[string][]string{"totp": {authenticator.Code(key, time.Now(), 1)}, "recovery": recovery[:min(2, len(recovery))]}
	for _, kind := range []string{"totp", "recovery"} {
		for _, code := range used[kind] {
			if err := o.useFactor(r, kind, code); err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
		}
	}
	return nil
}

// setUpApp sets up an authenticator app. Without an answer it may have happened
// or not: then there are no recovery codes, for nobody has seen them.
func (o *ordeal) setUpApp(r *resident) (key []byte, recovery []string, err error) {
	done := false
	err = o.persist(func(before bool) error {
		if before {
			return nil
		}
		b := o.agent()
		a, err := b.visit(o.issuer+"/account/security", "username", r.name, "password", r.password)
		if a, err = b.follow(a, err); err != nil {
			return err
		}
		a, err = b.send(a, "do", "add", "kind", "totp")
		if a, err = b.follow(a, err); err != nil {
			return err
		}
		found := shownKey.FindStringSubmatch(a.body)
		if found == nil {
			return a.unexpected("set up an app")
		}
		if key, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(found[1], " ", "")); err != nil {
			return err
		}
		if a, err = b.send(a, "code", authenticator.Code(key, time.Now(), 0)); err != nil {
			return err
		}
		if a.status != http.StatusSeeOther {
			return a.unexpected("confirm an app")
		}
		done = true
		if a, err = b.follow(a, nil); err != nil {
			return err
		}
		for _, found := range shownRecovery.FindAllStringSubmatch(a.body, -1) {
			recovery = append(recovery, found[1])
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	_, err = o.signIn(r, r.password, o.grace())
	r.enrolled = errors.Is(err, errAsked)
	if done && !r.enrolled {
		return nil, nil, fmt.Errorf("no second factor is asked for after one was set up: %w", err)
	}
	if r.enrolled {
		o.note("factor set up")
	} else if err != nil {
		return nil, nil, err
	}
	return key, recovery, nil
}

// useFactor signs somebody in with a code, and then tries it again.
func (o *ordeal) useFactor(r *resident, kind, code string) error {
	err := o.persist(func(before bool) error {
		err := o.showFactor(r, kind, code)
		if before && errors.Is(err, errCodeUsed) {
			o.note(kind + " code without an answer, was used")
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	err = o.persist(func(bool) error { return o.showFactor(r, kind, code) })
	if !errors.Is(err, errCodeUsed) {
		return fmt.Errorf("a code that was used: %w, want a refusal", err)
	}
	o.note(kind + " code worked once")
	return nil
}

// showFactor signs in with password and code: nil, errCodeUsed.
func (o *ordeal) showFactor(r *resident, kind, code string) error {
	b := o.agent()
	a, err := b.visit(o.authorizeURL(o.grace()), "username", r.name, "password", r.password)
	if a, err = b.follow(a, err); err != nil {
		return err
	}
	if kind != "totp" {
		a, err = b.send(a, "use", kind)
		if a, err = b.follow(a, err); err != nil {
			return err
		}
	}
	if a, err = b.send(a, "code", code); err != nil {
		return err
	}
	if a.status == http.StatusUnprocessableEntity {
		return errCodeUsed
	}
	if a, err = b.follow(a, nil); err != nil {
		return err
	}
	if a.url.Query().Get("code") == "" {
		return a.unexpected("sign in with a second factor")
	}
	return nil
}

// newPassword is one that nobody has had.
func newPassword() string { return rand.Text() }
