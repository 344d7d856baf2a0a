package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/session"
)

// allowing is a configuration in which each route allows the same, and bears a
// name of its generation.
func allowing(generation int, allow string) string {
	return fmt.Sprintf("\n  - { name: g%d, match: { path: \"/**\" }, allow: %s }\n", generation, allow)
}

func TestNextRequestUsesTheNewGate(t *testing.T) {
	w := newWorld(t, allowing(1, "signed-in"))
	cookie := "Cookie: " + w.session("bob", "staff")
	w.status(200, "GET", "/x", cookie)
	w.handler.Swap(w.gate(w.parse(allowing(2, "{ groups: [admins] }"))))
	w.status(403, "GET", "/x", cookie)
	w.handler.Swap(w.gate(w.parse(allowing(3, "anyone"))))
	w.status(200, "GET", "/x")
}

// What lasts is decided again at once, on the new gate: whoever entered as
// somebody, and whoever entered as nobody.
func TestStreamsAreDecidedAgainWhenTheGateIsReplaced(t *testing.T) {
	for _, c := range []struct {
		before, after string
		ends          bool
	}{
		{"signed-in", "{ groups: [admins] }", true},
		{"signed-in", "nobody", true},
		{"signed-in", "{ groups: [staff] }", false},
		{"signed-in", "anyone", false},
		{"signed-in", "signed-in, credentials: [bearer]", true},
		{"anyone", "signed-in", true},
		{"anyone", "nobody", true},
		{"anyone", "anyone", false},
	} {
		t.Run(c.before+" to "+c.after, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, allowing(1, c.before))
			res := w.ask("GET", "/events", "Cookie: "+w.session("bob", "staff"))
			lines := bufio.NewReader(res.Body)
			w.settled(lines)
			w.handler.Swap(w.gate(w.parse(allowing(2, c.after))))
			if c.ends {
				w.cutOff(res)
				return
			}
			w.settled(lines)
		})
	}
}

// A stream lives by a credential that the gate of now believes, whatever the one
// it began with believed.
func TestStreamsEndWithTheBeliefInTheirCredential(t *testing.T) {
	for what, c := range map[string]struct {
		tokens  TokenVerifier
		known   bool
		bearer  bool
		allowed string
		ends    bool
	}{
		"token, same issuers":             {&fakeTokens{}, true, true, "{ scopes: [a] }", false},
		"token, issuer removed":           {noTokens{errors.New("unknown issuer")}, true, true, "{ scopes: [a] }", true},
		"token, issuer removed, for all":  {noTokens{errors.New("unknown issuer")}, true, true, "anyone", true},
		"token, issuer down":              {noTokens{ErrIssuerDown}, true, true, "{ scopes: [a] }", false},
		"token, nobody signs in any more": {&fakeTokens{}, false, true, "{ scopes: [a] }", false},
		"token, scopes not read now":      {&noScopes{}, true, true, "{ scopes: [a] }", true},
		"session, provider known":         {noTokens{errors.New("unknown issuer")}, true, false, "signed-in", false},
		"session, provider removed":       {&fakeTokens{}, false, false, "signed-in", true},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			credential := "Authorization: Bearer scope:a"
			w := newWorld(t, allowing(1, "{ any_of: [signed-in, { scopes: [a] }] }"))
			if !c.bearer {
				credential = "Cookie: " + w.session("bob", "staff")
			}
			res := w.ask("GET", "/events", credential)
			lines := bufio.NewReader(res.Body)
			w.settled(lines)
			g := w.gate(w.parse(allowing(2, c.allowed)))
			g.parts.Tokens = c.tokens
			g.parts.SignIn = &fakeSignIn{feed: w.feed, knows: func(*session.Identity) bool { return c.known }}
			w.handler.Swap(g)
			if c.ends {
				w.cutOff(res)
				return
			}
			w.settled(lines)
		})
	}
}

// noTokens believes no token.
type noTokens struct{ err error }

func (n noTokens) ID() string         { return "no tokens" }
func (n noTokens) Generation() uint64 { return 0 }

