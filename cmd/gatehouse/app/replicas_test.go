package app

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/idp/store/storetest"
)

// replica opens a second gateway on the plan of w, at an address of its own, and
// returns what makes a browser talk to it as if to the first.
func (w *world) replica() func(*browser) *browser {
	w.t.Helper()
	ln := listen(w.t, "127.0.0.1:0")
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	a, err := Open(ctx, w.plan, Options{
		Log: slog.New(slog.NewJSONHandler(w.logs, nil)), Demo: true, DemoPasswords: passwords(), Listeners: []net.Listener{ln},
	})
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run() of the replica = %v, want nil", err)
		}
	})
	return func(b *browser) *browser {
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
		}}
		w.t.Cleanup(transport.CloseIdleConnections)
		b.http.Transport = transport
		return b
	}
}

// TestReplicasOnOnePostgresHearOfEachOther: whoever signs out at one gateway, or
// is disabled by the command line, is out at every other within a second.
func TestReplicasOnOnePostgresHearOfEachOther(t *testing.T) {
	database := storetest.EmptyPostgres(t)
	w := newWorld(t, "  bootstrap:\n", "  store: { postgres: '"+database.Postgres.Reveal()+"' }\n  bootstrap:\n")
	there := w.replica()
	alice, bob := w.browser(), w.browser()
	alice.signIn("/", "alice")
	bob.signIn("/", "bob")
	thief, bobThere := there(alice.copied()), there(bob.copied())
	for who, b := range map[string]*browser{"a copy of alice's cookie": thief, "bob's": bobThere} {
		if got := b.fetch("/"); got != http.StatusOK {
			t.Fatalf("%s at the other gateway = %d, want 200: this test would show nothing", who, got)
		}
	}
	if page, err := alice.submit(alice.open("/_gatehouse/sign-out"), nil); err != nil || page.StatusCode != http.StatusOK {
		t.Fatalf("sign-out: %v, %v", page.Response, err)
	}
	outWithinASecond(t, "a copy of alice's cookie", thief)
	if got := bobThere.fetch("/"); got != http.StatusOK {
		t.Errorf("bob at the other gateway = %d, want 200: only alice signed out", got)
	}

	st, err := OpenStore(t.Context(), w.plan)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	u, err := st.Pool.Find(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Pool.Disable(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	outWithinASecond(t, "bob's cookie", bobThere)

	// Whoever begins to sign in at one gateway may end it at the other.
	carol := w.browser()
	first := carol.open("/")
	there(carol)
	if page, err := carol.submit(first, map[string]string{"username": "carol", "password": demoPassword}); err != nil || page.StatusCode != http.StatusOK || carol.fetch("/") != http.StatusOK {
		t.Errorf("a sign-in that changes the gateway: %v, %v", page.Response, err)
	}
}

func outWithinASecond(t *testing.T, who string, b *browser) {
	t.Helper()
	second, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for b.fetch("/") != http.StatusUnauthorized {
		if second.Err() != nil {
			t.Fatalf("%s is good at the other gateway after a second", who)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// TestReplicasMayStartTogether: on a database that is empty, with all that the
// configuration wants to be in it.
func TestReplicasMayStartTogether(t *testing.T) {
	first, second := storetest.EmptyPostgres(t), storetest.EmptyPostgres(t)
	w := newWorld(t, "  bootstrap:\n", "  store: { postgres: '"+first.Postgres.Reveal()+"' }\n  bootstrap:\n")
	text, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	// The keys are those of w, which all replicas are given.
	write(t, w.path, strings.Replace(string(text), first.Postgres.Reveal(), second.Postgres.Reveal(), 1))
	plan, err := Load(w.path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		ln := listen(t, "127.0.0.1:0")
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			a, err := Open(ctx, plan, Options{Log: slog.New(slog.DiscardHandler), Demo: true, DemoPasswords: passwords(), Listeners: []net.Listener{ln}})
			if err != nil {
				t.Errorf("replica %d: %v", i, err)
				return
			}
			cancel()
			if err := a.Run(ctx); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	st, err := OpenStore(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if keys, err := st.TokenKeys(t.Context()); err != nil || len(keys) > 1 {
		t.Errorf("%d signing keys, %v; want one at most", len(keys), err)
	}
	if _, err := st.Pool.Find(t.Context(), "alice"); err != nil {
		t.Errorf("alice: %v", err)
	}
}
