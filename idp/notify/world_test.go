package notify_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/idp/notify"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/conf"
	"gatehouse/internal/testenv/mailsink"
)

// newSink starts a mail server that ends with the test.
func newSink(t *testing.T, o mailsink.Options) *mailsink.Sink {
	t.Helper()
	s, err := mailsink.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close mail sink: %v", err)
		}
	})
	return s
}

// mailTo is a configuration that sends to a sink by STARTTLS.
func mailTo(t *testing.T, s *mailsink.Sink) notify.MailConfig {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	return notify.MailConfig{
		Host: "localhost", Port: s.Port(), TLS: notify.StartTLS, CA: ca, Timeout: 5 * time.Second,
		From: "Example Sign-in <no-reply@example.com>", ReplyTo: "help@example.com", HELO: "app.example.com",
	}
}

func newSMTP(t *testing.T, cfg notify.MailConfig) *notify.SMTP {
	t.Helper()
	s, err := notify.NewSMTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Rest)
	return s
}

func templates(t *testing.T) *notify.Templates {
	t.Helper()
	all, err := notify.NewTemplates("")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// newOutbox returns an outbox on a database; now may be nil.
func newOutbox(t *testing.T, db *store.DB, sender notify.Sender, now func() time.Time) *notify.Outbox {
	t.Helper()
	return notify.New(notify.Parts{
		Rows: db.Outbox(), Sealer: storetest.Sealer(t), Journal: db, Templates: templates(t), Changed: db.Changed, Now: now,
		Senders: map[notify.Channel]notify.Sender{notify.Email: sender}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
}

func code(to string) notify.Message {
	return notify.Message{
		Kind: notify.ConfirmSignUp, Channel: notify.Email, To: to, Expires: time.Now().Add(10 * time.Minute),
		Data: notify.Data{Code: "482913", App: "Example"},
	}
}

// types returns the events about messages, in order.
func types(t *testing.T, db *store.DB) []string {
	t.Helper()
	events, err := db.EventsSince(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range events {
		all = append(all, e.Type)
	}
	return all
}

type section struct {
	Mail *notify.MailConfig `yaml:"mail"`
	SMS  *notify.SMSConfig  `yaml:"sms"`
}

// parse reads a configuration.
func parse(text string) (section, error) {
	var s section
	_, err := conf.Parse("gatehouse.yaml", []byte(text), &s)
	return s, err
}
