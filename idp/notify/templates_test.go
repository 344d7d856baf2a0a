package notify_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gatehouse/idp/notify"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares text with a file in testdata.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s differs; run with -update and look at it:\n%s", path, text)
	}
}

func TestTexts(t *testing.T) {
	all := templates(t)
	for _, kind := range notify.Kinds() {
		var b strings.Builder
		for _, m := range notify.Samples(kind) {
			l, err := all.Render(m, m.Data.At)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "==== %s to %s\n", l.Channel, l.To)
			if l.Channel == notify.Email {
				fmt.Fprintf(&b, "Subject: %s\n\n%s\n---- html\n%s\n", l.Subject, l.Text, l.HTML)
			} else {
				fmt.Fprintf(&b, "%s\n", l.Text)
			}
		}
		golden(t, string(kind)+".golden", b.String())
	}
}

var (
	remote = regexp.MustCompile(`(?i)<(?:img|script|link|iframe|style|form)|url\(|src=|@import`)
	anchor = regexp.MustCompile(`<a href="([^"]*)"`)
)

func TestMailsKeepTheRulesOfMail(t *testing.T) {
	all := templates(t)
	for _, kind := range notify.Kinds() {
		samples := notify.Samples(kind)
		if len(samples) == 0 {
			t.Errorf("%s has no sample", kind)
		}
		for _, m := range samples {
			l, err := all.Render(m, m.Data.At)
			if err != nil {
				t.Fatal(err)
			}
			if m.Channel == notify.SMS {
				if n := utf8.RuneCountInString(l.Text); n > 160 {
					t.Errorf("%s: a text message of %d characters, want at most 160: it would be two", kind, n)
				}
				continue
			}
			if n := utf8.RuneCountInString(l.Subject); n >= 50 {
				t.Errorf("%s: the subject has %d characters, want fewer than 50: %s", kind, n, l.Subject)
			}
			if c := m.Data.Code; c != "" && (!strings.HasPrefix(l.Subject, c+" is ") || !strings.HasSuffix(l.Text, "\n@login.example.com #"+c+"\n")) {
				t.Errorf("%s: the code comes neither first nor bound to its host: %q\n%s", kind, l.Subject, l.Text)
			}
			if found := remote.FindString(l.HTML); found != "" {
				t.Errorf("%s: the page loads something: %s", kind, found)
			}
			if !strings.Contains(l.HTML, `<html lang="en">`) {
				t.Errorf("%s: the page has no language", kind)
			}
			links := anchor.FindAllStringSubmatch(l.HTML, -1)
			if want := m.Data.Link; want == "" && len(links) != 0 || want != "" && (len(links) != 1 || links[0][1] != want || !strings.Contains(l.Text, want)) {
				t.Errorf("%s: links %q, want one button to %q", kind, links, want)
			}
			if kind != notify.Test && !strings.Contains(l.Text, "If ") {
				t.Errorf("%s does not say what to do if it was not them:\n%s", kind, l.Text)
			}
			if !m.Expires.IsZero() && !strings.Contains(l.Text, "10 minutes") {
				t.Errorf("%s does not say how long it is valid:\n%s", kind, l.Text)
			}
		}
	}
}

// Whoever fills in a form must not choose words that we send to strangers.
func TestNamesCarryNoAdvertisement(t *testing.T) {
	all := templates(t)
	for _, user := range []string{
		"Win at http://evil.example", "evil.example", "x\r\nSubject: hello", "go to evil。example", "a\u202eb", "<a href=//evil>x</a>", "//evil",
		strings.Repeat("a", 10_000),
	} {
		for _, kind := range notify.Kinds() {
			for _, m := range notify.Samples(kind) {
				m.Data.User, m.Data.Device = user, user
				l, err := all.Render(m, m.Data.At)
				if err != nil {
					t.Fatal(err)
				}
				shown := l.Subject + l.Text + l.HTML
				if kind != notify.Invitation && strings.Contains(shown, "evil") {
					t.Errorf("%s shows %q:\n%s", kind, user, l.Text)
				}
				stranger := kind == notify.ConfirmSignUp || kind == notify.ConfirmEmail || kind == notify.VerifyPhone
				if stranger && strings.Contains(shown, "aaaa") {
					t.Errorf("%s names a user to an address that nobody has proven", kind)
				}
				if strings.ContainsAny(l.Subject, "\r\n") || strings.Contains(shown, "\u202e") || strings.Contains(shown, strings.Repeat("a", 65)) || strings.Contains(l.HTML, "<a href=//evil") {
					t.Errorf("%s lets %q through:\n%s", kind, user, shown)
				}
			}
		}
	}
}

