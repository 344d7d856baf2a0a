package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// revoking measures how long a session that was asked with all the time, and so is
// remembered, still opens anything once somebody was told that it is over.
func revoking(ctx context.Context, w *world) ([]line, error) {
	c, err := w.configure(setup{idp: true})
	if err != nil {
		return nil, err
	}
	g, err := w.launch(ctx, c)
	if err != nil {
		return nil, err
	}
	defer g.proc.end()
	user := func(what string) error {
		out, err := exec.CommandContext(ctx, w.binary, "user", what, person, "--config", c.file).CombinedOutput()
		if err != nil {
			return fmt.Errorf("gatehouse user %s: %w\n%s", what, err, out)
		}
		return nil
	}
	var lines []line
	for _, end := range []struct {
		name  string
		how   func(cookie string) error
		after func() error
	}{
		{"after sign-out", func(cookie string) error { return g.signOut(ctx, cookie) }, func() error { return nil }},
		{"after user disable, by another process", func(string) error { return user("disable") }, func() error { return user("enable") }},
	} {
		l := line{name: end.name, unit: "ms", goal: 1000}
		for range w.plan.rounds {
			took, err := g.outlives(ctx, end.how)
			if err = errors.Join(err, end.after()); err != nil {
				l.err = err
				break
			}
			l.values = append(l.values, float64(took)/float64(time.Millisecond))
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// outlives signs in, asks from four sides at once without pause, ends the session
// in the meantime, and returns how long after that the last request was sent that
// still got through; 0 if none did.
func (g *gateway) outlives(ctx context.Context, end func(cookie string) error) (time.Duration, error) {
	cookie, err := sessionCookie(ctx, g.public+page)
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	var mu sync.Mutex
	var last time.Time // when the last request was sent that got through
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				sent := time.Now()
				a, err := sendWith(ctx, client, http.MethodGet, g.public+page, nil, http.Header{"Cookie": {cookie}})
				if err != nil || a.status != http.StatusOK {
					return
				}
				mu.Lock()
				if sent.After(last) {
					last = sent
				}
				mu.Unlock()
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	if err := end(cookie); err != nil {
		return 0, err
	}
	ended := time.Now()
	asking.Wait()
	if ctx.Err() != nil {
		return 0, errors.New("the session still opens everything ten seconds later")
	}
	return max(0, last.Sub(ended)), nil
}

// signOut signs the owner of a cookie out, as the gateway's own page does.
func (g *gateway) signOut(ctx context.Context, cookie string) error {
	header := http.Header{"Cookie": {cookie}, "Accept": {"text/html"}}
	asked, err := send(ctx, http.MethodGet, g.public+"/_gatehouse/sign-out", nil, header)
	if err != nil {
		return fmt.Errorf("open the sign-out page: %w", err)
	}
	action, form, err := filled(asked)
	if err != nil {
		return err
	}
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	header.Set("Origin", g.public)
	header.Set("Sec-Fetch-Site", "same-origin")
	done, err := send(ctx, http.MethodPost, action.String(), strings.NewReader(form.Encode()), header)
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	if done.status >= http.StatusBadRequest {
		return fmt.Errorf("sign out ends with %d\n%s", done.status, done.body)
	}
	return nil
}
