package client

import (
	"fmt"
	"regexp"
	"slices"
)

// The scopes of OpenID Connect (Core §5.4), which belong to no resource server
// and need a person.
const (
	OpenID  = "openid"
	Email   = "email"
	Profile = "profile"
	Phone   = "phone"
	// UserAdmin is what Cognito's API asks of a token that reads and changes its own
	// user. Nothing of ours takes it for more than its name.
	UserAdmin = "aws.cognito.signin.user.admin"
)

// standard are the scopes that exist without a resource server.
var standard = []string{OpenID, Email, Profile, Phone, UserAdmin}

// Standard reports whether scope is one of OpenID Connect's or Cognito's own.
func Standard(scope string) bool { return slices.Contains(standard, scope) }

// ResourceServer is an API that scopes belong to.
type ResourceServer struct {
	// ID is unique: 1 to 256 printable characters without space, " and \.
	ID string
	// Name is for people to read.
	Name string
}

// Scope is what a client may be allowed at a resource server.
type Scope struct {
	// Name is the full name, unique in the pool: orders.read, or Cognito's
	// id/name. 1 to 256 characters of RFC 6749 §3.3.
	Name string
	// Server is the id of the resource server it belongs to.
	Server      string
	Description string
	// Groups ties the scope to people: only a user in one of these groups is
	// given it, and no machine. Empty means that it is not tied.
	Groups []string
}

var (
	scopePattern  = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,256}$`)
	serverPattern = scopePattern
)

// CheckScope returns ErrInvalid unless name is a scope token (RFC 6749 §3.3) of
// at most 256 characters.
func CheckScope(name string) error {
	if !scopePattern.MatchString(name) {
		return fmt.Errorf("%w: scope %q has 1 to 256 printable characters without space, quote and backslash", ErrInvalid, name)
	}
	return nil
}

func (s Scope) check() error {
	if err := CheckScope(s.Name); err != nil {
		return err
	}
	if Standard(s.Name) || s.Name == "offline_access" || s.Name == "address" {
		return fmt.Errorf("%w: scope %q is OpenID Connect's own", ErrInvalid, s.Name)
	}
	if len(s.Description) > 256 || len(s.Groups) > 100 {
		return fmt.Errorf("%w: scope %q has a description of at most 256 bytes and at most 100 groups", ErrInvalid, s.Name)
	}
	return nil
}

// grantable reports whether s may be given to a member of groups.
func (s Scope) grantable(groups []string) bool {
	return len(s.Groups) == 0 || slices.ContainsFunc(s.Groups, func(g string) bool { return slices.Contains(groups, g) })
}
