package password

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"gatehouse/idp/password/breach"
)

// Reason is why a new password is refused: a word of a closed list, for programs
// and for the audit log.
type Reason string

// The reasons, in the order in which they are told.
const (
	// Malformed: it is empty, not UTF-8, or holds a NUL byte.
	Malformed Reason = "password_malformed"
	// TooLong: more than 256 characters or 1,024 bytes.
	TooLong Reason = "password_too_long"
	// TooShort: fewer characters than min_length.
	TooShort Reason = "password_too_short"
	// NoUpper, NoLower, NoDigit and NoSymbol: a required class is missing.
	NoUpper  Reason = "password_needs_upper"
	NoLower  Reason = "password_needs_lower"
	NoDigit  Reason = "password_needs_digit"
	NoSymbol Reason = "password_needs_symbol"
	// IsName: it is the person's username, e-mail address or name.
	IsName Reason = "password_is_name"
	// TooEasy: it is guessed too soon.
	TooEasy Reason = "password_too_easy"
	// Breached: it stands in a list of stolen passwords.
	Breached Reason = "password_breached"
	// UsedBefore: it was the person's own not long ago.
	UsedBefore Reason = "password_used_before"
)

// Refusal is one reason with a sentence for people, which holds nothing of the
// password.
type Refusal struct {
	Reason Reason
	Text   string
}

// RefusedError says that a password may not be chosen, with every reason that was
// found, at least one.
type RefusedError struct{ Refusals []Refusal }

// Error joins the sentences.
func (e *RefusedError) Error() string {
	texts := make([]string, len(e.Refusals))
	for i, r := range e.Refusals {
		texts[i] = r.Text
	}
	return strings.Join(texts, " ")
}

// Has tells whether r is among the reasons.
func (e *RefusedError) Has(r Reason) bool {
	return slices.ContainsFunc(e.Refusals, func(f Refusal) bool { return f.Reason == r })
}

// Candidate is a password that somebody wants to have.
type Candidate struct {
	Password string
	// Names are what the person is called: username, e-mail address, display
	// name. Empty ones do not count.
	Names []string
	// Old are the hashes of earlier passwords, today's first; those past History
	// are not looked at, nor those that cannot be used.
	Old []string
	// At is when it is chosen: breach.SignUp or breach.Change.
	At breach.Moment
}

// Policy says what a new password must be. It is safe for concurrent use.
type Policy struct {
	cfg    Config
	hasher *Hasher
	listed *breach.Checker
	words  []string
}

// NewPolicy returns the policy of c. listed may be nil: then nothing is looked
// up. words are names of the service, such as the issuer's host, that make a
// password easy to guess.
func NewPolicy(c Config, h *Hasher, listed *breach.Checker, words ...string) *Policy {
	return &Policy{cfg: c, hasher: h, listed: listed, words: words}
}

// History is how many hashes of a person's last passwords to keep, today's
// included; 0 to 24.
func (p *Policy) History() int { return p.cfg.History }

// Check returns nil when the password may be chosen, or a *RefusedError. The
// Finding belongs into the audit log with either: a listed password that was only
// to be reported, or somebody who could not be asked. What costs a hash for each
// earlier password comes last and only when nothing else was wrong. Other errors
// are ErrBusy and that of ctx.
func (p *Policy) Check(ctx context.Context, c Candidate) (breach.Finding, error) {
	if err := Check(c.Password); err != nil {
		r := Refusal{Malformed, "The password is empty or not plain text."}
		if errors.Is(err, ErrTooLong) {
			r = Refusal{TooLong, fmt.Sprintf("The password has more than %d characters.", MaxRunes)}
		}
		return breach.Finding{}, &RefusedError{[]Refusal{r}}
	}
	refused := p.form(c)
	easy, err := p.easy(ctx, c)
	if err != nil {
		return breach.Finding{}, err
	}
	if easy {
		refused = append(refused, Refusal{TooEasy, "The password is too easy to guess; several unrelated words are better."})
	}
	var found breach.Finding
	if p.listed.At(c.At) {
		if found = p.listed.Check(ctx, c.Password); found.Listed && p.listed.Action() != breach.Report {
			refused = append(refused, Refusal{Breached, "The password was stolen elsewhere and is in the lists of those who guess; choose another."})
		}
	}
	if len(refused) == 0 {
		used, err := p.used(ctx, c)
		if err != nil {
			return found, err
		}
		if used {
			refused = append(refused, Refusal{UsedBefore, "The password was yours before; choose a new one."})
		}
	}
	if len(refused) > 0 {
		return found, &RefusedError{refused}
	}
	return found, nil
}

// form is what can be seen by looking.
func (p *Policy) form(c Candidate) []Refusal {
	var refused []Refusal
	if text := norm.NFC.String(c.Password); utf8.RuneCountInString(text) < p.cfg.MinLength {
		refused = append(refused, Refusal{TooShort, fmt.Sprintf("The password has fewer than %d characters.", p.cfg.MinLength)})
	}
	for _, class := range classes {
		if slices.Contains(p.cfg.Require, class.name) && !class.in(c.Password) {
			refused = append(refused, class.lack)
		}
	}
	folded := fold(c.Password)
	if folded != "" && slices.ContainsFunc(c.Names, func(name string) bool { return fold(name) == folded }) {
		refused = append(refused, Refusal{IsName, "The password is your own name or address."})
	}
	return refused
}

// used tells whether the password is one of the last ones.
func (p *Policy) used(ctx context.Context, c Candidate) (bool, error) {
	for _, old := range c.Old[:min(len(c.Old), p.cfg.History)] {
		s, err := parse(old)
		if err != nil {
			continue
		}
		// Whoever asks has proved to be the person; nothing is told by the time.
		same, _, err := p.hasher.compare(ctx, s, c.Password)
		if err != nil || same {
			return same, err
		}
	}
	return false, nil
}

// class is one kind of characters.
type class struct {
	name Class
	in   func(string) bool
	lack Refusal
}

var classes = []class{
	{Upper, anyOf(unicode.IsUpper), Refusal{NoUpper, "The password has no upper-case letter."}},
	{Lower, anyOf(unicode.IsLower), Refusal{NoLower, "The password has no lower-case letter."}},
	{Digit, anyOf(unicode.IsDigit), Refusal{NoDigit, "The password has no digit."}},
	{Symbol, hasSymbol, Refusal{NoSymbol, "The password has no symbol, such as . - ! or a space inside."}},
}

func anyOf(is func(rune) bool) func(string) bool {
	return func(s string) bool { return strings.ContainsFunc(s, is) }
}

// symbols are Cognito's (PasswordPolicyType.RequireSymbols); a space counts
// unless it stands at an end.
const symbols = "^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-"

func hasSymbol(s string) bool {
	return strings.ContainsAny(s, symbols) || strings.Contains(strings.Trim(s, " "), " ")
}

// fold makes one spelling of those that people take for the same.
func fold(s string) string {
	return strings.TrimSpace(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s))))
}
