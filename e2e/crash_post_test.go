package e2e

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/testenv/mailsink"
)

// postOffice takes all mail. A letter that comes twice, as it may when gatehouse
// is killed between a delivery and its record, counts once.
type postOffice struct {
	sink *mailsink.Sink

	mu   sync.Mutex
	to   map[string][]mailsink.Message
	seen map[string]bool // by Message-ID
	came chan struct{}   // closed when a letter comes
}

func openPostOffice(t *testing.T) *postOffice {
	t.Helper()
	sink, err := mailsink.New(mailsink.Options{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	o := &postOffice{sink: sink, to: map[string][]mailsink.Message{}, seen: map[string]bool{}, came: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	var sorting sync.WaitGroup
	sorting.Go(func() { o.sort(ctx) })
	t.Cleanup(func() {
		cancel()
		sorting.Wait()
		if err := sink.Close(); err != nil {
			t.Errorf("close mail sink: %v", err)
		}
	})
	return o
}

func (o *postOffice) port() int { return o.sink.Port() }

// sort puts what comes into boxes, until ctx ends.
func (o *postOffice) sort(ctx context.Context) {
	for read := 0; o.sink.Count(ctx, read+1) == nil; {
		all := o.sink.Messages()
		o.mu.Lock()
		for _, m := range all[read:] {
			if id := m.Header.Get("Message-Id"); !o.seen[id] && len(m.To) == 1 {
				o.seen[id] = true
				o.to[m.To[0]] = append(o.to[m.To[0]], m)
			}
		}
		close(o.came)
		o.came = make(chan struct{})
		o.mu.Unlock()
		read = len(all)
	}
}

// await waits until n letters have come to an address; false when ctx ends first.
func (o *postOffice) await(ctx context.Context, to string, n int) bool {
	for {
		o.mu.Lock()
		have, came := len(o.to[to]), o.came
		o.mu.Unlock()
		if have >= n {
			return true
		}
		select {
		case <-came:
		case <-ctx.Done():
			return false
		}
	}
}

func (o *postOffice) count(to string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.to[to])
}

var (
	crashCode = regexp.MustCompile(`\b[0-9]{6}\b`)
	crashLink = regexp.MustCompile(`http://[^\s"<]+\?token=([A-Za-z0-9_-]{43})`)
)

// find returns the newest code and link that were sent to an address by letters
// whose link leads to path; "" for none.
func (o *postOffice) find(to, path string) (code, link string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.to[to] {
		// Quoted-printable (RFC 2045 §6.7), as far as links and digits need it.
		text := strings.NewReplacer("=\r\n", "", "=3D", "=").Replace(m.Body)
		if found := crashLink.FindString(text); strings.Contains(found, path+"?") {
			link, code = found, crashCode.FindString(text)
		}
	}
	return code, link
}
