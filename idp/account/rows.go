package account

import (
	"context"
	"crypto/subtle"
	"time"
)

// Purpose says what a code is for; it opens nothing else.
type Purpose string

// The purposes.
const (
	ForReset     Purpose = "reset"      // a link to choose a new password
	ForResetCode Purpose = "reset-code" // eight digits to a phone, for the same
	ForEmail     Purpose = "email"      // eight digits to a new e-mail address
	ForPhone     Purpose = "phone"      // eight digits to a new number
	ForInvite    Purpose = "invite"     // a link to set up an account
)

// Code is what was sent to somebody who is to prove something with it. There is
// one for each purpose and owner.
type Code struct {
	Purpose Purpose
	// Owner is the id of a user, or names nobody.
	Owner string
	// CodeHash and LinkHash are HMACs of what was sent; nil for none. A ForResetCode
	// has a LinkHash of the browser that asked.
	CodeHash, LinkHash []byte
	// Target is the address or number that it proves, "" for none.
	Target string
	// Bound is a digest of what must not have changed since.
	Bound []byte
	// Tries counts the answers; only CountTry raises it.
	Tries            int
	Created, Expires time.Time
	// Asked is where a new password was asked for; zero with other purposes.
	Asked Asked
}

// Asked is the page from which a new password was asked for, in its browser.
type Asked struct {
	// Flow is the id of the sign-in flow of the page, "" for none.
	Flow string
	// BrowserHash is the SHA-256 of the secret that the browser has for Flow.
	BrowserHash []byte
	// Restart is a path of ours where the browser goes afterwards, "" for none.
	Restart string
}

// RestartIn returns Restart for the browser that asked, by its secret for Flow; ""
// for any other one: where somebody else began to sign in, nobody is led to go on.
func (q Asked) RestartIn(browser string) string {
	if browser == "" || subtle.ConstantTimeCompare(hashBrowser(browser), q.BrowserHash) != 1 {
		return ""
	}
	return q.Restart
}

// Codes keeps codes. All methods are safe for concurrent use and take part in
// the transaction of their context.
type Codes interface {
	// Put adds a code with no tries, in place of the one of the same purpose and
	// owner.
	Put(ctx context.Context, c Code) error
	// FindLink returns the code of that purpose and link, expired or not, or
	// ErrLink.
	FindLink(ctx context.Context, p Purpose, linkHash []byte) (Code, error)
	// CountTry raises Tries by one in one statement and returns the code as it
	// is then, expired or not; ErrWrongCode if there is none.
	CountTry(ctx context.Context, p Purpose, owner string) (Code, error)
	// Take removes exactly this code and reports whether it was there: of callers
	// at once one is told true.
	Take(ctx context.Context, c Code) (bool, error)
	// Drop removes the code of that purpose and owner, if there is one.
	Drop(ctx context.Context, p Purpose, owner string) error
}

// SignUp is what somebody typed who wants an account.
type SignUp struct {
	// ID is 128 bits that nobody else can guess, base64url.
	ID                           string
	Username, Email, Phone, Name string
	Attributes                   map[string]string
	PasswordHash                 string
	// BrowserHash is the SHA-256 of the secret of the browser.
	BrowserHash []byte
	// CodeHash and LinkHash are HMACs of what was sent; nil when that was neither
	// code nor link.
	CodeHash, LinkHash []byte
	// Tries counts the answers, whatever was sent in between; only CountTry
	// raises it.
	Tries int
	// Restart is a path of ours where the browser goes afterwards, "" for none.
	Restart          string
	Created, Expires time.Time
}

// SignUps keeps sign-ups. All methods are safe for concurrent use and take part
// in the transaction of their context.
type SignUps interface {
	// Insert adds a sign-up, in the place of one with its ID that had expired when
	// it was Created, and reports whether it did: of callers at once one is told
	// true. One that lives stays as it is.
	Insert(ctx context.Context, s SignUp) (bool, error)
	// Find returns a sign-up, expired or not, or ErrLink.
	Find(ctx context.Context, id string) (SignUp, error)
	// FindLink returns the sign-up of that link, expired or not, or ErrLink.
	FindLink(ctx context.Context, linkHash []byte) (SignUp, error)
	// Resent replaces CodeHash and LinkHash and nothing else; ErrLink if the
	// sign-up is gone.
	Resent(ctx context.Context, s SignUp) error
	// CountTry raises Tries by one in one statement and returns the new count;
	// ErrLink if the sign-up is gone.
	CountTry(ctx context.Context, id string) (int, error)
	// Take removes a sign-up and reports whether it was there: of callers at once
	// one is told true.
	Take(ctx context.Context, id string) (bool, error)
}

// Unconfirmed lists sign-ups that nobody has confirmed.
type Unconfirmed interface {
	// List returns up to limit sign-ups with a code that live at now, by id,
	// after the id `after`.
	List(ctx context.Context, now time.Time, after string, limit int) ([]SignUp, error)
}

// Limits counts how often something was asked for. All methods are safe for
// concurrent use. A transaction that is rolled back takes its counts along: call
// Raise in one only where it takes along all that they are counts of.
type Limits interface {
	// Raise counts one more for key in one statement and returns how many there
	// are within a window that began with the first, and when that ends.
	Raise(ctx context.Context, key string, now time.Time, window time.Duration) (int, time.Time, error)
	// Lower takes back one that turned out not to count, in one statement.
	Lower(ctx context.Context, key string) error
}