func (n noTokens) Verify(context.Context, string) (*session.Identity, error) { return nil, n.err }

// noScopes believes each token, and reads no scopes from it.
type noScopes struct{ fakeTokens }

func (n *noScopes) Verify(ctx context.Context, token string) (*session.Identity, error) {
	id, err := n.fakeTokens.Verify(ctx, token)
	if err == nil {
		id.Scopes = nil
	}
	return id, err
}

// settled reads events for longer than it takes until a stream counts as one.
func (w *world) settled(lines *bufio.Reader) {
	w.t.Helper()
	for begin := time.Now(); time.Since(begin) < streamAfter+200*time.Millisecond; {
		if _, err := lines.ReadString('\n'); err != nil {
			w.t.Fatalf("the stream ended: %v", err)
		}
	}
}

// A stream that goes on hears of revocations from the gate of now.
func TestStreamsHearTheRevocationsOfTheNewGate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, allowing(1, "signed-in"))
	cookie := w.session("bob", "staff")
	res := w.ask("GET", "/events", "Cookie: "+cookie)
	w.settled(bufio.NewReader(res.Body))
	old := w.feed
	w.openFeed()
	if w.feed == old {
		t.Fatal("the feed is the same")
	}
	w.handler.Swap(w.gate(w.parse(allowing(2, "signed-in"))))
	revoked := session.Revocation{Kind: session.RevokeSubject, Issuer: "https://issuer.test", Value: "sub-bob", NotBefore: time.Now().Add(time.Second), Expires: time.Now().Add(time.Hour)}
	if err := w.feed.Revoke(t.Context(), revoked); err != nil {
		t.Fatal(err)
	}
	w.cutOff(res)
}

// TestOneRequestUsesOneGate swaps while requests run. Each generation has rules,
// identity headers and an upstream of its own: no answer may show two of them.
func TestOneRequestUsesOneGate(t *testing.T) {
	w := newWorld(t, allowing(0, "signed-in"))
	silent := w.parse(allowing(0, "signed-in") + "identity_headers: none\n")
	silent.Upstreams["app"].Host = "upstream"
	gates := []*Gate{w.gate(silent), w.gate(w.parse(allowing(1, "{ groups: [staff] }"))), w.gate(w.parse(allowing(2, "nobody")))}
	var done atomic.Bool
	var swapping, asking sync.WaitGroup
	swapping.Go(func() {
		for i := 0; !done.Load(); i++ {
			w.handler.Swap(gates[i%len(gates)])
			<-time.After(100 * time.Microsecond)
		}
	})
	cookie := w.session("bob", "staff")
	var mu sync.Mutex
	seen := map[string]int{}
	for range 4 {
		asking.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for range 300 {
				got := w.generationOf(client, cookie)
				mu.Lock()
				seen[got]++
				mu.Unlock()
			}
		})
	}
	asking.Wait()
	done.Store(true)
	swapping.Wait()
	for _, want := range []string{"200, no name, host of the application", "200, name, host of the site", "403"} {
		if seen[want] == 0 {
			t.Errorf("no answer was of the generation %q", want)
		}
		delete(seen, want)
	}
	if len(seen) > 0 {
		t.Errorf("answers show two generations: %v", seen)
	}
}

// generationOf asks once and says which gate can have answered.
func (w *world) generationOf(client *http.Client, cookie string) string {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.server.URL+"/x", nil)
	if err != nil {
		return err.Error()
	}
	r.Header.Set("Cookie", cookie)
	res, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Sprint(res.StatusCode)
	}
	var got received
	if err := json.NewDecoder(res.Body).Decode(&got); err != nil {
		return err.Error()
	}
	name, host := "no name", "host of the application"
	if got.Headers.Get("X-Forwarded-User") == "bob" && got.Headers.Get("X-Forwarded-Groups") == "staff" {
		name = "name"
	}
	if got.Host == w.site.Host {
		host = "host of the site"
	}
	return "200, " + name + ", " + host
}
