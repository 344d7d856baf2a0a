package principal

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/policy"
	"gatehouse/proxy/identity"
	"gatehouse/session"
)

// BenchmarkHit is what a request takes from the entry of its cookie, of one person
// and of many in turn.
func BenchmarkHit(b *testing.B) {
	u, err := url.Parse("https://app.test")
	if err != nil {
		b.Fatal(err)
	}
	site, err := session.NewSite(u)
	if err != nil {
		b.Fatal(err)
	}
	key := session.CookieKey{Hash: []byte(strings.Repeat("h", 64)), Block: []byte(strings.Repeat("b", 32))}
	cookies, err := session.NewCookies(session.Config{Idle: time.Hour, Lifetime: 12 * time.Hour}, []session.CookieKey{key}, session.Options{})
	if err != nil {
		b.Fatal(err)
	}
	headers, err := identity.Preset("default")
	if err != nil {
		b.Fatal(err)
	}
	plan, err := headers.Compile(nil, "app")
	if err != nil {
		b.Fatal(err)
	}
	for _, people := range []int{1, 100_000} {
		b.Run(fmt.Sprint(people), func(b *testing.B) {
			c, now := New(1<<30, never), time.Now()
			scope, values := c.Scope("session"), make([]string, people)
			for i := range values {
				found, _ := cookies.Find(site, signedIn(b, cookies, site, fmt.Sprint("person-", i)))
				values[i] = found.Value
				s, ok := cookies.Unseal(site, found)
				if !ok {
					b.Fatal("a cookie does not open")
				}
				c.Keep(scope.Key(found.Value), moment(now), s.Identity(), s).Decided(1, 0, now, policy.Decision{Outcome: policy.OutcomeAllow})
			}
			i, sum, h := 0, 0, http.Header{}
			hit := func() {
				e := c.Find(Session, scope.Key(values[i%people]), moment(now))
				d := e.Decision(1, 0, now)
				t, err := e.Headers(plan, now)
				if err != nil || d == nil || !cookies.Live(e.Session) || cookies.Due(e.Session) {
					b.Fatal("forgotten")
				}
				t.SetOn(h)
				for _, values := range h {
					for _, c := range []byte(values[0]) { // as whoever sends them
						sum += int(c)
					}
				}
				sum += len(e.Identity.Subject)
				i += 7919
			}
			for range people {
				hit()
			}
			b.ReportAllocs()
			for b.Loop() {
				hit()
			}
		})
	}
}
