package account

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/idp/pool"
	"gatehouse/internal/opaque"
)

// purposeSignUp is what the codes and links of sign-ups are bound to.
const purposeSignUp Purpose = "sign-up"

// Wish is what somebody fills in who wants an account.
type Wish struct {
	// Username may be "" where people sign in with an e-mail address or a phone
	// number: it is the user's id then, as in Cognito. It must be "" where nobody
	// signs in with a username.
	Username, Email, Phone string
	Password               string
	// Attributes are standard attributes and custom ones, name included.
	Attributes map[string]string
	// Write are the attributes that may be among them, and whether there may be a
	// phone number; nil means those of the configuration, and that there may.
	// Required ones always may.
	Write []string
	// Browser is the secret of the browser. Mandatory.
	Browser string
	// Restart is a path of ours where the browser goes afterwards, "" for none.
	Restart string
	From    netip.Addr
}

// SignUp keeps a wish until it is confirmed, and returns its id. The answer and
// the work are the same whether the address or the username is known here or not:
// the owner of a known address is told so by message, and a username is looked at
// when the sign-up is confirmed. The same wish from the same browser is the same
// sign-up while that waits, and sends nothing. ErrClosed, a *FieldError, pool.ErrInvalid for
// the password, password.ErrBusy, a *LimitedError for the network.
func (a *Accounts) SignUp(ctx context.Context, w Wish) (string, error) {
	if !a.SignUpOpen() {
		return "", ErrClosed
	}
	if w.Browser == "" {
		return "", errors.New("sign up: no browser")
	}
	u, err := a.draft(w)
	if err != nil {
		return "", err
	}
	if err := a.network(ctx, "sign-up", w.From); err != nil {
		return "", err
	}
	// Nobody who is there yet: what is said of a password of a newcomer.
	u.ID, u.Created = "", time.Time{}
	h, err := a.hash(ctx, u, w.Password)
	if err != nil {
		return "", err
	}
	now := a.has.Now()
	s := SignUp{
		ID: a.wishID(w), Username: w.Username, Email: u.Email, Phone: u.Phone, Name: u.Name, Attributes: u.Attributes, PasswordHash: h,
		BrowserHash: hashBrowser(w.Browser), Restart: w.Restart, Created: now, Expires: now.Add(a.cfg.ConfirmWithin),
	}
	return s.ID, a.deliver(ctx, s, a.has.SignUps.Insert)
}

// wishID is the id of a sign-up: the same for the same wish from the same browser.
// A double click is one sign-up with one message, and what that brings counts on
// the page that the second click leads to. With another password it is another.
func (a *Accounts) wishID(w Wish) string {
	parts := []string{"wish", w.Browser, w.Username, w.Email, w.Phone, w.Password, w.Restart}
	for _, name := range slices.Sorted(maps.Keys(w.Attributes)) {
		parts = append(parts, name, w.Attributes[name])
	}
	return opaque.Encode(a.digest(parts...)[:16])
}

// draft checks everything about a wish that can be seen without looking at other
// users.
func (a *Accounts) draft(w Wish) (pool.User, error) {
	n := pool.NewUser{Username: w.Username, Email: w.Email, Phone: w.Phone, Attributes: maps.Clone(w.Attributes)}
	write := w.Write
	if write == nil {
		write = a.cfg.Attributes
	}
	write = slices.Concat(write, a.has.Pool.Schema().Required())
	for _, name := range slices.Sorted(maps.Keys(n.Attributes)) {
		if !slices.Contains(write, name) || name == "email" || name == "phone_number" {
			return pool.User{}, &FieldError{name, "it cannot be set here"}
		}
	}
	if w.Phone != "" && w.Write != nil && !slices.Contains(write, "phone_number") {
		return pool.User{}, &FieldError{"phone_number", "it cannot be set here"}
	}
	n.Name = n.Attributes["name"]
	delete(n.Attributes, "name")
	if w.Email == "" && (w.Phone == "" || !a.has.Messenger.Has(Phone)) {
		return pool.User{}, &FieldError{"email", "it is needed: something is sent there"}
	}
	if err := a.mayChoose(w.Username); err != nil {
		return pool.User{}, err
	}
	if w.Username == "" {
		if !a.has.Pool.SignsInWith(pool.ByEmail) && !a.has.Pool.SignsInWith(pool.ByPhone) {
			return pool.User{}, &FieldError{"username", "it is needed to sign in"}
		}
		n.Username = newID()
	}
	d, err := a.has.Pool.Draft(n)
	if err != nil {
		return pool.User{}, fieldOf(err)
	}
	for _, name := range a.has.Pool.Schema().Missing(d.User) {
		return pool.User{}, &FieldError{name, "it is needed"}
	}
	return d.User, nil
}

// mayChoose refuses a username where nobody signs in with one: the form does not
// ask for it, and a rule may name whoever has it. *FieldError.
func (a *Accounts) mayChoose(username string) error {
	if username != "" && !a.has.Pool.SignsInWith(pool.ByUsername) {
		return &FieldError{"username", "it cannot be set here"}
	}
	return nil
}

// fieldOf makes a *FieldError of what the pool says of a field, such as "invalid
// attribute custom:team: it has at most 64 characters".
func fieldOf(err error) error {
	var field *pool.FieldError
	if !errors.As(err, &field) || !errors.Is(err, pool.ErrInvalid) {
		return err
	}
	_, reason, _ := strings.Cut(field.Err.Error(), ": ")
	return &FieldError{field.Field, reason}
}

