package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/notify"
	"gatehouse/internal/conf"
	"gatehouse/internal/testenv/mailsink"
)

func letter(t *testing.T) notify.Letter {
	t.Helper()
	m := notify.Samples(notify.ConfirmSignUp)[2]
	l, err := templates(t).Render(m, m.Data.At)
	if err != nil {
		t.Fatal(err)
	}
	l.ID = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return l
}

func TestMailHasTheHeadersOfAMachine(t *testing.T) {
	sink := newSink(t, mailsink.Options{})
	s := newSMTP(t, mailTo(t, sink))
	for range 2 {
		answer, err := s.Send(t.Context(), letter(t))
		if err != nil || !strings.Contains(answer, "kept") {
			t.Fatalf("Send = %q, %v", answer, err)
		}
	}
	if n := sink.Connections(); n != 1 {
		t.Errorf("%d connections for two letters, want 1", n)
	}
	m := sink.Messages()[0]
	for name, want := range map[string]string{
		"From": `"Example Sign-in" <no-reply@example.com>`, "To": "<dana@example.com>", "Reply-To": "<help@example.com>",
		"Message-Id": "<abcdefghijklmnopqrstuvwxyz@example.com>", "Auto-Submitted": "auto-generated", "Content-Language": "en",
		"X-Mailer": "", "User-Agent": "", "Mime-Version": "1.0",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if at, err := m.Header.Date(); err != nil || time.Since(at) > time.Minute {
		t.Errorf("Date: %v, %v", at, err)
	}
	if !strings.HasPrefix(m.Header.Get("Content-Type"), "multipart/alternative") || strings.Index(m.Body, "text/plain") > strings.Index(m.Body, "text/html") {
		t.Errorf("want text and then HTML as alternatives:\n%s", m.Raw)
	}
}

func TestNoHeaderCanBeSmuggledIn(t *testing.T) {
	sink := newSink(t, mailsink.Options{})
	s := newSMTP(t, mailTo(t, sink))
	l := letter(t)
	l.Subject = "hello\r\nBcc: eve@example.org\r\n\r\nbody"
	l.Lang = "en\r\nBcc: eve@example.org"
	if _, err := s.Send(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	m := sink.Messages()[0]
	if m.Header.Get("Bcc") != "" || len(m.To) != 1 || m.Header.Get("Subject") != "hello Bcc: eve@example.org body" {
		t.Errorf("header %v, recipients %q", m.Header, m.To)
	}
	for _, to := range []string{
		"a@example.org\r\nBcc: eve@example.org", "a@example.org, eve@example.org", "Eve <eve@example.org>", "a@example.org>\r\nRCPT TO:<eve@example.org",
		"", "a", "a@b@c", `"a b"@example.org`, "a@example.org\x00", strings.Repeat("a", 250) + "@example.org",
	} {
		l.To = to
		var failed *notify.DeliveryError
		if _, err := s.Send(t.Context(), l); !errors.As(err, &failed) || !failed.Permanent {
			t.Errorf("to %q: %v, want a permanent error", to, err)
		}
	}
	if n := len(sink.Messages()); n != 1 {
		t.Errorf("%d mails, want 1", n)
	}
}

func TestServerMustProveItsName(t *testing.T) {
	for name, change := range map[string]func(*notify.MailConfig){
		"unknown authority": func(c *notify.MailConfig) { c.CA = "" },
		"another name":      func(c *notify.MailConfig) { c.Host = "127.0.0.2" },
		"wrong password":    func(c *notify.MailConfig) { c.Password = "wrong" },
		"no STARTTLS":       func(c *notify.MailConfig) {},
	} {
		t.Run(name, func(t *testing.T) {
			addr := "127.0.0.1:0"
			if name == "another name" {
				addr = "127.0.0.2:0"
			}
			sink := newSink(t, mailsink.Options{Addr: addr, Username: "us", Password: "secret", Plain: name == "no STARTTLS"})
			cfg := mailTo(t, sink)
			cfg.Username, cfg.Password = "us", "secret"
			change(&cfg)
			_, err := newSMTP(t, cfg).Send(t.Context(), letter(t))
			var failed *notify.DeliveryError
			if !errors.As(err, &failed) || failed.Permanent || failed.Step != "connect" || len(sink.Messages()) != 0 {
				t.Errorf("Send = %v, want a passing failure to connect", err)
			}
		})
	}
	sink := newSink(t, mailsink.Options{Implicit: true})
	cfg := mailTo(t, sink)
	cfg.TLS = notify.Implicit
	if _, err := newSMTP(t, cfg).Send(t.Context(), letter(t)); err != nil || !sink.Messages()[0].TLS {
		t.Errorf("implicit TLS: %v", err)
	}
}

// The password is told by the safest of the ways that the server knows.
func TestServerKnowsOtherWaysToAuthenticate(t *testing.T) {
	for _, tt := range []struct {
		methods []string
		want    string
	}{
		{[]string{mailsink.AuthPlain}, mailsink.AuthPlain},
		{[]string{mailsink.AuthLogin}, mailsink.AuthLogin},
		{[]string{mailsink.AuthLogin, mailsink.AuthPlain}, mailsink.AuthPlain},
		{[]string{mailsink.AuthLogin, mailsink.AuthPlain, mailsink.AuthSCRAM}, mailsink.AuthSCRAM},
	} {
		sink := newSink(t, mailsink.Options{Username: "us", Password: "secret", Methods: tt.methods})
		cfg := mailTo(t, sink)
		cfg.Username, cfg.Password = "us", "secret"
		if _, err := newSMTP(t, cfg).Send(t.Context(), letter(t)); err != nil {
			t.Errorf("%v: %v", tt.methods, err)
		} else if m := sink.Messages()[0]; m.User != "us" || m.Method != tt.want {
			t.Errorf("%v: %s with %q, want %s", tt.methods, m.User, m.Method, tt.want)
		}
		cfg.Password = "another"
		var failed *notify.DeliveryError
		if _, err := newSMTP(t, cfg).Send(t.Context(), letter(t)); !errors.As(err, &failed) || failed.Code != 535 || strings.Contains(err.Error(), "another") {
			t.Errorf("%v with another password: %v, want 535", tt.methods, err)
		}
	}
	sink := newSink(t, mailsink.Options{Username: "us", Password: "secret", Methods: []string{mailsink.AuthSCRAM}, Impostor: true})
	cfg := mailTo(t, sink)
	cfg.Username, cfg.Password = "us", "secret"
	if _, err := newSMTP(t, cfg).Send(t.Context(), letter(t)); err == nil || len(sink.Messages()) != 0 {
		t.Errorf("a server that does not know the password was given a letter (%v)", err)
	}
}

func TestClosedConnectionIsMadeAnew(t *testing.T) {
	sink := newSink(t, mailsink.Options{Answer: func(command, _ string) string {
		if command == "NOOP" {
			return mailsink.Drop
		}
		return ""
	}})
	s := newSMTP(t, mailTo(t, sink))
	if _, err := s.Send(t.Context(), letter(t)); err == nil {
		t.Fatal("a fresh connection that fails is no success")
	}
	open := newSink(t, mailsink.Options{})
	s = newSMTP(t, mailTo(t, open))
	for range 2 {
		if _, err := s.Send(t.Context(), letter(t)); err != nil {
			t.Fatal(err)
		}
		open.Hangup()
	}
	if len(open.Messages()) != 2 || open.Connections() != 2 {
		t.Errorf("%d mails over %d connections, want 2 over 2", len(open.Messages()), open.Connections())
	}
}

func TestSendEndsWithItsContext(t *testing.T) {
	for _, command := range []string{"CONNECT", "EHLO", "RCPT"} {
		release := make(chan struct{})
		sink := newSink(t, mailsink.Options{Answer: func(c, _ string) string {
			if c == command {
				<-release
			}
			return ""
		}})
		cfg := mailTo(t, sink)
		cfg.Timeout = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		begin := time.Now()
		_, err := newSMTP(t, cfg).Send(ctx, letter(t))
		if err == nil || time.Since(begin) > 10*time.Second {
			t.Errorf("%s: Send = %v after %s", command, err, time.Since(begin))
		}
		cancel()
		close(release)
	}
}

const smsSecret = "0123456789-0123456789-0123456789"

func webhook(t *testing.T, h http.HandlerFunc) *notify.Webhook {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL + "/sms")
	if err != nil {
		t.Fatal(err)
	}
	w := notify.NewWebhook(notify.SMSConfig{URL: u, Secret: conf.Secret(smsSecret), Timeout: time.Second})
	t.Cleanup(w.Rest)
	return w
}

func text() notify.Letter {
	return notify.Letter{ID: "id1", Kind: notify.VerifyPhone, Channel: notify.SMS, To: "+4930123456", Text: "482913 is your code"}
}

func TestWebhookIsSigned(t *testing.T) {
	var header string
	var body []byte
	w := webhook(t, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Get(notify.SignatureHeader)
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	})
	if _, err := w.Send(t.Context(), text()); err != nil {
		t.Fatal(err)
	}
	// As a receiver would, in its own words.
	stamp, signature, found := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte(smsSecret))
	io.WriteString(mac, stamp+"."+string(body))
	if !found || signature != hex.EncodeToString(mac.Sum(nil)) {
		t.Errorf("signature %q does not fit the body %s", header, body)
	}
	var call map[string]string
	want := map[string]string{"id": "id1", "to": "+4930123456", "text": "482913 is your code", "kind": "verify_phone"}
	if err := json.Unmarshal(body, &call); err != nil || len(call) != len(want) {
		t.Fatalf("body %s, %v", body, err)
	}
	for k, v := range want {
		if call[k] != v {
			t.Errorf("%s is %q, want %q", k, call[k], v)
		}
	}
}

