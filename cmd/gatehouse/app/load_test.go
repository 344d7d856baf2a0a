package app

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestReloadsUnderLoad flips between two configurations as fast as it can while
// many ask, signed in. What an answer says of the rule, of the connections and of
// the headers must be of one configuration.
func TestReloadsUnderLoad(t *testing.T) {
	w := newWorld(t)
	alice := w.browser()
	alice.signIn("/", "alice")
	base, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	// Both call their upstream alike, so that mixing would show.
	text := func(name, page string) string {
		headers := "identity_headers: { X-Told: \"static:" + strings.ToUpper(name) + "\" }"
		return strings.NewReplacer(
			"upstreams:\n", "upstreams:\n  it: \""+named(t, name)+"\"\n",
			"routes:\n", fmt.Sprintf(`routes:
  - { name: page, match: { path: /page }, allow: %s, upstream: it, %s }
  - { name: only-%s, match: { path: /only-%[3]s }, allow: { users: [alice] }, upstream: it, %[2]s }
  - { name: both, match: { path: /both }, allow: signed-in, upstream: it, %[2]s }
  - { name: a-and-b, match: { path: /only-* }, allow: nobody, upstream: it }
`, page, headers, name),
			"  - name: the-rest\n", "  - name: the-rest\n    upstream: app\n",
			"  - name: open\n", "  - name: open\n    upstream: app\n",
			"  - name: admin\n", "  - name: admin\n    upstream: app\n",
			"  - name: orders-api\n", "  - name: orders-api\n    upstream: app\n",
		).Replace(string(base))
	}
	texts := []string{text("b", "{ groups: [nobody-at-all] }"), text("a", "{ groups: [admins] }")}
	w.reload(texts[1])
	crowd := ask(t, alice, map[string][]string{
		"/page": {"200 a A", "403"}, "/both": {"200 a A", "200 b B"}, "/only-a": {"200 a A", "403"}, "/only-b": {"200 b B", "403"},
	})
	begin := time.Now()
	for i := range 40 {
		w.reload(texts[i%2])
	}
	took := time.Since(begin)
	crowd.end()
	t.Logf("%d requests during 40 reloads in %v", crowd.asked.Load(), took)
	if took > 4*time.Second*raceFactor {
		t.Errorf("40 reloads took %v, fewer than ten a second", took)
	}
}

// reload changes the configuration and waits for it.
func (w *world) reload(text string) {
	w.t.Helper()
	write(w.t, w.path, text)
	w.app.Reload()
	w.logs.next(w.t, reloaded)
}

// crowd asks for the same paths again and again.
type crowd struct {
	t     *testing.T
	want  map[string][]string
	asked atomic.Int64
	seen  sync.Map // "path answer" that came
	over  chan struct{}
	group sync.WaitGroup
}

// ask begins to ask for each path of want, with what may be answered.
func ask(t *testing.T, b *browser, want map[string][]string) *crowd {
	c := &crowd{t: t, want: want, over: make(chan struct{})}
	for range 8 {
		c.group.Go(func() {
			for {
				for path, want := range c.want {
					if !c.one(b, path, want) {
						return
					}
				}
				select {
				case <-c.over:
					return
				default:
				}
			}
		})
	}
	return c
}

func (c *crowd) one(b *browser, path string, want []string) (fine bool) {
	a, err := b.do(b.w.origin+path, nil, map[string]string{"Sec-Fetch-Mode": "cors", "Accept": "application/json"})
	if err != nil {
		c.t.Errorf("GET %s: %v", path, err)
		return false
	}
	got := fmt.Sprint(a.StatusCode)
	if a.StatusCode == http.StatusOK {
		got += " " + a.body
	}
	c.seen.Store(path+" "+got, true)
	c.asked.Add(1)
	if !slices.Contains(want, got) {
		c.t.Errorf("GET %s = %q, want one of %q", path, got, want)
		return false
	}
	return true
}

// end stops asking, and wants every answer to have come at least once.
func (c *crowd) end() {
	c.t.Helper()
	close(c.over)
	c.group.Wait()
	for path, want := range c.want {
		for _, answer := range want {
			if _, came := c.seen.Load(path + " " + answer); !came {
				c.t.Errorf("GET %s never gave %q: this has shown nothing", path, answer)
			}
		}
	}
}
