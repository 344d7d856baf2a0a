package pool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/password"
	"gatehouse/idp/password/breach"
	"gatehouse/internal/audit"
)

// Hashes keeps the hashes of passwords that people had before, and exchanges
// today's for a better one of the same password.
type Hashes interface {
	// Remember adds a hash that is today's no more, and forgets all but the keep
	// newest ones.
	Remember(ctx context.Context, userID, hash string, keep int) error
	// Earlier returns up to n hashes that are today's no more, the newest first.
	Earlier(ctx context.Context, userID string, n int) ([]string, error)
	// Exchange puts a hash in the place of old, unless old is today's no more.
	Exchange(ctx context.Context, userID, old, hash string) error
	// Other returns anybody's hash of today that begins with none of known; "" if
	// there is none.
	Other(ctx context.Context, known []string) (string, error)
}

// mostKinds is how many kinds of hashes of elsewhere are measured at a start.
const mostKinds = 16

// ExpectHashes measures what the hashes of elsewhere cost that people have, so
// that from the first sign-in on no answer tells by its time whose they are. It
// takes three checks of each kind, and nothing where all hashes are ours.
func (p *Pool) ExpectHashes(ctx context.Context) error {
	known := []string{password.Ours()}
	for len(known) <= mostKinds {
		hash, err := p.has.Hashes.Other(ctx, known)
		if err != nil || hash == "" {
			return err
		}
		begin, err := password.Alike(hash)
		if err != nil {
			// It can be nobody's password, and is as much work as a stranger's.
			known = append(known, hash)
			continue
		}
		if err := p.has.Hasher.Expect(ctx, hash); err != nil {
			return err
		}
		known = append(known, begin)
	}
	return nil
}

// hash checks a password that u wants to have, or whoever becomes u, against the
// pool's demands, and hashes it. The error is ErrInvalid and a
// *password.RefusedError, or one of hashing.
func (p *Pool) hash(ctx context.Context, u User, pass string) (string, error) {
	c := password.Candidate{Password: pass, Names: []string{u.Username, u.Email, u.Phone, u.Name}, At: breach.SignUp}
	if !u.Created.IsZero() {
		c.At = breach.Change
	}
	if keep := p.has.Policy.History(); keep > 0 && u.PasswordHash != "" {
		earlier, err := p.has.Hashes.Earlier(ctx, u.ID, keep-1)
		if err != nil {
			return "", fmt.Errorf("read earlier passwords: %w", err)
		}
		c.Old = append([]string{u.PasswordHash}, earlier...)
	}
	found, err := p.has.Policy.Check(ctx, c)
	if recordErr := p.record(ctx, u, found, c.At); recordErr != nil {
		return "", recordErr
	}
	var refused *password.RefusedError
	if errors.As(err, &refused) {
		return "", fmt.Errorf("%w password: %w", ErrInvalid, refused)
	}
	if err != nil {
		return "", err
	}
	return p.has.Hasher.Hash(ctx, pass)
}

// stranger is u before it was made: a password of a new person.
func stranger(u User) User {
	u.Created = time.Time{}
	return u
}

// record writes down that a password is known to thieves, or that nobody could
// say.
func (p *Pool) record(ctx context.Context, u User, found breach.Finding, at breach.Moment) error {
	detail := map[string]string{"at": string(at)}
	if found.Failure != nil {
		if err := p.has.Journal.Append(ctx, audit.Event{Type: "password.lookup_failed", Target: u.ID, Detail: detail}); err != nil {
			return err
		}
	}
	if !found.Listed {
		return nil
	}
	detail["source"] = string(found.Source)
	return p.has.Journal.Append(ctx, audit.Event{Type: "password.listed", Target: u.ID, Detail: detail})
}

// remember keeps the hash that u had before a change, where the policy asks for
// earlier ones.
func (p *Pool) remember(ctx context.Context, before, after User) error {
	keep := p.has.Policy.History() - 1
	if keep < 1 || before.PasswordHash == "" || before.PasswordHash == after.PasswordHash {
		return nil
	}
	if err := p.has.Hashes.Remember(ctx, before.ID, before.PasswordHash, keep); err != nil {
		return fmt.Errorf("keep earlier password: %w", err)
	}
	return nil
}

// renew hashes a right password anew where its hash was made elsewhere, or of
// another cost. That it fails is no reason to refuse the person: the next sign-in
// tries again.
func (p *Pool) renew(ctx context.Context, u User, pass string) {
	if !password.NeedsRehash(u.PasswordHash) {
		return
	}
	h, err := p.has.Hasher.Hash(ctx, pass)
	if err == nil {
		err = p.has.Hashes.Exchange(ctx, u.ID, u.PasswordHash, h)
	}
	if err != nil {
		p.has.Log.WarnContext(ctx, "hash of a password not renewed", "user", u.ID, "error", err)
	}
}
