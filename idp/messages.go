package idp

import (
	"context"
	"net/url"

	"gatehouse/idp/account"
	"gatehouse/idp/mfa"
	"gatehouse/idp/notify"
	"gatehouse/idp/store"
	"gatehouse/idp/ui"
)

// accountKeyPurpose derives the key of the codes and links of idp/account; no
// other key comes from it.
const accountKeyPurpose = "account code"

// newAccounts puts the ways in and out of an account together.
func newAccounts(cfg *Config, d Deps, domain *Domain) *account.Accounts {
	return account.New(cfg.Account, account.Parts{
		Pool: domain.Pool, Hasher: domain.Hasher, SignUps: d.DB.SignUps(), Unconfirmed: d.DB.Unconfirmed(), Codes: d.DB.AccountCodes(),
		Limits: d.DB.AccountLimits(), Journal: d.DB, Messenger: messages{outbox: domain.Outbox, db: d.DB, issuer: cfg.Issuer},
		Guard: domain.guard, Factors: sentFactors{domain.Factors},
		Key: d.Sealer.Derive(accountKeyPurpose, 32), Held: func() [][]byte { return d.Sealer.DeriveAll(accountKeyPurpose, 32) },
		Now: d.Now,
	})
}

// messages hands the messages of idp/account to the outbox, with links to the
// pages of idp/ui.
type messages struct {
	outbox *notify.Outbox
	db     *store.DB
	issuer *url.URL
}

var messageChannels = map[account.Channel]notify.Channel{account.Email: notify.Email, account.Phone: notify.SMS}

// messageKinds are the kinds of the outbox, and the pages that links lead to.
var messageKinds = map[account.Kind]struct {
	kind notify.Kind
	page string
}{
	account.ConfirmSignUp:        {notify.ConfirmSignUp, ui.PathConfirm},
	account.AlreadyRegistered:    {kind: notify.AlreadyRegistered},
	account.ResetPassword:        {notify.ResetPassword, ui.PathReset},
	account.PasswordChanged:      {kind: notify.PasswordChanged},
	account.ConfirmEmail:         {kind: notify.ConfirmEmail},
	account.EmailChangeRequested: {kind: notify.EmailChangeRequested},
	account.EmailChanged:         {kind: notify.EmailChanged},
	account.VerifyPhone:          {kind: notify.VerifyPhone},
	account.Invitation:           {notify.Invitation, ui.PathInvite},
	account.AccountDeleted:       {kind: notify.AccountDeleted},
}

// Has implements account.Messenger.
func (m messages) Has(c account.Channel) bool { return m.outbox.Has(messageChannels[c]) }

// Send implements account.Messenger.
func (m messages) Send(ctx context.Context, v account.Message) error {
	k := messageKinds[v.Kind]
	n := notify.Message{
		Kind: k.kind, Channel: messageChannels[v.Channel], To: v.To, Lang: v.Locale, UserID: v.UserID, Expires: v.Expires,
		Data: notify.Data{App: m.issuer.Hostname(), User: v.Username, Code: v.Code, Old: v.Old, New: v.New},
	}
	if v.Code != "" {
		n.Data.Host = m.issuer.Hostname()
	}
	if v.Token != "" && k.page != "" && v.Channel == account.Email {
		n.Data.Link = m.issuer.String() + k.page + "?token=" + url.QueryEscape(v.Token)
	}
	if v.Kind == account.AlreadyRegistered {
		n.Data.Link = m.issuer.String() + ui.PathAccount
	}
	if n.Kind == notify.ConfirmSignUp && n.Channel == notify.SMS {
		n.Kind = notify.VerifyPhone
	}
	return m.outbox.Enqueue(ctx, n)
}

// Pretend implements account.Messenger.
func (m messages) Pretend(ctx context.Context) error { return m.db.PretendMessage(ctx) }

// sentFactors tells over which channels codes of people's second factors go.
type sentFactors struct{ factors *mfa.Factors }

// Over implements account.Factors.
func (s sentFactors) Over(ctx context.Context, userID string) ([]account.Channel, error) {
	set, err := s.factors.Of(ctx, userID)
	if err != nil {
		return nil, err
	}
	var all []account.Channel
	for channel, kind := range factorOver {
		if set.Has(kind) {
			all = append(all, channel)
		}
	}
	return all, nil
}

// factorOver is the second factor whose codes go over a channel.
var factorOver = map[account.Channel]mfa.Kind{account.Email: mfa.Email, account.Phone: mfa.SMS}
