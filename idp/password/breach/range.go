package breach

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	rangeWait  = time.Second
	maxAnswer  = 1 << 20 // bytes; an answer of today has some 40 KiB
	rangePause = 30 * time.Second
)

// errPaused means that the service failed a moment ago and is left alone.
var errPaused = errors.New("the range service failed less than 30s ago and is not asked")

// Range asks a service of the range protocol: it learns the first 20 bits of a
// password's SHA-1, and answers with all it knows that begin so. Answers are not
// kept. After a failure it is not asked for 30s, so that a service that is down
// does not hold up every sign-in. It is safe for concurrent use.
type Range struct {
	base   string
	client *http.Client
	quiet  atomic.Int64 // until when it is not asked, in nanoseconds since the epoch
}

// NewRange returns a Range over base; it connects to nobody yet.
func NewRange(base *url.URL) *Range {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = 16, 4
	t.MaxResponseHeaderBytes = 64 << 10
	return &Range{
		base: strings.TrimSuffix(base.String(), "/"),
		client: &http.Client{
			Transport:     t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close closes idle connections.
func (r *Range) Close() { r.client.CloseIdleConnections() }

// Count returns how often the password with that SHA-1 was seen, 0 for never. An
// error says nothing of the password.
func (r *Range) Count(ctx context.Context, sum [20]byte) (int, error) {
	if time.Now().UnixNano() < r.quiet.Load() {
		return 0, errPaused
	}
	n, err := r.ask(ctx, strings.ToUpper(hex.EncodeToString(sum[:])))
	if err != nil {
		if ctx.Err() == nil {
			r.quiet.Store(time.Now().Add(rangePause).UnixNano())
		}
		return 0, fmt.Errorf("ask the range service: %w", err)
	}
	return n, nil
}

func (r *Range) ask(ctx context.Context, digest string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, rangeWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/"+digest[:5], nil)
	if err != nil {
		return 0, err
	}
	// With padding nobody who sees the length of the answer learns the prefix.
	req.Header.Set("Add-Padding", "true")
	req.Header.Set("User-Agent", "gatehouse")
	res, err := r.client.Do(req)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			return 0, inner.Err // without the URL: it holds 20 bits of the hash
		}
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, err
	case len(body) > maxAnswer:
		return 0, errors.New("the answer is longer than 1 MiB")
	case len(bytes.TrimSpace(body)) == 0:
		return 0, errors.New("the answer is empty; every range has entries")
	}
	return countIn(body, digest[5:])
}

// countIn reads lines of SUFFIX:COUNT, all of them, and returns the count of
// suffix. Padding has the count 0.
func countIn(body []byte, suffix string) (int, error) {
	found := 0
	lines := bufio.NewScanner(bytes.NewReader(body))
	for lines.Scan() {
		text, count, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		n, err := strconv.ParseUint(count, 10, 31)
		if _, bad := hex.DecodeString(text + "0"); !ok || err != nil || len(text) != 35 || bad != nil {
			return 0, errors.New("the answer is not lines of SUFFIX:COUNT")
		}
		if strings.EqualFold(text, suffix) {
			found = int(n)
		}
	}
	return found, lines.Err()
}
