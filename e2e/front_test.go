package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// front stands before an issuer, under the issuer's public address. It counts
// what the gateway asks of it, makes it slow, or takes it away.
type front struct {
	url       string
	refreshes atomic.Int64 // token calls with grant_type=refresh_token
	codes     atomic.Int64 // token calls with grant_type=authorization_code
	delay     atomic.Int64 // time.Duration each token call is kept waiting
	lifetime  atomic.Int64 // time.Duration that token answers claim in expires_in; 0: as they are
	down      atomic.Bool  // connections are cut
	refresh   atomic.Value // string: the last refresh token that was issued
}

// startFront listens on a free port and passes on to the port of the issuer.
func startFront(t *testing.T, issuer int) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{url: "http://" + l.Addr().String()}
	target := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", issuer)}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host
			p.Out.Header.Set("X-Forwarded-Proto", "http")
			p.Out.Header.Set("X-Forwarded-Host", p.In.Host)
		},
		ModifyResponse: f.claim,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.down.Load() {
			panic(http.ErrAbortHandler)
		}
		f.note(r)
		proxy.ServeHTTP(w, r)
	}), ReadHeaderTimeout: patience}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return f
}

func (f *front) note(r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/token") {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	switch form.Get("grant_type") {
	case "refresh_token":
		f.refreshes.Add(1)
	case "authorization_code":
		f.codes.Add(1)
	}
	time.Sleep(time.Duration(f.delay.Load()))
}

// claim notes the refresh token of a token answer, and makes it say that its
// access token lives for f.lifetime.
func (f *front) claim(resp *http.Response) error {
	if resp.StatusCode != http.StatusOK || !strings.HasSuffix(resp.Request.URL.Path, "/token") {
		return nil
	}
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if token, ok := answer["refresh_token"].(string); ok {
		f.refresh.Store(token)
	}
	if lifetime := time.Duration(f.lifetime.Load()); lifetime > 0 {
		answer["expires_in"] = int(lifetime.Seconds())
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(text))
	resp.ContentLength = int64(len(text))
	resp.Header.Set("Content-Length", strconv.Itoa(len(text)))
	return nil
}
