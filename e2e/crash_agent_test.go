package e2e

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// agent is a browser without scripts that lives through the death of what it
// talks to: it reports errCut.
type agent struct {
	o *ordeal
	v *visitor
}

func (o *ordeal) agent() *agent {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // it takes no options that could be wrong
	}
	client := &http.Client{Transport: o.web, CheckRedirect: noRedirects, Jar: jar, Timeout: patience}
	return &agent{o, &visitor{base: o.issuer, client: client, jar: jar}}
}

// answered is a, unless gatehouse had no answer or no room. Any other error of
// the server's is a defect.
func answered(a *answer, err error) (*answer, error) {
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errCut, err)
	case a.status == http.StatusServiceUnavailable:
		return nil, fmt.Errorf("%w: %s is busy", errCut, a.url)
	case a.status >= 500:
		return nil, fmt.Errorf("%s answers %d\n%s", a.url, a.status, a.body)
	}
	return a, nil
}

// open navigates to target and follows redirects to a page or to the client.
func (b *agent) open(target string) (*answer, error) {
	return b.follow(answered(b.v.try(http.MethodGet, target, nil, navigation...)))
}

func (b *agent) follow(a *answer, err error) (*answer, error) {
	for range 10 {
		if err != nil || a.status < 300 || a.status > 399 {
			return a, err
		}
		next, bad := a.url.Parse(a.header.Get("Location"))
		if bad != nil {
			return nil, bad
		}
		if strings.HasPrefix(next.String(), callbackURI) {
			a.url = next
			return a, nil
		}
		a, err = answered(b.v.try(http.MethodGet, next.String(), nil, navigation...))
	}
	return a, err
}

// send fills the form of a page in and posts it; it follows nothing.
func (b *agent) send(page *answer, pairs ...string) (*answer, error) {
	f, err := page.form()
	if err != nil {
		return nil, fmt.Errorf("%s (%d): %w\n%s", page.url, page.status, err, page.body)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		f.values.Set(pairs[i], pairs[i+1])
	}
	f.values.Del("")
	return b.o.timed(f.action.Path, func() (*answer, error) {
		return answered(b.v.try(http.MethodPost, f.action.String(), strings.NewReader(f.values.Encode()),
			"Content-Type", "application/x-www-form-urlencoded", "Origin", f.action.Scheme+"://"+f.action.Host,
			"Accept", "text/html,*/*;q=0.8", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "same-origin"))
	})
}

// visit opens target, and sends the form that is there.
func (b *agent) visit(target string, pairs ...string) (*answer, error) {
	page, err := b.open(target)
	if err != nil || page.status != http.StatusOK {
		return page, err
	}
	return b.send(page, pairs...)
}

// stale tells that a page said no more than that a link or page is not good.
func (a *answer) stale() bool { return a.status == http.StatusBadRequest }

// unexpected is the error of an answer that should have been another.
func (a *answer) unexpected(doing string) error {
	_, body, _ := strings.Cut(a.body, "<main")
	return fmt.Errorf("%s: %s answers %d\n%s", doing, a.url, a.status, body)
}

// token posts values to the token endpoint as a program does.
func (o *ordeal) token(values url.Values) (*answer, error) {
	v := &visitor{client: &http.Client{Transport: o.web, CheckRedirect: noRedirects, Timeout: patience}}
	return o.timed(values.Get("grant_type"), func() (*answer, error) {
		return answered(v.try(http.MethodPost, o.tokenURL(), strings.NewReader(values.Encode()), "Content-Type", "application/x-www-form-urlencoded"))
	})
}
