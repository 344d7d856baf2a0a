package store

import (
	"context"
	"fmt"
	"time"

	"gatehouse/idp/client"
)

const (
	qSweepCodes     = `DELETE FROM grant_code WHERE expires <= $1`
	qSweepUsed      = `DELETE FROM grant_code_used WHERE expires <= $1`
	qSweepFlows     = `DELETE FROM signin_flow WHERE expires <= $1`
	qSweepSessions  = `DELETE FROM sso_session WHERE expires <= $1`
	qSweepRevokes   = `DELETE FROM revocation WHERE expires <= $1`
	qSweepFamilies  = `DELETE FROM grant_family WHERE expires <= $1`
	qSweepTries     = `DELETE FROM signin_try WHERE latest <= $1 AND until <= $2`
	qSweepSent      = `DELETE FROM mfa_sent WHERE expires <= $1`
	qSweepDevices   = `DELETE FROM mfa_device WHERE expires <= $1`
	qSweepSpent     = `DELETE FROM mfa_spent WHERE expires <= $1`
	qSweepCounts    = `DELETE FROM mfa_count WHERE latest <= $1`
	qSweepSignUps   = `DELETE FROM account_signup WHERE expires <= $1`
	qSweepAccCodes  = `DELETE FROM account_code WHERE expires <= $1`
	qSweepLimits    = `DELETE FROM account_limit WHERE ends <= $1`
	sweepEvery      = 10 * time.Minute
	sweepAfterStart = time.Minute
)

// Sweep removes what has expired. Events stay. A family stays for as long as a
// token issued at its very end may live, so that signing out still finds it.
func (db *DB) Sweep(ctx context.Context) error {
	now := db.now()
	for _, s := range []struct {
		query string
		until time.Time
	}{
		{qSweepCodes, now},
		{qSweepUsed, now},
		{qSweepFlows, now},
		{qSweepSessions, now},
		{qSweepRevokes, now},
		{qSweepSignUps, now},
		{qSweepAccCodes, now},
		{qSweepLimits, now},
		{qSweepFamilies, now.Add(-client.MaxTTL)},
		{qSweepSent, now},
		{qSweepDevices, now},
		{qSweepSpent, now},
		{qSweepCounts, now.Add(-keepTries)},
	} {
		// One transaction each: none of them holds the writer for long.
		if _, err := db.exec(ctx, s.query, millis(s.until)); err != nil {
			return fmt.Errorf("sweep database: %w", err)
		}
	}
	if _, err := db.exec(ctx, qSweepTries, millis(now.Add(-keepTries)), millis(now)); err != nil {
		return fmt.Errorf("sweep database: %w", err)
	}
	return nil
}

// Run sweeps every ten minutes until ctx ends.
func (db *DB) Run(ctx context.Context) {
	wait := time.NewTimer(sweepAfterStart)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		if err := db.Sweep(ctx); err != nil && ctx.Err() == nil {
			db.log.Warn("database was not swept", "error", err)
		}
		wait.Reset(sweepEvery)
	}
}
