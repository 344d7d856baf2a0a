package idp

import (
	"errors"
	"fmt"

	"gatehouse/idp/notify"
	"gatehouse/idp/ui"
)

// newOutbox puts the outbox together with the senders that are configured, or
// with the mailbox of a demo.
func newOutbox(cfg *Config, d Deps) (*notify.Outbox, error) {
	p := notify.Parts{
		Rows: d.DB.Outbox(), Sealer: d.Sealer, Journal: d.DB, Changed: d.DB.Changed, Now: d.Now, Log: d.Log,
		Senders: map[notify.Channel]notify.Sender{},
	}
	dir := ""
	if cfg.Mail != nil {
		dir = cfg.Mail.Templates
		sender, err := notify.NewSMTP(*cfg.Mail)
		if err != nil {
			return nil, fmt.Errorf("idp.mail: %w", err)
		}
		p.Senders[notify.Email] = sender
	}
	if cfg.SMS != nil {
		p.Senders[notify.SMS] = notify.NewWebhook(*cfg.SMS)
	}
	if d.Mailbox != nil {
		// What it shows lets whoever sees it into every account.
		if !d.Demo {
			return nil, errors.New("a mailbox is for the demo alone")
		}
		for _, c := range notify.Channels() {
			p.Senders[c] = d.Mailbox
		}
	}
	var err error
	if p.Templates, err = notify.NewTemplates(dir); err != nil {
		return nil, fmt.Errorf("idp.mail.templates: %w", err)
	}
	return notify.New(p), nil
}

// letters returns what shows the letters of a demo's mailbox; nil without one.
func letters(m *notify.Mailbox) func() []ui.Letter {
	if m == nil {
		return nil
	}
	return func() []ui.Letter {
		var all []ui.Letter
		for _, k := range m.Letters() {
			all = append(all, ui.Letter{At: k.At, Kind: string(k.Kind), To: k.To, Subject: k.Subject, Text: k.Text, Link: k.Link})
		}
		return all
	}
}
