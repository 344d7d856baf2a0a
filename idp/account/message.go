package account

import (
	"context"
	"time"
)

// Channel is a way to reach a person.
type Channel string

// The channels.
const (
	Email Channel = "email"
	Phone Channel = "phone"
)

// Kind is what a message says.
type Kind string

// The kinds of messages, and what is in them.
const (
	ConfirmSignUp        Kind = "confirm_sign_up"        // Code and, by e-mail, Token
	AlreadyRegistered    Kind = "already_registered"     // to the owner of an address that somebody asked for
	ResetPassword        Kind = "reset_password"         // Token by e-mail, Code by phone
	PasswordChanged      Kind = "password_changed"       // notice
	ConfirmEmail         Kind = "confirm_email"          // Code, to the new address
	EmailChangeRequested Kind = "email_change_requested" // notice to the old address; New
	EmailChanged         Kind = "email_changed"          // notice to both; Old, New
	VerifyPhone          Kind = "verify_phone"           // Code, to the new number
	Invitation           Kind = "invitation"             // Token
	AccountDeleted       Kind = "account_deleted"        // notice
)

// Message is one thing to tell one person.
type Message struct {
	Kind    Kind
	Channel Channel
	// To is an e-mail address or a phone number.
	To string
	// UserID and Username are whom it is about, "" for nobody yet.
	UserID, Username string
	// Locale is the language that the person reads, as their account says; "" if
	// it does not.
	Locale string
	// Code is six digits, or eight to a new address or for a new password, Token what
	// a link carries; "" for none.
	Code, Token string
	// Old and New are e-mail addresses.
	Old, New string
	// Expires is when the message has become worthless; zero for a notice.
	Expires time.Time
}

// Messenger takes messages.
type Messenger interface {
	// Has tells whether messages can be sent over a channel.
	Has(c Channel) bool
	// Send takes a message in the transaction of ctx: it is sent when that
	// commits, and otherwise never was. It waits for no server.
	Send(ctx context.Context, m Message) error
	// Pretend is as much work for the store as Send, and sends nothing.
	Pretend(ctx context.Context) error
}