func TestValidityIsWhatIsLeft(t *testing.T) {
	all := templates(t)
	m := notify.Samples(notify.ConfirmSignUp)[0]
	for left, want := range map[time.Duration]string{
		30 * time.Second: "1 minute", 89 * time.Second: "1 minute", 90 * time.Minute: "90 minutes",
		time.Hour: "1 hour", 24 * time.Hour: "24 hours", 47 * time.Hour: "47 hours", 72 * time.Hour: "3 days",
		// A moment after the code was made, it is what it was made for.
		24*time.Hour - 50*time.Millisecond: "24 hours", time.Hour - 2*time.Second: "1 hour", 72*time.Hour - 20*time.Second: "3 days",
		3*time.Minute - 2*time.Second: "3 minutes", 24*time.Hour - 2*time.Minute: "23 hours", 10*time.Minute - 40*time.Second: "9 minutes",
		time.Minute - time.Second: "1 minute", 29 * time.Second: "less than a minute", 0: "less than a minute", -time.Hour: "less than a minute",
	} {
		l, err := all.Render(m, m.Expires.Add(-left))
		if err != nil || !strings.Contains(l.Text, "valid for "+want+".") {
			t.Errorf("%s before the end: %v, want %q:\n%s", left, err, want, l.Text)
		}
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOperatorsTextsTakeThePlaceOfOurs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "reset_password.subject.txt", "New\n password\n")
	write(t, dir, "de/reset_password.subject.txt", "Neues Passwort für {{.Name}}")
	write(t, dir, "de/reset_password.txt", "Öffnen Sie {{.Link}}")
	write(t, dir, "de/reset_password.html", `{{template "top" .}}<p>{{.Name}}</p>{{template "button" (button . "Öffnen")}}{{template "end" .}}`)
	all, err := notify.NewTemplates(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := notify.Samples(notify.ResetPassword)[1]
	for lang, want := range map[string]string{"": "New password", "en": "New password", "fr": "New password", "de": "Neues Passwort für dana", "de-AT": "Neues Passwort für dana", "../de": "New password"} {
		m.Lang = lang
		l, err := all.Render(m, m.Data.At)
		if err != nil || l.Subject != want {
			t.Errorf("%q: subject %q, %v, want %q", lang, l.Subject, err, want)
		}
		if german := strings.HasPrefix(want, "Neu"); german != strings.Contains(l.HTML, `<html lang="de">`) {
			t.Errorf("%q: the page's language is not that of the text:\n%s", lang, l.HTML)
		}
	}
}

func TestMistakesInTextsAreToldWhenTheConfigurationIsRead(t *testing.T) {
	for name, of := range map[string]struct{ file, text, want string }{
		"syntax":        {"test.txt", "{{.Code", "test.txt"},
		"unknown field": {"test.html", "{{.Kode}}", "Kode"},
		"unknown kind":  {"sign_up.txt", "hello", "sign_up.txt"},
		"wrong part":    {"test.htm", "hello", "test.htm"},
		"no subject":    {"test.subject.txt", " \n", "subject is empty"},
		"endless":       {"test.txt", `{{define "x"}}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{{template "x"}}{{end}}{{template "x"}}`, "test"},
		"odd folder":    {"German/test.txt", "hello", "German"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, of.file, of.text)
			_, err := parse("mail: { host: smtp.example.com, from: a@example.com, templates: " + dir + " }\n")
			if err == nil || !strings.Contains(err.Error(), of.want) || !strings.Contains(err.Error(), "gatehouse.yaml:1:") {
				t.Errorf("error = %v, want a mistake in gatehouse.yaml that names %q", err, of.want)
			}
		})
	}
}
