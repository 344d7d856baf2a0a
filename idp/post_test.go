package idp_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/notify"
	"gatehouse/idp/store/storetest"
)

// What a mailbox shows lets whoever sees it into every account.
func TestMailboxIsForTheDemoAlone(t *testing.T) {
	cfg := idp.Config{Issuer: &url.URL{Scheme: "http", Host: "login.localhost"}}
	deps := idp.Deps{DB: storetest.Open(t, nil), Sealer: storetest.Sealer(t), Mailbox: notify.NewMailbox(nil)}
	if _, err := idp.NewDomain(&cfg, deps); err == nil {
		t.Error("a provider that is no demo keeps its messages in a mailbox")
	}
	deps.Demo = true
	if d, err := idp.NewDomain(&cfg, deps); err != nil || !d.Outbox.Has(notify.Email) || !d.Outbox.Has(notify.SMS) {
		t.Errorf("NewDomain of a demo: %v, or a channel is missing", err)
	}
}

func TestWithoutSectionsNoMessageIsTaken(t *testing.T) {
	cfg := idp.Config{Issuer: &url.URL{Scheme: "http", Host: "login.localhost"}}
	d, err := idp.NewDomain(&cfg, idp.Deps{DB: storetest.Open(t, nil), Sealer: storetest.Sealer(t)})
	if err != nil {
		t.Fatal(err)
	}
	m := notify.Message{Kind: notify.PasswordChanged, Channel: notify.Email, To: "dana@example.com", Expires: time.Now().Add(time.Hour)}
	if err := d.Outbox.Enqueue(t.Context(), m); !errors.Is(err, notify.ErrNoChannel) {
		t.Errorf("Enqueue = %v, want ErrNoChannel", err)
	}
}
