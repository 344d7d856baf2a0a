package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/notify"

	"github.com/spf13/cobra"
)

func newMail(s *settings) *cobra.Command {
	return noun("mail", "Messages to people: try them out, look at them", mailTest(s), mailPreview(s))
}

// testTime is how long a test message may take.
const testTime = time.Minute

func mailTest(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "test ADDRESS", Short: "Send a test message and say what the server answered", Args: cobra.ExactArgs(1),
		Long: `Send a test message, straight through the configured server, and say what it
answered. ADDRESS is a mail address, or a phone number such as +4930123456.
It neither needs a running gateway nor uses its outbox.`,
		Example: "  gatehouse mail test you@example.com",
		RunE: func(cmd *cobra.Command, args []string) error {
			answer, err := s.sendTest(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.print(map[string]string{"sent_to": args[0], "answer": answer}, func(w io.Writer) {
				fmt.Fprintf(w, "sent to %s; the server answered: %s\n", args[0], answer)
			})
		},
	}
}

func (s *settings) sendTest(ctx context.Context, to string) (string, error) {
	plan, _, err := s.load()
	if err != nil {
		return "", err
	}
	m := notify.Message{Kind: notify.Test, Channel: notify.Email, To: to}
	if strings.HasPrefix(to, "+") {
		m.Channel = notify.SMS
	}
	if err := m.Check(); err != nil {
		return "", usage("%q is no mail address, and no phone number such as +4930123456", to)
	}
	cfg, dir := plan.Config.IDP, ""
	if cfg != nil && cfg.Mail != nil {
		dir = cfg.Mail.Templates
	}
	texts, err := notify.NewTemplates(dir)
	if err != nil {
		return "", problems(err)
	}
	letter, err := texts.Render(m, time.Now())
	if err != nil {
		return "", problems(err)
	}
	letter.ID = rand.Text()
	var sender notify.Sender
	switch {
	case cfg != nil && m.Channel == notify.SMS && cfg.SMS != nil:
		sender = notify.NewWebhook(*cfg.SMS)
	case cfg != nil && m.Channel == notify.Email && cfg.Mail != nil:
		if sender, err = notify.NewSMTP(*cfg.Mail); err != nil {
			return "", problems(err)
		}
	default:
		return "", problems(fmt.Errorf("send test message: %w; configure %s", notify.ErrNoChannel, sectionOf[m.Channel]))
	}
	defer sender.Rest()
	ctx, cancel := context.WithTimeout(ctx, testTime)
	defer cancel()
	answer, err := sender.Send(ctx, letter)
	var failed *notify.DeliveryError
	if errors.As(err, &failed) && failed.Answer != "" {
		return "", unreachable(fmt.Errorf("%w\n  %s", err, failed.Answer))
	}
	if err != nil {
		return "", unreachable(err)
	}
	return answer, nil
}

var sectionOf = map[notify.Channel]string{notify.Email: "idp.mail", notify.SMS: "idp.sms"}

// previewJSON is a message as printed.
type previewJSON struct {
	Channel string `json:"channel"`
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text"`
	HTML    string `json:"html,omitempty"`
}

func mailPreview(s *settings) *cobra.Command {
	var lang string
	var html bool
	cmd := &cobra.Command{
		Use: "preview KIND", Short: "Print a message with made-up data",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("which message? It is one of %s", strings.Join(kindNames(), ", "))
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		Long:      "Print a message with made-up data, in each form that it has. KIND is one of:\n\n  " + strings.Join(kindNames(), "\n  "),
		Example:   "  gatehouse mail preview reset_password\n  gatehouse mail preview reset_password --html > page.html",
		ValidArgs: kindNames(),
		RunE: func(_ *cobra.Command, args []string) error {
			samples := notify.Samples(notify.Kind(args[0]))
			if samples == nil {
				return usage("%q is no kind of message: %s", args[0], strings.Join(kindNames(), ", "))
			}
			all, err := s.previews(samples, lang)
			if err != nil {
				return err
			}
			return s.print(all, func(w io.Writer) { printPreviews(w, all, html) })
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "", "`LANGUAGE` to print it in, such as de (default English)")
	cmd.Flags().BoolVar(&html, "html", false, "print the HTML of its first form alone")
	return cmd
}

func kindNames() []string {
	var names []string
	for _, k := range notify.Kinds() {
		names = append(names, string(k))
	}
	return names
}

// previews needs no configuration: without one the texts are ours.
func (s *settings) previews(samples []notify.Message, lang string) ([]previewJSON, error) {
	dir := ""
	plan, _, err := s.load()
	if err != nil && (s.config != "" || !errors.Is(err, app.ErrNoConfig)) {
		return nil, err
	}
	if err == nil && plan.Config.IDP != nil && plan.Config.IDP.Mail != nil {
		dir = plan.Config.IDP.Mail.Templates
	}
	texts, err := notify.NewTemplates(dir)
	if err != nil {
		return nil, problems(err)
	}
	var all []previewJSON
	for _, m := range samples {
		m.Lang = lang
		l, err := texts.Render(m, m.Data.At)
		if err != nil {
			return nil, problems(err)
		}
		all = append(all, previewJSON{string(l.Channel), l.Subject, l.Text, l.HTML})
	}
	return all, nil
}

func printPreviews(w io.Writer, all []previewJSON, html bool) {
	for i, p := range all {
		switch {
		case html && i > 0:
		case html:
			io.WriteString(w, p.HTML)
		case p.Subject != "":
			fmt.Fprintf(w, "---- %s\nSubject: %s\n\n%s\n", p.Channel, p.Subject, p.Text)
		default:
			fmt.Fprintf(w, "---- %s\n%s\n", p.Channel, p.Text)
		}
	}
}
