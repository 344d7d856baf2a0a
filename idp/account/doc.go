// Package account answers one question: how does a person get into an account,
// back into it, and out of it?
//
// It owns sign-up and its confirmation, invitations, the forgotten password, the
// change of e-mail address, phone number, password and profile, and the end of an
// account by its own person; the codes and links that are sent for these, and how
// often anybody may ask for them.
//
// Order of events: somebody asks; what was asked is counted (per network, per
// recipient, per account) and written down in one transaction with the message
// that goes out; the person comes back with a code or a link; the try is counted
// before it is looked at; what it proves and the end of the code happen in one
// transaction. A sign-up is a row of its own and no user until then: it reserves
// no name.
//
// Whoever asks gets one answer after the same work, whether there is such a user
// or not: what differs is told to the owner of the mailbox alone.
//
// Codes and links are bound to their purpose, to whom they are for, to where they
// were sent and to the state of the account, and only their HMAC is kept.
//
// It must not know HTTP, SQL, pages, sessions or how a message is sent.
package account
