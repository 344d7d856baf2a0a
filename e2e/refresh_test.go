package e2e

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Access tokens are renewed ten seconds before they end, so one of fifteen
// seconds is good for five.
const (
	shortTTL = 15 * time.Second
	untilDue = 7 * time.Second
)

func TestParallelRequestsWithAnExpiredTokenRefreshOnce(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel() // it mostly waits
			h := kind.start(t, shortTTL)
			v := newVisitor(t, h.url)
			if a := v.signIn("bob", demoPassword, "/"); a.status != http.StatusOK {
				t.Fatalf("sign-in = %d at %s", a.status, a.url)
			}
			time.Sleep(untilDue)
			if h.front != nil {
				// Long enough for all fifty to arrive while the call runs.
				h.front.delay.Store(int64(500 * time.Millisecond))
				h.front.refreshes.Store(0)
			}
			old := v.session()
			good, cancelled := storm(h.url, old, 50)
			if good != 25 {
				t.Errorf("%d of 25 patient requests are served", good)
			}
			t.Logf("%d requests were cancelled under way", cancelled)
			// Requests that still carry the old cookie go on, for minutes.
			if !passes(t, h.url, old) {
				t.Error("the cookie from before the refresh is refused after it")
			}
			if h.front != nil {
				if n := h.front.refreshes.Load(); n != 1 {
					t.Errorf("%d token calls, want 1", n)
				}
			}
			if a := v.fetch("/headers"); a.status != http.StatusOK {
				t.Errorf("bob is signed out: %d", a.status)
			}
			time.Sleep(untilDue)
			if a := v.fetch("/headers"); a.status != http.StatusOK {
				t.Errorf("the second refresh fails: %d", a.status)
			}
		})
	}
}

// storm sends n requests with one cookie at once. Every other one is cancelled,
// each a little later than the one before. It returns how many of the patient
// ones were served, and how many were cut off.
func storm(base, cookie string, n int) (good, cancelled int64) {
	var served, gone atomic.Int64
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if i%2 == 1 {
				ctx, cancel = context.WithTimeout(ctx, time.Duration(i)*time.Millisecond)
				defer cancel()
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/headers", nil)
			if err != nil {
				return
			}
			req.Header.Set("Cookie", cookie)
			resp, err := plain.Do(req)
			if err != nil {
				gone.Add(1)
				return
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			if resp.StatusCode == http.StatusOK && i%2 == 0 {
				served.Add(1)
			}
		})
	}
	all.Wait()
	return served.Load(), gone.Load()
}

func TestIssuerDownSignsNobodyOut(t *testing.T) {
	t.Parallel() // it mostly waits
	h := startOverLoopback(t, shortTTL)
	v := newVisitor(t, h.url)
	v.signIn("bob", demoPassword, "/")
	time.Sleep(untilDue)
	h.front.down.Store(true)
	// An issuer that is away is no reason to sign anybody out.
	if a := v.fetch("/headers"); a.status != http.StatusOK {
		t.Errorf("with the issuer down, a request whose refresh is due = %d, want 200", a.status)
	}
	h.front.down.Store(false)
	if a := v.fetch("/headers"); a.status != http.StatusOK {
		t.Errorf("with the issuer back = %d, want 200", a.status)
	}
}

func TestIssuerDownLeavesPublicRoutesAndHealsByItself(t *testing.T) {
	t.Parallel() // it mostly waits
	h := startOverLoopback(t, usualTTL)
	h.front.down.Store(true)
	v := newVisitor(t, h.url)
	refused := false
	for end := time.Now().Add(45 * time.Second); time.Now().Before(end) && !refused; time.Sleep(time.Second) {
		a := v.step("/")
		refused = a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
	}
	if !refused {
		t.Error("with the issuer down, sign-in does not answer 503 with Retry-After")
	}
	if a := v.open("/public/x"); a.status != http.StatusOK {
		t.Errorf("with the issuer down, /public/x = %d, want 200", a.status)
	}
	h.front.down.Store(false)
	healed := false
	for end := time.Now().Add(45 * time.Second); time.Now().Before(end) && !healed; time.Sleep(time.Second) {
		healed = v.step("/").status == http.StatusFound
	}
	if !healed {
		t.Error("sign-in does not heal by itself")
	}
}
