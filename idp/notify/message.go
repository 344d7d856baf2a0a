package notify

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Channel is a way to reach a person.
type Channel string

// The channels.
const (
	Email Channel = "email"
	SMS   Channel = "sms"
)

// Channels returns all channels.
func Channels() []Channel { return []Channel{Email, SMS} }

// Kind is what a message says. The list is closed: each kind has its texts.
type Kind string

// The kinds. Code and Link tell which of the two a message must carry.
const (
	ConfirmSignUp        Kind = "confirm_sign_up"        // code, link or both; to an unproven address
	AlreadyRegistered    Kind = "already_registered"     // somebody signed up with a known address; Link to sign in, if any
	ResetPassword        Kind = "reset_password"         // code or link
	PasswordChanged      Kind = "password_changed"       // notice
	ConfirmEmail         Kind = "confirm_email"          // code or link, to the new and unproven address
	EmailChangeRequested Kind = "email_change_requested" // notice to the old address; New is the other
	EmailChanged         Kind = "email_changed"          // notice to the old address, and to the new one; Old, New
	VerifyPhone          Kind = "verify_phone"           // code, to an unproven number
	SignInCode           Kind = "sign_in_code"           // code of a second factor, by mail or SMS
	FactorAdded          Kind = "factor_added"           // notice; Factor
	FactorRemoved        Kind = "factor_removed"         // notice; Factor
	NewDevice            Kind = "new_device"             // notice; Device, if known
	Invitation           Kind = "invitation"             // User and link
	AccountLocked        Kind = "account_locked"         // notice
	AccountDeleted       Kind = "account_deleted"        // notice
	Test                 Kind = "test"                   // of the operator, to see whether messages arrive
)

