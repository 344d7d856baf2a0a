package idp

import (
	"context"

	"gatehouse/idp/mfa"
	"gatehouse/idp/notify"
)

// factorPost sends the codes of second factors through the outbox.
type factorPost struct {
	outbox *notify.Outbox
	// host is where codes are typed in: browsers offer them there alone.
	host string
}

// sendable are the kinds of second factors whose codes can be sent.
func (c *Config) sendable() []mfa.Kind {
	var kinds []mfa.Kind
	if c.Mail != nil {
		kinds = append(kinds, mfa.Email)
	}
	if c.SMS != nil {
		kinds = append(kinds, mfa.SMS)
	}
	return kinds
}

// messengers returns what sends codes by mail and by text message, each nil
// where nothing does.
func messengers(outbox *notify.Outbox, host string) (mail, sms mfa.Messenger) {
	post := factorPost{outbox, host}
	if outbox.Has(notify.Email) {
		mail = post
	}
	if outbox.Has(notify.SMS) {
		sms = post
	}
	return mail, sms
}

// Send puts m into the outbox, in the transaction of ctx.
func (p factorPost) Send(ctx context.Context, m mfa.Message) error {
	out := notify.Message{
		Kind: notify.SignInCode, Channel: notify.Email, To: m.To, Lang: m.Locale, UserID: m.UserID, Expires: m.Expires,
		Data: notify.Data{Code: m.Code, Host: p.host},
	}
	if m.Kind == mfa.SMS {
		out.Channel = notify.SMS
		if m.Purpose == mfa.SetUp {
			out.Kind = notify.VerifyPhone
		}
	} else if m.Purpose == mfa.SetUp {
		out.Kind = notify.ConfirmEmail
	}
	return p.outbox.Enqueue(ctx, out)
}
