package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/jose"
)

const (
	keysFresh    = time.Hour        // a key set is fetched again after this
	keysLast     = 24 * time.Hour   // the last good one is believed this long
	fetchApart   = 30 * time.Second // between two fetches, whatever tokens ask for
	fetchTimeout = 10 * time.Second
	maxDiscovery = 1 << 20
	// runSlack is how much later than Run a request fetches stale keys itself:
	// with Run at work, no request ever waits for it.
	runSlack = 2 * time.Minute
)

// errNoKeys means that an issuer's keys cannot be had now.
var errNoKeys = errors.New("no keys of the issuer at hand")

// keys is the cached key set of one issuer.
type keys struct {
	issuer string
	jwks   string // "" until discovered
	client *http.Client
	log    *slog.Logger
	// changes counts the fetches that found other keys; shared by all issuers.
	changes *atomic.Uint64

	mu      sync.Mutex
	set     *jose.KeySet
	got     time.Time     // when set was fetched
	tried   time.Time     // when a fetch last began
	fetched chan struct{} // closed when the fetch under way has ended; nil: none
}

// find returns a key set to look kid up in. It fetches one when there is none,
// when the cached one is old, or when it lacks kid, but never within 30 s of
// the fetch before: a flood of invented kids costs the issuer nothing.
func (k *keys) find(ctx context.Context, kid string) (*jose.KeySet, error) {
	set, age, busy := k.current()
	if _, known := set.Find(kid); set != nil && (known || kid == "") {
		// A token that the cached keys can check never waits for a fetch that
		// somebody else has begun, however slow the issuer is.
		if age < keysFresh+runSlack || busy && age <= keysLast {
			return set, nil
		}
	}
	k.refresh(ctx)
	set, age, _ = k.current()
	if set == nil || age > keysLast {
		return nil, errNoKeys
	}
	return set, nil
}

// current returns the cached keys, their age, and whether a fetch is under way.
func (k *keys) current() (set *jose.KeySet, age time.Duration, busy bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set, time.Since(k.got), k.fetched != nil
}

// refresh fetches the keys, once for all who ask at the same time. It returns
// when the fetch has ended, at once when the last one is too recent, and when
// ctx ends; the fetch itself goes on for the others.
func (k *keys) refresh(ctx context.Context) {
	k.mu.Lock()
	if wait := k.fetched; wait != nil {
		k.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
		}
		return
	}
	if !k.tried.IsZero() && time.Since(k.tried) < fetchApart {
		k.mu.Unlock()
		return
	}
	done := make(chan struct{})
	k.tried, k.fetched = time.Now(), done
	k.mu.Unlock()

	// The request that happens to be first lends its goroutine, not its
	// patience: if it is cancelled the others still get their keys.
	fetchCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	set, err := k.fetch(fetchCtx)

	k.mu.Lock()
	if err == nil {
		before := k.set
		k.set, k.got = set, time.Now()
		// After the new keys are there: who reads this generation verifies with them.
		if before != nil && !set.Equal(before) {
			k.changes.Add(1)
		}
	}
	if err != nil && k.set != nil && time.Since(k.got) > keysLast {
		k.set = nil // too old to be believed, and so is what was verified with it
		k.changes.Add(1)
	}
	k.fetched = nil
	k.mu.Unlock()
	close(done)
	if err != nil {
		k.log.WarnContext(ctx, "issuer's keys not fetched; the last good ones are used for up to 24 h", "issuer", k.issuer, "error", err)
	}
}

// fetch returns the issuer's usable keys, at least one.
func (k *keys) fetch(ctx context.Context) (*jose.KeySet, error) {
	k.mu.Lock()
	address := k.jwks
	k.mu.Unlock()
	if address == "" {
		var err error
		if address, err = k.discover(ctx); err != nil {
			return nil, err
		}
	}
	text, err := k.get(ctx, address, jose.MaxKeySet)
	if err != nil {
		return nil, fmt.Errorf("fetch key set: %w", err)
	}
	set, err := jose.ParseKeySet(text)
	if err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	if set.Len() == 0 {
		return nil, errors.New("read key set: it holds no usable key")
	}
	return set, nil
}

// discover asks the issuer's metadata (OpenID Connect Discovery §4, RFC 8414)
// where the keys are.
func (k *keys) discover(ctx context.Context) (string, error) {
	text, err := k.get(ctx, strings.TrimSuffix(k.issuer, "/")+"/.well-known/openid-configuration", maxDiscovery)
	if err != nil {
		return "", fmt.Errorf("fetch discovery document: %w", err)
	}
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return "", errors.New("read discovery document: not JSON")
	}
	if doc.Issuer != k.issuer {
		return "", errors.New("read discovery document: it is another issuer's")
	}
	u, err := url.Parse(doc.JWKS)
	if err != nil || u.Host == "" || u.Scheme != "https" && !strings.HasPrefix(k.issuer, "http:") {
		return "", errors.New("read discovery document: jwks_uri is no https URL")
	}
	return doc.JWKS, nil
}

func (k *keys) get(ctx context.Context, address string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := k.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("longer than %d bytes", limit)
	}
	return text, nil
}
