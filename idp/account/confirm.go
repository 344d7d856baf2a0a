package account

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"
)

// Confirmation is what somebody comes back with after a sign-up.
type Confirmation struct {
	// ID and Browser are the sign-up and the secret of the browser that made it;
	// with a Token, Browser may be "" or another's.
	ID, Browser string
	// Code is six digits. They count in the browser that signed up alone.
	Code string
	// Token is what a link carries.
	Token string
	// Password is the one of the sign-up, needed with a Token in another browser:
	// whoever signs up with somebody else's address must not have it confirmed by
	// a click of its owner.
	Password string
	// Username is wanted in place of the one that was taken; "" for none.
	Username string
}

// Confirm makes the user of a sign-up and returns it with the sign-up, which is
// consumed: of callers at once one succeeds. ErrClosed, ErrLink, ErrWrongCode,
// ErrTooManyTries, ErrWrongPassword, ErrAddressTaken, a *NameTakenError, a
// *FieldError for Username, password.ErrBusy.
func (a *Accounts) Confirm(ctx context.Context, c Confirmation) (pool.User, SignUp, error) {
	s, err := a.proved(ctx, c)
	if err != nil {
		return pool.User{}, SignUp{}, err
	}
	if err := a.mayChoose(c.Username); err != nil {
		return pool.User{}, SignUp{}, err
	}
	if c.Username != "" {
		n, _, err := a.raise(ctx, hour, "name", s.ID)
		if err != nil {
			return pool.User{}, SignUp{}, err
		}
		if n > nameTries {
			return pool.User{}, SignUp{}, ErrTooManyTries
		}
		s.Username = c.Username
	}
	// A wish of before the configuration was changed.
	if a.mayChoose(s.Username) != nil {
		s.Username = ""
	}
	n := s.user()
	if _, err := a.has.Pool.Draft(n); err != nil {
		return pool.User{}, SignUp{}, fieldOf(err)
	}
	var u pool.User
	err = a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		was, err := a.has.SignUps.Take(ctx, s.ID)
		if err != nil {
			return err
		}
		if !was {
			return ErrLink
		}
		if err := a.unburied(ctx, n); err != nil {
			return err
		}
		if u, err = a.has.Pool.Add(ctx, n); err != nil {
			return err
		}
		return a.has.Journal.Append(ctx, audit.Event{Type: "user.signed_up", Target: u.ID, Actor: u.Username})
	})
	if errors.Is(err, pool.ErrExists) {
		return pool.User{}, SignUp{}, a.taken(ctx, s, c.Token)
	}
	if err != nil {
		return pool.User{}, SignUp{}, fmt.Errorf("confirm sign-up: %w", err)
	}
	return u, s, nil
}

// unburied returns pool.ErrExists for the username of somebody who was deleted:
// rules, and the records of applications, may still name them. One's own address
// is one's own again.
func (a *Accounts) unburied(ctx context.Context, n pool.NewUser) error {
	key := pool.Canonical(n.Username)
	if key == pool.Canonical(n.Email) || key == pool.Canonical(n.Phone) {
		return nil
	}
	buried, err := a.has.Pool.Buried(ctx, n.Username)
	if err == nil && buried {
		err = pool.ErrExists
	}
	return err
}

// user is what the pool makes of a confirmed sign-up.
func (s SignUp) user() pool.NewUser {
	n := pool.NewUser{
		ID: newID(), Username: s.Username, Email: s.Email, EmailVerified: s.Email != "", Phone: s.Phone,
		PhoneVerified: s.Email == "", Name: s.Name, Attributes: s.Attributes, PasswordHash: s.PasswordHash,
	}
	if n.Username == "" {
		n.Username = n.ID
	}
	return n
}

// proved returns the sign-up that c proves. Each try is counted before it is
// looked at, and no message in between gives it back.
func (a *Accounts) proved(ctx context.Context, c Confirmation) (SignUp, error) {
	if c.Token == "" {
		s, err := a.Pending(ctx, c.ID, c.Browser)
		if err != nil {
			return SignUp{}, err
		}
		to, _ := s.reach()
		n, _, err := a.raise(ctx, addressWindow, "try", string(purposeSignUp), pool.Canonical(to))
		if err != nil {
			return SignUp{}, err
		}
		if err := a.countCode(ctx, s); err != nil {
			return SignUp{}, err
		}
		if n > addressTries {
			return SignUp{}, ErrTooManyTries
		}
		if !a.proves(proof{purposeSignUp, s.ID, to, c.Code}, s.CodeHash) {
			return SignUp{}, ErrWrongCode
		}
		if s.Email == "" {
			return s, nil
		}
		return s, a.lower(ctx, sprayed...)
	}
	s, err := a.PendingLink(ctx, c.Token)
	if err != nil || s.From(c.Browser) {
		return s, err
	}
	if err := a.countSignUp(ctx, s.ID); err != nil {
		return SignUp{}, err
	}
	err = a.has.Hasher.Verify(ctx, s.PasswordHash, c.Password)
	if errors.Is(err, password.ErrWrong) || errors.Is(err, password.ErrForm) || errors.Is(err, password.ErrTooLong) {
		return SignUp{}, ErrWrongPassword
	}
	return s, err
}

// sprayed names the count of wrong codes of everybody.
var sprayed = []string{"try", string(purposeSignUp)}

// countCode counts an answer with a code: to this sign-up, and to all together.
func (a *Accounts) countCode(ctx context.Context, s SignUp) error {
	if err := a.countSignUp(ctx, s.ID); err != nil || s.Email == "" {
		return err
	}
	n, _, err := a.raise(ctx, hour, sprayed...)
	if err == nil && n > sprayTries {
		err = ErrTooManyTries
	}
	return err
}

func (a *Accounts) countSignUp(ctx context.Context, id string) error {
	n, err := a.has.SignUps.CountTry(ctx, id)
	if err != nil {
		return fmt.Errorf("count try: %w", err)
	}
	if n > codeTries {
		return ErrTooManyTries
	}
	return nil
}

// taken tells which name of a sign-up somebody else has. Whoever gets here has
// shown that the address is theirs, so that they may know.
func (a *Accounts) taken(ctx context.Context, s SignUp, token string) error {
	to, _ := s.reach()
	owner, err := a.find(ctx, to)
	if err != nil {
		return err
	}
	if owner.ID != "" {
		return ErrAddressTaken
	}
	if token != "" {
		return &NameTakenError{Token: token}
	}
	// A new token in place of the code, so that choosing a name costs no tries.
	token = newToken()
	s.CodeHash, s.LinkHash = nil, a.hashLink(purposeSignUp, token)
	if err := a.has.SignUps.Resent(ctx, s); err != nil {
		return fmt.Errorf("keep sign-up: %w", err)
	}
	return &NameTakenError{Token: token}
}
