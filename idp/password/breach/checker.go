package breach

import (
	"context"
	"crypto/sha1"
	"errors"
	"slices"

	"golang.org/x/text/unicode/norm"
)

// Source is who knew about a password.
type Source string

const (
	// FromFilter is the filter file.
	FromFilter Source = "filter"
	// FromRange is the service at range_url.
	FromRange Source = "range"
)

// Finding is the answer of a check. It holds nothing of the password.
type Finding struct {
	// Listed says that the password was seen often enough.
	Listed bool
	// Count is how often it was seen; 0 when that is not known, as with a filter.
	Count int
	// Source is who answered; "" when nobody could.
	Source Source
	// Failure is why somebody who should have been asked did not answer, nil if
	// all went well. It belongs into the audit log, and says nothing of the
	// password; the rest of the Finding is what the others know.
	Failure error
}

// Checker looks passwords up. A nil Checker finds nothing. It is safe for
// concurrent use.
type Checker struct {
	cfg    Config
	filter *Filter
	ranges *Range
}

// Open opens what c names and returns nil when it names nothing. Besides the
// errors of opening a file it returns ErrFilter. Close it in the end.
func Open(c Config) (*Checker, error) {
	if c.Filter == "" && c.RangeURL == nil {
		return nil, nil
	}
	checker := &Checker{cfg: c}
	if c.Filter != "" {
		f, err := OpenFilter(c.Filter)
		if err != nil {
			return nil, err
		}
		checker.filter = f
	}
	if c.RangeURL != nil {
		checker.ranges = NewRange(c.RangeURL)
	}
	return checker, nil
}

// Close closes the filter file and idle connections.
func (c *Checker) Close() error {
	if c == nil {
		return nil
	}
	if c.ranges != nil {
		c.ranges.Close()
	}
	if c.filter != nil {
		return c.filter.Close()
	}
	return nil
}

// At tells whether passwords are looked up at m.
func (c *Checker) At(m Moment) bool { return c != nil && slices.Contains(c.cfg.At, m) }

// Action is what follows when a password is listed; "" of a nil Checker.
func (c *Checker) Action() Action {
	if c == nil {
		return ""
	}
	return c.cfg.Action
}

// Check looks password up. It takes at most 1s and whatever a read of the filter
// takes, a few microseconds.
func (c *Checker) Check(ctx context.Context, password string) Finding {
	if c == nil {
		return Finding{}
	}
	// SHA-1 is what the lists are made of; nothing is kept under it.
	sum := sha1.Sum(norm.NFC.Bytes([]byte(password)))
	var found Finding
	if c.ranges != nil {
		n, err := c.ranges.Count(ctx, sum)
		if err == nil {
			return Finding{Listed: n >= c.cfg.MinCount, Count: n, Source: FromRange}
		}
		found.Failure = err
	}
	if c.filter == nil {
		return found
	}
	listed, err := c.filter.Contains(sum)
	if err != nil {
		found.Failure = errors.Join(found.Failure, err)
		return found
	}
	found.Listed, found.Source = listed, FromFilter
	return found
}
