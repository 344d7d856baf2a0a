package declog

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/inproc"
)

// collectorBatch is how much goes to a service at once.
var collectorBatch = batch{count: 1000, bytes: 1 << 20, wait: time.Second}

// newClient returns a client for one service: 10 s for a call, no redirect, no
// proxy from the environment, and its transport, to be closed.
func newClient() (*http.Client, *http.Transport) {
	t := &http.Transport{
		ForceAttemptHTTP2: true, MaxIdleConns: 2, IdleConnTimeout: 90 * time.Second,
		TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
	}
	return inproc.Bounded(&http.Client{Transport: t}), t
}

// httpSink sends gzipped JSON arrays by POST, as OPA does.
type httpSink struct {
	url       string
	token     string
	client    *http.Client
	transport *http.Transport
	body      bytes.Buffer
}

func newHTTPSink(u *url.URL, token string) *httpSink {
	s := &httpSink{url: u.String(), token: token}
	s.client, s.transport = newClient()
	return s
}

func (s *httpSink) batch() batch { return collectorBatch }

func (s *httpSink) close() { s.transport.CloseIdleConnections() }

// write implements sink.
func (s *httpSink) write(ctx context.Context, batch []*item) (int, error) {
	if err := s.compress(batch); err != nil {
		return 0, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(s.body.Bytes()))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errRefused, err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Set("User-Agent", "gatehouse")
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	res, err := s.client.Do(r)
	if err != nil {
		return 0, err
	}
	// What it says beside its status is not looked at; an end that does not come
	// costs the connection and nothing more.
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	_ = res.Body.Close()
	if err := judgeStatus(res.StatusCode); err != nil {
		return 0, err
	}
	return len(batch), nil
}

// compress writes batch as one gzipped JSON array on one line.
func (s *httpSink) compress(batch []*item) error {
	s.body.Reset()
	z := gzip.NewWriter(&s.body)
	before := "["
	for _, it := range batch {
		_, line := it.encoded()
		if _, err := io.WriteString(z, before); err != nil {
			return err
		}
		if _, err := z.Write(line); err != nil {
			return err
		}
		before = ","
	}
	if _, err := io.WriteString(z, "]\n"); err != nil {
		return err
	}
	return z.Close()
}

// judgeStatus returns nil for success, and an errRefused for a status that
// stays as it is however often one asks (RFC 9110 §15).
func judgeStatus(status int) error {
	switch {
	case status >= 200 && status <= 299:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500 && status != http.StatusNotImplemented:
		return fmt.Errorf("the service answers %d", status)
	}
	return fmt.Errorf("%w: the service answers %d", errRefused, status)
}
