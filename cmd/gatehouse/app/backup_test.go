package app

import (
	"bytes"
	"net/http"
	"os"
	"testing"
	"time"

	"gatehouse/idp/store"
)

// TestNoCookieOfBeforeOutlivesARestore: a session that was signed out after the
// backup, and with it every other, is dead at the gateway and at the provider.
func TestNoCookieOfBeforeOutlivesARestore(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.browser(), w.browser()
	alice.signIn("/", "alice")
	bob.signIn("/", "bob")
	st, err := OpenStore(t.Context(), w.plan)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if _, err := st.Backup(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	thief := alice.copied()
	if page, err := alice.submit(alice.open("/_gatehouse/sign-out"), nil); err != nil || page.StatusCode != http.StatusOK {
		t.Fatalf("sign-out: %v, %v", page.Response, err)
	}
	w.stop()

	c := w.plan.Config
	sealer, err := c.openSealer(false, os.Getenv(SealingEnv))
	if err != nil {
		t.Fatal(err)
	}
	// A demo's backup is not restored by the command; the store does it.
	db, err := c.IDP.Store.Open(t.Context(), c.DataDir, store.Options{Demo: true, Sealer: sealer, RevocationLife: c.revocationLife()})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Restore(t.Context(), bytes.NewReader(file.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	w.restart()
	for who, b := range map[string]*browser{"alice, who signed out": thief, "bob": bob} {
		if got := b.fetch("/"); got != http.StatusUnauthorized {
			t.Errorf("the cookie of %s after a restore = %d, want 401", who, got)
		}
	}
	if page := bob.open("/"); page.Request.URL.Path == "/" {
		t.Error("the provider still knows bob's session of before the restore")
	}
	// What is issued in the second of a restore counts as issued before it.
	time.Sleep(1100 * time.Millisecond)
	if again := w.browser(); again.signIn("/", "alice").StatusCode != http.StatusOK || again.fetch("/") != http.StatusOK {
		t.Error("alice cannot sign in after a restore")
	}
}