// deliver gives s a new code and link, keeps it with keep, and sends what the
// owner of the address must know, both or neither; neither if keep says that there
// is nothing to keep.
func (a *Accounts) deliver(ctx context.Context, s SignUp, keep func(context.Context, SignUp) (bool, error)) error {
	to, channel := s.reach()
	known, err := a.find(ctx, to)
	if err != nil {
		return err
	}
	before := s
	m := Message{
		Kind: ConfirmSignUp, Channel: channel, To: to, Locale: s.Attributes[locale],
		Code: newCode(codeDigits), Token: newToken(), Expires: s.Expires,
	}
	if known.ID != "" {
		m = alreadyRegistered(known, channel)
		s.CodeHash, s.LinkHash = nil, nil
	} else {
		s.CodeHash, s.LinkHash = a.hashCode(proof{purposeSignUp, s.ID, to, m.Code}), a.hashLink(purposeSignUp, m.Token)
	}
	err = a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		kept, err := keep(ctx, s)
		if err != nil {
			return err
		}
		if !kept {
			return a.has.Messenger.Pretend(ctx)
		}
		// Only what is kept counts: of equal wishes at once, each of which counted
		// first, the one that is kept could be one too many.
		may, err := a.mayWrite(ctx, string(purposeSignUp), pool.Canonical(to))
		if err != nil {
			return err
		}
		if may {
			return a.has.Messenger.Send(ctx, m)
		}
		// What is not sent cannot be guessed either, and what was sent before
		// still works.
		if err := a.has.SignUps.Resent(ctx, before); err != nil {
			return err
		}
		return a.has.Messenger.Pretend(ctx)
	})
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	return nil
}

// alreadyRegistered tells the owner of an address, at the address as they have it:
// what a stranger typed may be another mailbox whose name only reads the same.
func alreadyRegistered(owner pool.User, channel Channel) Message {
	m := Message{
		Kind: AlreadyRegistered, Channel: channel, To: owner.Email, UserID: owner.ID, Username: owner.Username, Locale: owner.Attribute(locale),
	}
	if channel == Phone {
		m.To = owner.Phone
	}
	return m
}

// Resend sends what belongs to a sign-up once more, to the browser that signed
// up, with a new code and link; a minute after the last and PerHour times in an
// hour, else silently not. The tries that were made stay counted. ErrClosed,
// ErrLink.
func (a *Accounts) Resend(ctx context.Context, id, browser string) error {
	s, err := a.Pending(ctx, id, browser)
	if err != nil {
		return err
	}
	early, err := a.early(ctx, "resend", id)
	if err != nil {
		return err
	}
	may, err := a.mayWrite(ctx, "resend", id)
	if err != nil || early || !may || a.has.Now().Sub(s.Created) < pause {
		// The code that was sent before still works.
		return err
	}
	return a.deliver(ctx, s, func(ctx context.Context, s SignUp) (bool, error) {
		return true, a.has.SignUps.Resent(ctx, s)
	})
}

// Pending returns the sign-up with that id if this browser made it and it has not
// expired, else ErrLink; ErrClosed. It changes nothing.
func (a *Accounts) Pending(ctx context.Context, id, browser string) (SignUp, error) {
	if !a.SignUpOpen() {
		return SignUp{}, ErrClosed
	}
	if id == "" || browser == "" {
		return SignUp{}, ErrLink
	}
	s, err := a.has.SignUps.Find(ctx, id)
	if err != nil {
		return SignUp{}, fmt.Errorf("find sign-up: %w", err)
	}
	if !a.live(s) || !hmac.Equal(hashBrowser(browser), s.BrowserHash) {
		return SignUp{}, ErrLink
	}
	return s, nil
}

// PendingLink is Pending by the token of a link, in any browser.
func (a *Accounts) PendingLink(ctx context.Context, token string) (SignUp, error) {
	if !a.SignUpOpen() {
		return SignUp{}, ErrClosed
	}
	s, err := findLink(a, purposeSignUp, token, func(hash []byte) (SignUp, error) { return a.has.SignUps.FindLink(ctx, hash) })
	if err != nil {
		return SignUp{}, fmt.Errorf("find sign-up: %w", err)
	}
	if !a.live(s) {
		return SignUp{}, ErrLink
	}
	return s, nil
}

// reach returns where what confirms a sign-up goes.
func (s SignUp) reach() (string, Channel) {
	if s.Email != "" {
		return s.Email, Email
	}
	return s.Phone, Phone
}

func (a *Accounts) live(s SignUp) bool { return a.has.Now().Before(s.Expires) }

// From tells whether a browser that holds secret made the sign-up.
func (s SignUp) From(secret string) bool {
	return secret != "" && hmac.Equal(hashBrowser(secret), s.BrowserHash)
}

// Waiting returns up to limit sign-ups that wait for their confirmation, by id,
// after the id `after` ("" for the first). They are no users: no name is theirs.
func (a *Accounts) Waiting(ctx context.Context, after string, limit int) ([]SignUp, error) {
	all, err := a.has.Unconfirmed.List(ctx, a.has.Now(), after, limit)
	if err != nil {
		return nil, fmt.Errorf("list sign-ups: %w", err)
	}
	return all, nil
}

// Status is pool.Unconfirmed: what lists say of a sign-up.
func (SignUp) Status() pool.Status { return pool.Unconfirmed }
