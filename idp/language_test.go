package idp_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/idp"
	"gatehouse/idp/pool"
)

// A text in a language goes to whoever reads it, and to nobody else.
func TestMessagesOfAnAccountAreInItsLanguage(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "de"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "de", "reset_password.txt"), []byte("Hier klicken: {{.Link}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := startMailed(t, "", func(c *idp.Config) { c.Mail.Templates = dir })
	if err := m.p.Pool.Change(t.Context(), m.userID("alice"), pool.Changes{Attributes: map[string]string{"locale": "de-CH"}}); err != nil {
		t.Fatal(err)
	}
	if err := m.p.Pool.Change(t.Context(), m.userID("bob"), pool.Changes{EmailVerified: new(true)}); err != nil {
		t.Fatal(err)
	}
	for name, german := range map[string]bool{"alice": true, "bob": false} {
		b := m.browser()
		forgot := b.get(b.open(newRequest()).linkOf(t, "Forgotten"))
		b.want(b.fill(forgot, "username", name), 200, "Check your mail")
		to := map[string]string{"alice": "Alice@example.com", "bob": "bob@example.com"}[name]
		if text := m.mail(to).text; strings.Contains(text, "Hier klicken") != german {
			t.Errorf("%s is written to: %s", name, text)
		}
	}
}
