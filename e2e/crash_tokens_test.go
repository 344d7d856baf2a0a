package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// crashVerifier is the PKCE verifier of everybody (RFC 7636 §4.1).
const crashVerifier = "a-code-verifier-of-at-least-43-characters-00000"

// holderName begins the names of the people whose programs hold tokens.
const holderName = "holder"

// program is a client of the provider.
type program struct {
	id, secret string
	grace      bool // a token that was exchanged works on for a minute
}

func (o *ordeal) grace() *program   { return &program{webClient, webSecret, true} }
func (o *ordeal) noGrace() *program { return &program{publicClient, "", false} }

// errSpent means that a code or token had been used, by a request without an
// answer.
var errSpent = errors.New("used without an answer")

// hold signs in once, and from then on gets codes and tokens without a page: the
// session that gatehouse has confirmed must outlive everything.
func (o *ordeal) hold(n int) {
	r := &resident{name: fmt.Sprint(holderName, n), password: demoPassword}
	b, err := o.signIn(r, r.password, o.grace())
	for turn := 0; err == nil && !o.over.Load() && !o.t.Failed(); turn++ {
		c := o.grace()
		if turn%2 == 1 {
			c = o.noGrace()
		}
		err = o.useTokens(b, c, turn)
	}
	if err != nil {
		o.t.Errorf("%s: %v", r.name, err)
	}
}

// signIn signs somebody in, and returns their browser. errWrongPassword, errAsked.
func (o *ordeal) signIn(r *resident, password string, c *program) (*agent, error) {
	var b *agent
	err := o.persist(func(bool) error {
		b = o.agent()
		a, err := b.visit(o.authorizeURL(c), "username", r.name, "password", password)
		if err != nil {
			return err
		}
		if a.status == http.StatusUnprocessableEntity {
			return errWrongPassword
		}
		if a, err = b.follow(a, nil); err != nil {
			return err
		}
		switch {
		case strings.Contains(a.body, `id="code"`):
			return errAsked
		case a.url.Query().Get("code") == "":
			return a.unexpected("sign in")
		}
		o.note("signed in")
		return nil
	})
	return b, err
}

var errWrongPassword = errors.New("wrong password")

// code gets an authorization code in a browser that is signed in.
func (o *ordeal) code(b *agent, c *program) (code string, err error) {
	err = o.persist(func(bool) error {
		a, err := b.open(o.authorizeURL(c))
		if err != nil {
			return err
		}
		if code = a.url.Query().Get("code"); code == "" {
			return a.unexpected("ask for a code in a session")
		}
		return nil
	})
	return code, err
}

// useTokens exchanges a code, refreshes some times, and tries what has been used.
func (o *ordeal) useTokens(b *agent, c *program, turn int) error {
	chain, err := o.chain(b, c, 2+turn%4)
	if errors.Is(err, errSpent) {
		return nil
	}
	if err != nil {
		return err
	}
	newest := chain.tokens[len(chain.tokens)-1]
	if turn%3 == 0 {
		return o.codeIsSpent(c, chain, newest)
	}
	if c.grace {
		return o.sameSuccessor(c, chain)
	}
	// Out of its grace a token that was used ends all that came from it.
	if err := o.mustFail("a refresh token", c.refresh(chain.tokens[0])); err != nil {
		return err
	}
	return o.mustFail("the newest token of a family whose old one was tried", c.refresh(newest))
}

// chain is what came of one code: refresh tokens, each exchanged for the next.
type chain struct {
	code   string
	tokens []string
}

// chain gets a code, exchanges it and refreshes n times. errSpent.
func (o *ordeal) chain(b *agent, c *program, n int) (out chain, err error) {
	if out.code, err = o.code(b, c); err != nil {
		return out, err
	}
	first, err := o.grant("exchange a code", c.exchange(out.code), false)
	if err != nil {
		return out, err
	}
	o.note("code exchanged")
	out.tokens = append(out.tokens, first)
	for range n {
		next, err := o.grant("refresh", c.refresh(out.tokens[len(out.tokens)-1]), c.grace)
		if err != nil {
			return out, err
		}
		o.note("refreshed")
		out.tokens = append(out.tokens, next)
	}
	return out, nil
}

// grant asks for tokens and returns the refresh token. A request without an
// answer is sent again: then what it carries may have been used (errSpent), but
// not where there is a grace.
func (o *ordeal) grant(doing string, form url.Values, grace bool) (refresh string, err error) {
	err = o.persist(func(before bool) error {
		a, err := o.token(form)
		if err != nil {
			return err
		}
		switch {
		case a.status == http.StatusOK:
			if before {
				o.note(doing + ": had no answer, worked the second time")
			}
			return a.refreshToken(&refresh)
		case before && !grace && a.invalidGrant():
			o.note(doing + ": had no answer, was used")
			return errSpent
		}
		return fmt.Errorf("%s answers %d: %s", doing, a.status, a.body)
	})
	return refresh, err
}

func (a *answer) refreshToken(into *string) error {
	var found struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &found); err != nil || found.Access == "" || found.Refresh == "" {
		return fmt.Errorf("token endpoint answers %d without tokens", a.status)
	}
	*into = found.Refresh
	return nil
}

func (a *answer) invalidGrant() bool {
	return a.status == http.StatusBadRequest && strings.Contains(a.body, `"invalid_grant"`)
}

// codeIsSpent tries a code that has worked: it does not work again, and what came
// from it ends.
func (o *ordeal) codeIsSpent(c *program, used chain, newest string) error {
	if err := o.mustFail("an authorization code", c.exchange(used.code)); err != nil {
		return err
	}
	return o.mustFail("a token of a code that was tried again", c.refresh(newest))
}

// mustFail holds that a grant which has been used, or has ended, gives nothing.
func (o *ordeal) mustFail(what string, form url.Values) error {
	return o.persist(func(bool) error {
		a, err := o.token(form)
		if err != nil {
			return err
		}
		if !a.invalidGrant() {
			return fmt.Errorf("%s works again: %d", what, a.status)
		}
		o.note("used grant refused")
		return nil
	})
}

// sameSuccessor exchanges tokens again that have been exchanged: within their
// grace they give what they gave.
func (o *ordeal) sameSuccessor(c *program, used chain) error {
	for i, token := range used.tokens[:len(used.tokens)-1] {
		got, err := o.grant("refresh again", c.refresh(token), c.grace)
		if err != nil {
			return err
		}
		if got != used.tokens[i+1] {
			return errors.New("a token that is exchanged again gives another successor")
		}
		o.note("same successor")
	}
	return nil
}

func (c *program) exchange(code string) url.Values {
	return c.signed(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callbackURI}, "code_verifier": {crashVerifier},
	})
}

func (c *program) refresh(token string) url.Values {
	return c.signed(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

func (c *program) signed(form url.Values) url.Values {
	form.Set("client_id", c.id)
	if c.secret != "" {
		form.Set("client_secret", c.secret)
	}
	return form
}
