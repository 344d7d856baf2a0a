package bundle

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"gatehouse/policy"
)

// patience is how long a server may take to answer in full.
const patience = 10 * time.Second

// errSame is what a fetch answers when there is nothing newer.
var errSame = errors.New("not modified")

// clientOf returns the client that asks the server of cfg.
func clientOf(cfg policy.Custom) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // the limit is for what travels
	transport.DisableKeepAlives = true  // once a minute needs none
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.CA != "" {
		text, err := os.ReadFile(cfg.File(cfg.CA))
		if err != nil {
			return nil, fmt.Errorf("read ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("read ca: no certificate in %s", cfg.File(cfg.CA))
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{
		Transport: transport,
		Timeout:   patience,
		// The token is for one server, and so is the trust in what it sends.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// fetch asks the server for something newer than etag, "" for anything. The
// error shows neither token nor query.
func (s *Source) fetch(ctx context.Context, etag string) (raw []byte, newer string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return nil, "", errors.New("the URL cannot be asked")
	}
	req.Header.Set("Accept", "application/vnd.openpolicyagent.bundles, application/gzip, */*;q=0.1")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if s.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.cfg.Token.Reveal())
	}
	res, err := s.client.Do(req)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, "", fmt.Errorf("fetch bundle: %w", err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotModified && etag != "":
		return nil, "", errSame
	case res.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("fetch bundle: the server answers %d, want 200", res.StatusCode)
	case res.ContentLength > maxPacked:
		return nil, "", fmt.Errorf("fetch bundle: %w: %d bytes packed", ErrTooLarge, res.ContentLength)
	}
	raw, err = io.ReadAll(io.LimitReader(res.Body, maxPacked+1))
	if err != nil {
		return nil, "", fmt.Errorf("fetch bundle: %w", err)
	}
	return raw, res.Header.Get("ETag"), nil
}
