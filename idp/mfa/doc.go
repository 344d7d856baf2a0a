// Package mfa is second factors: codes of an authenticator app (TOTP), codes
// sent by e-mail and SMS, passkeys, and recovery codes; and the devices on which
// a person need not show one again.
//
// It answers: what has this person enrolled ([Factors.Of]), does a sign-in need
// more than a password ([Factors.Need]), with what ([Factors.Offer]), is this
// answer right ([Factors.Check], [Factors.AnswerPasskey]), and what may the
// token say of it ([AMR], [ACR]). It owns the rows of factors, codes, passkeys,
// devices and counts of wrong answers, behind the interfaces of rows.go.
//
// Order of events at a sign-in: the caller has checked a password; Of and Need
// say whether a factor is missing; Offer says which; Send brings a code or
// AskPasskey a challenge; Check or AnswerPasskey raise the counts, look at the
// answer, and consume what may work only once; the caller joins the [Proof]
// with AMR. Setting up a factor takes two steps, so that nobody is locked out by
// a secret that was never stored: what the first returns is bound to the person
// and kept by the caller's flow, and the second demands a right answer. Adding,
// removing and resetting append an event, end the sessions and tokens of before,
// and forget the devices, in one transaction.
//
// What is asked for twice is refused: a TOTP code by its time step, a recovery
// code and a sent code by deleting its row, a ceremony or set-up by the mark it
// leaves, each in one statement, so that fifty submits at once on several
// replicas are one success.
//
// Check must not be called inside a transaction that may be rolled back, or the
// count of wrong answers would be as well.
//
// The package knows no HTTP, SQL, page or cookie, and neither the pool nor the
// sign-in: people are whoever the caller says ([Person]). The caller takes
// addresses from the account and never from a request.
package mfa
