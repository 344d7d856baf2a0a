package sso

import (
	"context"
	"slices"
)

// List returns the sessions of a person that are still good, the newest
// first.
func (k *Keeper) List(ctx context.Context, userID string) ([]Session, error) {
	all, err := k.sessions.OfUser(ctx, userID)
	if err != nil {
		return nil, err
	}
	now := k.now()
	return slices.DeleteFunc(all, func(s Session) bool {
		return !now.Before(s.Expires) || now.Sub(s.Seen) >= k.cfg.Idle
	}), nil
}
