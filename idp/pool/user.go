package pool

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

var (
	// ErrNotFound means that there is no such user or group.
	ErrNotFound = errors.New("not found in the user pool")
	// ErrExists means that the username, the e-mail address or the group's name
	// is taken, perhaps in another spelling, or as the other kind of name.
	ErrExists = errors.New("name is already taken in the user pool")
	// ErrInvalid means that a field is not what it must be; the error's text
	// says which and why, and holds no secret.
	ErrInvalid = errors.New("invalid")
	// ErrWrongPassword means: no such user, wrong password, disabled, or no
	// password set. It is one error so that nobody learns which.
	ErrWrongPassword = errors.New("unknown user or wrong password")
)

// Status is how far an account has come; Cognito's words (UserStatusType).
type Status string

const (
	// Confirmed is an account in use.
	Confirmed Status = "CONFIRMED"
	// ForceChangePassword is an account with a password somebody else chose.
	ForceChangePassword Status = "FORCE_CHANGE_PASSWORD"
)

// User is a member of the pool.
type User struct {
	// ID is the sub claim: a random UUID, never used again.
	ID string
	// Username is what the person is called, as first written; unique in its
	// canonical form among usernames and e-mail addresses.
	Username string
	// Email is the person's address, as first written, "" if none; unique like
	// Username.
	Email         string
	EmailVerified bool
	// Name is the display name, "" if none.
	Name string
	// Enabled is false for a person who may not sign in.
	Enabled bool
	Status  Status
	// PasswordHash is a PHC string, "" for an account without a password. It
	// never leaves the provider.
	PasswordHash string
	// Created and Updated are set by the pool.
	Created, Updated time.Time
}

// Canonical returns the one spelling under which a name is compared and
// counted: trimmed, NFKC, case folded, NFKC again. "ALICE", " alice" and
// "ａlice" are one name.
func Canonical(name string) string {
	folded := cases.Fold().String(norm.NFKC.String(strings.TrimSpace(name)))
	return strings.TrimSpace(norm.NFKC.String(folded))
}

// keys returns the canonical names of u, each once.
func (u User) keys() []string {
	names := []string{Canonical(u.Username)}
	if key := Canonical(u.Email); u.Email != "" && key != names[0] {
		names = append(names, key)
	}
	return names
}

// check returns ErrInvalid with a reason when u may not be stored.
func (u User) check() error {
	if err := checkName("username", u.Username); err != nil {
		return err
	}
	if u.Email != "" {
		if err := checkEmail(u.Email); err != nil {
			return err
		}
	}
	// A username in the form of an address must be the person's own address, or
	// it would wait for somebody else's.
	if strings.ContainsRune(Canonical(u.Username), '@') && Canonical(u.Username) != Canonical(u.Email) {
		return fmt.Errorf("%w username: one with @ must be the user's own e-mail address", ErrInvalid)
	}
	if utf8.RuneCountInString(u.Name) > 256 || strings.ContainsFunc(u.Name, unicode.IsControl) || !utf8.ValidString(u.Name) {
		return fmt.Errorf("%w name: at most 256 characters and none of them control characters", ErrInvalid)
	}
	return nil
}

// checkName demands 1 to 128 visible characters without spaces.
func checkName(what, name string) error {
	if name == "" || utf8.RuneCountInString(name) > 128 || !utf8.ValidString(name) {
		return fmt.Errorf("%w %s: it has 1 to 128 characters", ErrInvalid, what)
	}
	for _, r := range name {
		// Invisible characters (Cf: zero width, direction) make twins of a name.
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
			return fmt.Errorf("%w %s: spaces, control and invisible characters are not allowed", ErrInvalid, what)
		}
	}
	if Canonical(name) == "" {
		return fmt.Errorf("%w %s: it has 1 to 128 characters", ErrInvalid, what)
	}
	return nil
}

// checkEmail demands one bare address of at most 254 bytes.
func checkEmail(email string) error {
	addr, err := mail.ParseAddress(email)
	if err != nil || addr.Address != email || addr.Name != "" || len(email) > 254 || strings.ContainsAny(email, "\" \t\r\n") {
		return fmt.Errorf("%w e-mail address: it looks like name@example.com", ErrInvalid)
	}
	return checkName("e-mail address", email)
}
