package pool

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"regexp"
	"slices"
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
	// ResetRequired is an account whose password counts no more: the person
	// chooses a new one with what is sent to them.
	ResetRequired Status = "RESET_REQUIRED"
	// Unconfirmed is a sign-up that nobody has confirmed. It is not a user yet:
	// no User has this status, and it reserves no name.
	Unconfirmed Status = "UNCONFIRMED"
)

// User is a member of the pool.
type User struct {
	// ID is the sub claim: a random UUID, never used again.
	ID string
	// Username is what the person is called, as first written; unique in its
	// canonical form among usernames and e-mail addresses.
	Username string
	// Email is the person's address, as first written, "" if none. Once it is
	// verified it is unique like Username, and a name to sign in with.
	Email         string
	EmailVerified bool
	// Phone is the person's number in E.164, such as +41791234567, "" if none.
	// Once it is verified it is unique like Username, and a name to sign in with.
	Phone         string
	PhoneVerified bool
	// Name is the display name, "" if none.
	Name string
	// Attributes are the other standard attributes and the custom ones, the
	// latter with custom: before their name; none of them is "". Nil for none.
	Attributes map[string]string
	// Enabled is false for a person who may not sign in.
	Enabled bool
	Status  Status
	// PasswordHash is a PHC string, "" for an account without a password. It
	// never leaves the provider.
	PasswordHash string
	// PasswordSet is when the password was set, zero if there is none.
	PasswordSet time.Time
	// Created and Updated are set by the pool.
	Created, Updated time.Time
}

// Canonical returns the one spelling under which a name is compared and
// counted: trimmed, NFKC, case folded, NFKC again. "ALICE", " alice" and
// "ａlice" are one name. A phone number loses the spaces and signs that people
// put between its digits.
func Canonical(name string) string {
	folded := cases.Fold().String(norm.NFKC.String(strings.TrimSpace(name)))
	folded = strings.TrimSpace(norm.NFKC.String(folded))
	if strings.HasPrefix(folded, "+") {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(" -.()/", r) {
				return -1
			}
			return r
		}, folded)
	}
	return folded
}

// Attribute returns the attribute of that name, whether it has a field of its
// own or not, "" if u does not have it.
func (u User) Attribute(name string) string {
	switch name {
	case "name":
		return u.Name
	case "email":
		return u.Email
	case "phone_number":
		return u.Phone
	}
	return u.Attributes[name]
}

// clone returns u with attributes of its own.
func (u User) clone() User {
	u.Attributes = maps.Clone(u.Attributes)
	return u
}

// keys returns the canonical names of u, each once: the username, and what has
// been shown to be the person's.
func (u User) keys() []string {
	names := []string{Canonical(u.Username)}
	if u.EmailVerified && u.Email != "" {
		names = append(names, Canonical(u.Email))
	}
	if u.PhoneVerified && u.Phone != "" {
		names = append(names, Canonical(u.Phone))
	}
	// A username may be the person's own address.
	return slices.Compact(names)
}

// named reports whether key, canonical, is one of those kinds of names of u.
func (u User) named(key string, kinds []string) bool {
	return slices.ContainsFunc(kinds, func(kind string) bool {
		switch kind {
		case ByEmail:
			return u.EmailVerified && key == Canonical(u.Email)
		case ByPhone:
			return u.PhoneVerified && key == u.Phone
		}
		return key == Canonical(u.Username)
	})
}

// check returns a FieldError that is ErrInvalid when u may not be stored.
func (u User) check(s Schema) error {
	if err := checkName("username", u.Username); err != nil {
		return inField("username", err)
	}
	if u.Email != "" {
		if err := checkEmail(u.Email); err != nil {
			return inField("email", err)
		}
	}
	if u.Phone != "" {
		if err := CheckPhone(u.Phone); err != nil {
			return inField("phone_number", err)
		}
	}
	if err := u.checkOwnName(); err != nil {
		return inField("username", err)
	}
	if utf8.RuneCountInString(u.Name) > 256 || strings.ContainsFunc(u.Name, unicode.IsControl) || !utf8.ValidString(u.Name) {
		return inField("name", fmt.Errorf("%w name: at most 256 characters and none of them control characters", ErrInvalid))
	}
	return s.Check(u.Attributes)
}

// phoneForm is E.164: at most fifteen digits, the first of which is no zero.
var phoneForm = regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)

// checkOwnName demands that a username in the form of an address or a number is
// the person's own, or it would wait for somebody else's.
func (u User) checkOwnName() error {
	key := Canonical(u.Username)
	if strings.ContainsRune(key, '@') && key != Canonical(u.Email) {
		return fmt.Errorf("%w username: one with @ must be the user's own e-mail address", ErrInvalid)
	}
	if strings.HasPrefix(key, "+") && key != u.Phone {
		return fmt.Errorf("%w username: one that begins with + must be the user's own phone number", ErrInvalid)
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
