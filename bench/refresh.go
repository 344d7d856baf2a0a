package main

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/idp/store/storetest/pgserver"
)

// chains is how many people refresh at once, each with the token that the last
// refresh gave.
const chains = 16

// refreshing measures how often a second tokens are refreshed: a signed access
// token and ID token, and one transaction that is on the disk before the answer.
func refreshing(ctx context.Context, w *world) ([]line, error) {
	lines := []line{w.refreshOn(ctx, "SQLite", "")}
	const second = "PostgreSQL"
	server, err := pgserver.StartSafe(ctx)
	if errors.Is(err, pgserver.ErrMissing) {
		return append(lines, skippedLine(second, "%v", err)), nil
	}
	if err != nil {
		return append(lines, failedLine(second, err)), nil
	}
	lines = append(lines, w.refreshOn(ctx, second, server.URL("postgres")))
	if err := server.Stop(); err != nil {
		return lines, fmt.Errorf("stop PostgreSQL: %w", err)
	}
	return lines, nil
}

// refreshOn measures it on one store.
func (w *world) refreshOn(ctx context.Context, name, postgres string) line {
	l := line{name: name, unit: "/s"}
	l.values, l.err = w.refreshRates(ctx, postgres)
	return l
}

func (w *world) refreshRates(ctx context.Context, postgres string) ([]float64, error) {
	c, err := w.usersOf(ctx, setup{postgres: postgres}, chains)
	if err != nil {
		return nil, err
	}
	defer c.end()
	tokens := make(chan string, chains)
	for i := range chains {
		code, err := c.signIn(ctx, personOf(i))
		if err != nil {
			return nil, err
		}
		token, err := c.exchange(ctx, code)
		if err != nil {
			return nil, err
		}
		tokens <- token
	}
	var values []float64
	for range w.plan.rounds {
		perSecond, err := rate(ctx, w.plan.duration, chains, func(ctx context.Context) error {
			next, err := c.refresh(ctx, <-tokens)
			if err == nil {
				tokens <- next
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		values = append(values, perSecond)
	}
	return values, nil
}
