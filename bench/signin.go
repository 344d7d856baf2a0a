package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// answer is one response, read whole.
type answer struct {
	status int
	body   string
	url    *url.URL
}

// transport makes connections for bench's own questions. Certificates on them
// are of bench's making, and the loopback has nobody in between.
func transport() *http.Transport {
	return &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives: true,
	}
}

// send asks without cookies, and follows nothing.
func send(ctx context.Context, method, target string, body io.Reader, header http.Header) (*answer, error) {
	client := &http.Client{
		Timeout:       20 * time.Second,
		Transport:     transport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return sendWith(ctx, client, method, target, body, header)
}

func sendWith(ctx context.Context, client *http.Client, method, target string, body io.Reader, header http.Header) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &answer{resp.StatusCode, string(text), resp.Request.URL}, nil
}

// machineToken gets an access token by client credentials (RFC 6749 §4.4).
func machineToken(ctx context.Context, issuer string) (string, error) {
	a, err := send(ctx, http.MethodGet, issuer+"/.well-known/openid-configuration", nil, nil)
	if err != nil {
		return "", fmt.Errorf("discover the issuer: %w", err)
	}
	var found struct {
		TokenEndpoint string `json:"token_endpoint"`
	}
	if err := json.Unmarshal([]byte(a.body), &found); err != nil {
		return "", fmt.Errorf("discover the issuer: %w", err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"orders.read"}, "client_id": {machine}, "client_secret": {machineSecret}}
	a, err = send(ctx, http.MethodPost, found.TokenEndpoint, strings.NewReader(form.Encode()),
		http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	if err != nil {
		return "", fmt.Errorf("get a token: %w", err)
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &token); err != nil || token.AccessToken == "" {
		return "", fmt.Errorf("get a token: %d %s", a.status, a.body)
	}
	return token.AccessToken, nil
}

var (
	formTag  = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	inputTag = regexp.MustCompile(`(?is)<input\b([^>]*)>`)
	attrTag  = regexp.MustCompile(`(?is)([a-z-]+)\s*=\s*"([^"]*)"`)
)

func attributes(tag string) map[string]string {
	out := map[string]string{}
	for _, m := range attrTag.FindAllStringSubmatch(tag, -1) {
		out[strings.ToLower(m[1])] = html.UnescapeString(m[2])
	}
	return out
}

// sessionCookie signs in as a person, starting at page, and returns what the
// browser would send to the gateway from then on.
func sessionCookie(ctx context.Context, page string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	client := &http.Client{Jar: jar, Timeout: 20 * time.Second, Transport: transport()}
	asked, err := sendWith(ctx, client, http.MethodGet, page, nil, http.Header{"Accept": {"text/html"}})
	if err != nil {
		return "", fmt.Errorf("open the sign-in page: %w", err)
	}
	action, form, err := filled(asked)
	if err != nil {
		return "", err
	}
	end, err := sendWith(ctx, client, http.MethodPost, action.String(), strings.NewReader(form.Encode()), http.Header{
		"Accept":       {"text/html"},
		"Content-Type": {"application/x-www-form-urlencoded"},
		"Origin":       {action.Scheme + "://" + action.Host},
	})
	if err != nil {
		return "", fmt.Errorf("sign in: %w", err)
	}
	if end.status != http.StatusOK || end.body != body {
		return "", fmt.Errorf("sign in ends with %d at %s\n%s", end.status, end.url, end.body)
	}
	var parts []string
	for _, c := range jar.Cookies(end.url) {
		parts = append(parts, c.Name+"="+c.Value)
	}
	return strings.Join(parts, "; "), nil
}

// filled answers the form of the sign-in page.
func filled(page *answer) (action *url.URL, form url.Values, err error) {
	found := formTag.FindStringSubmatch(page.body)
	if found == nil {
		return nil, nil, errors.New("no sign-in form at " + page.url.String() + ":\n" + page.body)
	}
	if action, err = page.url.Parse(attributes(found[1])["action"]); err != nil {
		return nil, nil, fmt.Errorf("read sign-in form: %w", err)
	}
	form = url.Values{}
	for _, m := range inputTag.FindAllStringSubmatch(found[2], -1) {
		switch at := attributes(m[1]); at["type"] {
		case "hidden":
			form.Set(at["name"], at["value"])
		case "password":
			form.Set(at["name"], personPassword)
		case "text", "email", "":
			form.Set(at["name"], person)
		}
	}
	return action, form, nil
}
