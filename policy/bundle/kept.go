package bundle

import (
	"context"
	"errors"

	"gatehouse/policy"
)

// errNotKept says that no copy of a bundle is ever kept.
var errNotKept = errors.New("no copy is kept of this bundle")

// LoadKept returns the copy that an earlier Load or Run left on disk, verified
// anew; it asks nobody. It is for programs that only look.
func (s *Source) LoadKept(ctx context.Context) (policy.Bundle, error) {
	if s.opts.Dir == "" || s.url == nil {
		return policy.Bundle{}, errNotKept
	}
	return s.loadKept(ctx)
}
