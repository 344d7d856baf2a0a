package login

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestIssuerDownAtStartHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		w.issuer.down = true
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.login.Run(ctx); close(done) }()
		synctest.Wait()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		start := time.Now()
		for range 100 {
			if _, err := w.login.Begin(t.Context(), w.site, r, Attempt{ReturnTo: "/"}); !errors.Is(err, ErrIssuerDown) {
				t.Fatalf("%v, want ErrIssuerDown", err)
			}
		}
		if took := time.Since(start); took != 0 || w.login.Healthy() {
			t.Errorf("100 refusals took %v, healthy %v", took, w.login.Healthy())
		}
		time.Sleep(2 * time.Minute)
		w.issuer.with(func() { w.issuer.down = false })
		time.Sleep(probeEvery)
		b := w.browser()
		b.signIn("alice", "/")
		if !w.login.Healthy() {
			t.Error("not healthy")
		}

		// Down between two steps: the answer waits in the address bar.
		answer := w.issuer.approve(b.begin("/late"), "alice")
		w.issuer.with(func() { w.issuer.down = true })
		time.Sleep(probeEvery + time.Second)
		if _, err := b.callback(answer); !errors.Is(err, ErrIssuerDown) {
			t.Errorf("%v, want ErrIssuerDown", err)
		}
		w.issuer.with(func() { w.issuer.down = false })
		time.Sleep(2 * time.Second) // the first retries come quickly
		if result, err := b.callback(answer); err != nil || result.Location != "/late" {
			t.Errorf("%+v, %v", result, err)
		}
		stop()
		<-done
		if n := strings.Count(w.logs.String(), "level=WARN"); n != 2 {
			t.Errorf("%d warnings for two outages:\n%s", n, w.logs)
		}
	})
}

func TestSlowIssuerAtStartBlocksNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		server := newIssuerAt(t, "https://login.test")
		w := newWorldOf(t, server, Config{Providers: map[string]*Provider{"x": own(server)}})
		w.login.standard.client.Transport = roundTrip(hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := w.login.Begin(ctx, w.site, httptest.NewRequest(http.MethodGet, "/", nil), Attempt{ReturnTo: "/"})
		if !errors.Is(err, ErrIssuerDown) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		_, err = w.login.Begin(t.Context(), w.site, httptest.NewRequest(http.MethodGet, "/", nil), Attempt{ReturnTo: "/"})
		if !errors.Is(err, ErrIssuerDown) || time.Since(start) != callTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// roundTrip makes a transport that waits until its caller gives up.
func roundTrip(h http.Handler) http.RoundTripper {
	return waiting(func(r *http.Request) (*http.Response, error) {
		h.ServeHTTP(nil, r)
		return nil, r.Context().Err()
	})
}

type waiting func(*http.Request) (*http.Response, error)

func (f waiting) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDiscoveryDocumentsThatAreRefused(t *testing.T) {
	for what, change := range map[string]func(doc map[string]any){
		"another issuer":     func(d map[string]any) { d["issuer"] = "https://evil.test" },
		"no token endpoint":  func(d map[string]any) { delete(d, "token_endpoint") },
		"token in clear":     func(d map[string]any) { d["token_endpoint"] = "http://login.test/token" },
		"script":             func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" },
		"relative":           func(d map[string]any) { d["jwks_uri"] = "/jwks" },
		"logout in clear":    func(d map[string]any) { d["end_session_endpoint"] = "http://login.test/logout" },
		"user in an address": func(d map[string]any) { d["revocation_endpoint"] = "https://a@b/x" },
	} {
		w := away(t, own)
		w.issuer.meta = change
		if _, err := w.login.Begin(t.Context(), w.site, httptest.NewRequest(http.MethodGet, "/", nil), Attempt{ReturnTo: "/"}); !errors.Is(err, ErrIssuerDown) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
