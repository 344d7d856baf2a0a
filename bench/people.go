package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// signInAt signs somebody in at a gateway whose people are at i, and returns
// the cookies of the session. The issuer lets them in without asking.
func (i *issuer) signInAt(ctx context.Context, g *gateway, subject string) (string, error) {
	client := &http.Client{
		Timeout:       30 * time.Second,
		Transport:     transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return i.signInWith(ctx, client, g, subject)
}

func (i *issuer) signInWith(ctx context.Context, client *http.Client, g *gateway, subject string) (string, error) {
	begun, err := ask(ctx, client, g.public+page, "")
	if err != nil {
		return "", fmt.Errorf("begin to sign in: %w", err)
	}
	q := begun.to.Query()
	if q.Get("client_id") != loginClient || q.Get("nonce") == "" || q.Get("state") == "" {
		return "", fmt.Errorf("begin to sign in: %d to %s", begun.status, begun.to)
	}
	back, err := url.Parse(q.Get("redirect_uri"))
	if err != nil {
		return "", fmt.Errorf("begin to sign in: %w", err)
	}
	back.RawQuery = url.Values{"code": {i.approve(subject, q.Get("nonce"))}, "state": {q.Get("state")}, "iss": {i.url}}.Encode()
	done, err := ask(ctx, client, back.String(), begun.cookies)
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	if done.to.Path != page || done.cookies == "" {
		return "", fmt.Errorf("sign in ends with %d at %s", done.status, done.to)
	}
	return done.cookies, nil
}

// redirect is an answer that sends a browser elsewhere.
type redirect struct {
	status  int
	to      *url.URL
	cookies string // those that are set, as a browser sends them
}

func ask(ctx context.Context, client *http.Client, address, cookies string) (r redirect, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return r, err
	}
	req.Header.Set("Accept", "text/html")
	if cookies != "" {
		req.Header.Set("Cookie", cookies)
	}
	res, err := client.Do(req)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	if r.to, err = res.Location(); err != nil {
		return r, fmt.Errorf("%s answers %s, want a redirect", address, res.Status)
	}
	r.status = res.StatusCode
	var set []string
	for _, c := range res.Cookies() {
		if c.Value != "" && c.MaxAge >= 0 {
			set = append(set, c.Name+"="+c.Value)
		}
	}
	r.cookies = strings.Join(set, "; ")
	return r, nil
}

// sessions signs n people in, each once, and returns the path of a file with
// their cookies, one a line.
func (w *world) sessions(ctx context.Context, g *gateway, n int) (string, error) {
	// More than there are processors: each waits for the other side half the time.
	const atOnce = 8
	via := transport()
	via.DisableKeepAlives, via.MaxIdleConnsPerHost = false, atOnce
	defer via.CloseIdleConnections()
	client := &http.Client{
		Timeout:       30 * time.Second,
		Transport:     via,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var signedIn atomic.Int64
	list, err := many(ctx, n, atOnce, func(ctx context.Context, k int) (string, error) {
		cookie, err := w.issuer.signInWith(ctx, client, g, subjectOf(k))
		if done := signedIn.Add(1); err == nil && done%10_000 == 0 {
			w.tell("%d of %d people are signed in", done, n)
		}
		return cookie, err
	})
	if err != nil {
		return "", fmt.Errorf("sign %d people in: %w", n, err)
	}
	file := filepath.Join(w.dir, "sessions")
	if err := writeLines(file, list); err != nil {
		return "", err
	}
	if _, err := distinctLines(file); err != nil {
		return "", err
	}
	return file, everyoneIsSomebodyElse(ctx, g, list)
}

func subjectOf(k int) string { return fmt.Sprintf("person-%06d", k) }

// everyoneIsSomebodyElse asks as two hundred of them who the application thinks
// they are: sealed cookies differ even where people do not.
func everyoneIsSomebodyElse(ctx context.Context, g *gateway, list []string) error {
	for k := 0; k < len(list); k += max(1, len(list)/200) {
		a, err := send(ctx, http.MethodGet, g.public+told, nil, http.Header{"Cookie": {list[k]}})
		if err != nil {
			return err
		}
		if !strings.Contains(a.body, subjectOf(k)) {
			return errors.New("the session of " + subjectOf(k) + " is somebody else's: " + a.body)
		}
	}
	return nil
}
