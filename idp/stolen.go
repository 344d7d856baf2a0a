package idp

import (
	"context"
	"log/slog"

	"gatehouse/idp/password/breach"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/internal/audit"
)

// listed looks up right passwords at sign-in, where that is configured.
type listed struct {
	checker *breach.Checker
	journal audit.Journal
	log     *slog.Logger
}

func stolen(d Deps) signin.Stolen {
	if !d.Listed.At(breach.SignIn) {
		return nil
	}
	return listed{d.Listed, d.DB, d.Log}
}

// Look implements signin.Stolen.
func (l listed) Look(ctx context.Context, u pool.User, password string) signin.Leak {
	found := l.checker.Check(ctx, password)
	if found.Failure != nil {
		l.log.WarnContext(ctx, "list of stolen passwords not asked", "error", found.Failure)
		l.record(ctx, audit.Event{Type: "password.lookup_failed", Target: u.ID})
	}
	if !found.Listed {
		return signin.NotStolen
	}
	action := l.checker.Action()
	l.record(ctx, audit.Event{
		Type: "password.listed", Target: u.ID,
		Detail: map[string]string{"at": string(breach.SignIn), "source": string(found.Source), "action": string(action)},
	})
	switch action {
	case breach.Report:
		return signin.NotStolen
	case breach.RequireChange:
		return signin.StolenChange
	}
	return signin.StolenBlocked
}

func (l listed) record(ctx context.Context, e audit.Event) {
	if err := l.journal.Append(ctx, e); err != nil {
		l.log.ErrorContext(ctx, "look-up of a password not recorded", "error", err)
	}
}