// Kinds returns every kind, sorted.
func Kinds() []Kind {
	var all []Kind
	for k := range kinds {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// need is what a kind must carry.
type need int

const (
	nothing need = iota
	codeOnly
	codeOrLink
	linkOnly
)

// kind is what is fixed about a Kind.
type kind struct {
	channels []Channel
	need     need
	// stranger tells that the address is not proven to be the user's. Names are
	// left out of such messages: whoever fills in a form would otherwise choose
	// the words that we send to somebody else.
	stranger bool
}

var (
	byMail  = []Channel{Email}
	byPhone = []Channel{SMS}
	byBoth  = []Channel{Email, SMS}
)

var kinds = map[Kind]kind{
	ConfirmSignUp:        {channels: byMail, need: codeOrLink, stranger: true},
	AlreadyRegistered:    {channels: byBoth},
	ResetPassword:        {channels: byBoth, need: codeOrLink},
	PasswordChanged:      {channels: byBoth},
	ConfirmEmail:         {channels: byMail, need: codeOrLink, stranger: true},
	EmailChangeRequested: {channels: byMail},
	EmailChanged:         {channels: byMail},
	VerifyPhone:          {channels: byPhone, need: codeOnly, stranger: true},
	SignInCode:           {channels: byBoth, need: codeOnly},
	FactorAdded:          {channels: byMail},
	FactorRemoved:        {channels: byMail},
	NewDevice:            {channels: byMail},
	Invitation:           {channels: byMail, need: linkOnly},
	AccountLocked:        {channels: byMail},
	AccountDeleted:       {channels: byMail},
	Test:                 {channels: byBoth},
}

// ErrInvalid means a message that cannot be sent as it is: a mistake of the
// caller, or an address that is none. Its text never holds what was given.
var ErrInvalid = errors.New("message cannot be sent")

// MaxWait is the longest that a message may wait for delivery. It is also how
// long one waits that has no Expires.
const MaxWait = 72 * time.Hour

// Message is one thing to tell one person.
type Message struct {
	Kind    Kind    `json:"kind"`
	Channel Channel `json:"channel"`
	// To is a mail address without a name (dana@example.com), or a phone number
	// in E.164 form (+4930123456).
	To string `json:"to"`
	// Lang is a BCP 47 tag; a language without texts, or "", is English.
	Lang string `json:"lang,omitempty"`
	// UserID is whom the message is about, for the record; "" for nobody yet.
	UserID string `json:"user_id,omitempty"`
	// Expires is when the message has become worthless, such as the end of its
	// code; it is erased then. Mandatory with a code, a link that proves
	// something or a password. Zero, and more than MaxWait, is MaxWait.
	Expires time.Time `json:"expires"`
	Data    Data      `json:"data"`
}

// Data is what the texts are filled in with. What people chose (User, Device) is
// cut, cleaned of control characters, and left out where it looks like a link.
type Data struct {
	// App is the application or installation as its people know it.
	App string `json:"app,omitempty"`
	// User is the username. It stands in no message to an unproven address.
	User string `json:"user,omitempty"`
	// Code is 4 to 12 ASCII letters or digits to type in.
	Code string `json:"code,omitempty"`
	// Host is the host of the page where Code is typed in. Given, mail and text
	// messages end with the line by which browsers offer the code there alone.
	Host string `json:"host,omitempty"`
	// Link is an https URL of ours (http on loopback), at most 2,048 bytes.
	Link string `json:"link,omitempty"`
	// Old and New are mail addresses.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// Factor is a second factor in words, such as "authenticator app".
	Factor string `json:"factor,omitempty"`
	// Device is a browser or device in words, such as "Firefox on Linux".
	Device string `json:"device,omitempty"`
	// At is when it happened; zero leaves it out.
	At time.Time `json:"at,omitzero"`
}

const (
	maxAddress = 254 // RFC 5321 §4.5.3.1.3, without the angle brackets
	maxLink    = 2048
	maxWord    = 64 // characters of a name
)

var (
	phone    = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	codeForm = regexp.MustCompile(`^[0-9A-Za-z]{4,12}$`)
	hostForm = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$`)
)

// Check returns ErrInvalid with the reason, in words that tell nobody's secrets.
func (m Message) Check() error {
	invalid := func(why string) error { return fmt.Errorf("%w: %s", ErrInvalid, why) }
	k, known := kinds[m.Kind]
	switch {
	case !known:
		return invalid("unknown kind")
	case !slices.Contains(k.channels, m.Channel):
		return invalid(string(m.Kind) + " is not sent by " + string(m.Channel))
	case m.Channel == Email && !ValidAddress(m.To):
		return invalid("the recipient is no mail address")
	case m.Channel == SMS && !phone.MatchString(m.To):
		return invalid("the recipient is no phone number")
	case m.Expires.IsZero() && k.need != nothing:
		return invalid(string(m.Kind) + " has no expiry")
	}
	if why := m.Data.check(); why != "" {
		return invalid(why)
	}
	if why := m.carries(k.need); why != "" {
		return invalid(string(m.Kind) + " " + why)
	}
	return nil
}

func (m Message) carries(n need) string {
	d := m.Data
	switch {
	case n == codeOnly && d.Code == "":
		return "has no code"
	case n == codeOrLink && d.Code == "" && (d.Link == "" || m.Channel == SMS):
		return "has neither code nor link"
	case n == linkOnly && d.Link == "":
		return "has no link"
	}
	return ""
}

func (d Data) check() string {
	switch {
	case d.Code != "" && !codeForm.MatchString(d.Code):
		return "the code is not 4 to 12 letters or digits"
	case d.Host != "" && !hostForm.MatchString(d.Host):
		return "the host is none"
	case d.Link != "" && !goodLink(d.Link):
		return "the link is not an https URL"
	case d.Old != "" && !ValidAddress(d.Old) || d.New != "" && !ValidAddress(d.New):
		return "the old or new address is none"
	}
	return ""
}

// ValidAddress tells whether s is one plain mail address, as it goes into an
// envelope: no name, no brackets, no comment, no white space, no control
// characters, at most 254 bytes.
func ValidAddress(s string) bool {
	if len(s) > maxAddress || !utf8.ValidString(s) || strings.ContainsAny(s, "<>\"(),:;[]\\ \t\r\n") || s != printable(s) {
		return false
	}
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

func goodLink(s string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > maxLink || s != printable(s) || strings.ContainsAny(s, " \"'<>`") || u.Host == "" || u.User != nil {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}

// printable drops what nobody can see: control, format and line characters, and
// bytes that are no UTF-8.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, s)
}

// word returns s as part of one line: without control characters, each run of
// white space one space, at most maxWord characters.
func word(s string) string {
	if len(s) > 16*maxWord {
		s = s[:16*maxWord]
	}
	runes := []rune(printable(strings.Join(strings.Fields(s), " ")))
	if len(runes) > maxWord {
		runes = append(runes[:maxWord-1], '…')
	}
	return string(runes)
}

// linklike is what mail programs turn into a link by themselves, generously: a
// scheme, a slash, or a dot between letters.
var linklike = regexp.MustCompile(`[/\\:]|[\p{L}\p{N}][.。．｡][\p{L}]`)

// name is word for what a person chose freely; "" where it looks like a link,
// for a message of ours must not carry somebody's advertisement.
func name(s string) string {
	s = word(s)
	if linklike.MatchString(s) {
		return ""
	}
	return s
}
