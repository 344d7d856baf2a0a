package idp

import (
	"context"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/notify"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
)

// noticePost tells people by mail what has happened to their account.
type noticePost struct {
	outbox *notify.Outbox
	now    func() time.Time
}

// notices returns what tells people of changes, nil where no mail is sent.
func notices(outbox *notify.Outbox, now func() time.Time) signin.Notices {
	if !outbox.Has(notify.Email) {
		return nil
	}
	if now == nil {
		now = time.Now
	}
	return noticePost{outbox, now}
}

// Tell puts a notice into the outbox; nothing for somebody whose address nobody
// has shown to be theirs.
func (p noticePost) Tell(ctx context.Context, u pool.User, n signin.Notice) error {
	if !u.EmailVerified || u.Email == "" {
		return nil
	}
	m := notify.Message{
		Channel: notify.Email, To: u.Email, Lang: u.Attribute("locale"), UserID: u.ID, Expires: p.now().Add(notify.MaxWait),
		Data: notify.Data{User: u.Username, At: p.now()},
	}
	switch n.What {
	case signin.FactorAdded:
		m.Kind, m.Data.Factor = notify.FactorAdded, inWords(n.Factor)
	case signin.FactorRemoved:
		m.Kind, m.Data.Factor = notify.FactorRemoved, inWords(n.Factor)
	case signin.DeviceRemembered:
		m.Kind = notify.NewDevice
	case signin.PasswordChanged:
		m.Kind = notify.PasswordChanged
	}
	return p.outbox.Enqueue(ctx, m)
}

// inWords is what a mail calls a kind of second factor.
func inWords(k mfa.Kind) string {
	return map[mfa.Kind]string{
		mfa.TOTP: "authenticator app", mfa.Passkey: "passkey", mfa.Email: "code by e-mail",
		mfa.SMS: "code by text message", mfa.Recovery: "recovery codes",
	}[k]
}
