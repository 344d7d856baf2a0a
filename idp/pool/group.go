package pool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Group is a set of users; groups do not nest.
type Group struct {
	// Name is unique and compared byte for byte, as in rules and tokens.
	Name        string
	Description string
	// Precedence orders the groups of a user: the lowest first, nil last
	// (Cognito GroupType.Precedence). It is at least 0.
	Precedence *int
	// RoleARN is a role of identity pools, "" if none.
	RoleARN string
}

// check returns ErrInvalid with a reason when g may not be stored.
func (g Group) check() error {
	if err := checkName("group name", g.Name); err != nil {
		return err
	}
	// The default header joins groups with commas.
	if strings.ContainsRune(g.Name, ',') {
		return fmt.Errorf("%w group name: a comma is not allowed", ErrInvalid)
	}
	if utf8.RuneCountInString(g.Description) > 2048 || len(g.RoleARN) > 2048 {
		return fmt.Errorf("%w group: description and role have at most 2,048 characters", ErrInvalid)
	}
	if g.Precedence != nil && *g.Precedence < 0 {
		return fmt.Errorf("%w group precedence: it is 0 or more", ErrInvalid)
	}
	return nil
}

// ByPrecedence sorts groups: lowest precedence first, none last, then by name.
func ByPrecedence(groups []Group) {
	slices.SortFunc(groups, func(a, b Group) int {
		switch {
		case a.Precedence == nil && b.Precedence != nil:
			return 1
		case a.Precedence != nil && b.Precedence == nil:
			return -1
		case a.Precedence != nil && *a.Precedence != *b.Precedence:
			return cmp.Compare(*a.Precedence, *b.Precedence)
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// Names returns the names of groups in their order; nil for none.
func Names(groups []Group) []string {
	var names []string
	for _, g := range groups {
		names = append(names, g.Name)
	}
	return names
}
