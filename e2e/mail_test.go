package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/testenv/mailsink"
)

// mailbox is a mail server, and the people who read there.
type mailbox struct {
	t    *testing.T
	sink *mailsink.Sink
}

// letter is a mail as its reader sees it.
type letter struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	Code    string `json:"code"`
	Link    string `json:"link"`
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	sink, err := mailsink.New(mailsink.Options{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
	})
	return &mailbox{t: t, sink: sink}
}

// section is the part of the section idp that sends mail there.
func (m *mailbox) section() string {
	return fmt.Sprintf("  mail: { host: 127.0.0.1, port: %d, tls: none, from: Login <login@example.com> }\n", m.sink.Port())
}

// wait returns the newest letter to an address whose subject holds about, as
// soon as there is one.
func (m *mailbox) wait(ctx context.Context, to, about string) (letter, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		all := m.sink.Messages()
		for _, raw := range slices.Backward(all) {
			l, err := read(raw)
			if err != nil {
				return letter{}, err
			}
			if slices.Contains(raw.To, to) && strings.Contains(l.Subject, about) {
				return l, nil
			}
		}
		if err := m.sink.Count(ctx, len(all)+1); err != nil {
			return letter{}, fmt.Errorf("no mail to %s about %q: %w", to, about, err)
		}
	}
}

// letter is wait for tests.
func (m *mailbox) letter(to, about string) letter {
	m.t.Helper()
	l, err := m.wait(m.t.Context(), to, about)
	if err != nil {
		m.t.Fatal(err)
	}
	return l
}

// serve lets scripts wait too: GET ?to=ADDRESS&about=TEXT.
func (m *mailbox) serve() string {
	m.t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l, err := m.wait(r.Context(), r.FormValue("to"), r.FormValue("about"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(l) // the script has gone if this fails
	}))
	m.t.Cleanup(s.Close)
	return s.URL
}

var (
	mailCode = regexp.MustCompile(`(?m)^(\d{6}) is your code`)
	mailLink = regexp.MustCompile(`(?m)^https?://\S+$`)
)

// read decodes the plain text of a mail.
func read(raw mailsink.Message) (letter, error) {
	var l letter
	var err error
	if l.Subject, err = new(mime.WordDecoder).DecodeHeader(raw.Header.Get("Subject")); err != nil {
		return l, err
	}
	_, params, err := mime.ParseMediaType(raw.Header.Get("Content-Type"))
	if err != nil {
		return l, fmt.Errorf("mail %q: %w", l.Subject, err)
	}
	parts := multipart.NewReader(strings.NewReader(raw.Body), params["boundary"])
	for l.Text == "" {
		// NextRawPart leaves the transfer encoding to us.
		part, err := parts.NextRawPart()
		if err != nil {
			return l, fmt.Errorf("mail %q has no plain text: %w", l.Subject, err)
		}
		if !strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			continue
		}
		var body io.Reader = part
		switch strings.ToLower(part.Header.Get("Content-Transfer-Encoding")) {
		case "quoted-printable":
			body = quotedprintable.NewReader(part)
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, part)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return l, fmt.Errorf("mail %q: %w", l.Subject, err)
		}
		l.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	}
	if found := mailCode.FindStringSubmatch(l.Text); found != nil {
		l.Code = found[1]
	}
	l.Link = mailLink.FindString(l.Text)
	return l, nil
}