func TestWebhookAnswers(t *testing.T) {
	elsewhere := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	t.Cleanup(other.Close)
	for status, permanent := range map[int]bool{400: true, 422: true, 401: false, 404: false, 429: false, 500: false, 302: false, 307: false} {
		w := webhook(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(status)
			io.WriteString(w, "no: +4930123456")
		})
		var failed *notify.DeliveryError
		_, err := w.Send(t.Context(), text())
		if !errors.As(err, &failed) || failed.Code != status || failed.Permanent != permanent || strings.Contains(err.Error(), "4930") {
			t.Errorf("%d: %v, want an error without the number, permanent %v", status, err, permanent)
		}
	}
	if elsewhere != 0 {
		t.Errorf("a redirect was followed %d times", elsewhere)
	}
	endless := webhook(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server does not notice that the caller has gone
		<-r.Context().Done()
	})
	if _, err := endless.Send(t.Context(), text()); err == nil {
		t.Error("a webhook that does not answer is no success")
	}
}

func TestWebhookDoesNotCallLinkLocalAddresses(t *testing.T) {
	u, err := url.Parse("https://169.254.169.254/latest")
	if err != nil {
		t.Fatal(err)
	}
	w := notify.NewWebhook(notify.SMSConfig{URL: u, Secret: smsSecret, Timeout: 3 * time.Second})
	if _, err := w.Send(t.Context(), text()); err == nil || !strings.Contains(err.Error(), "no gateway for messages") {
		t.Errorf("Send = %v, want it refused", err)
	}
}
