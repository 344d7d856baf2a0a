// Package signin answers one question: has this browser proved that it is this
// person?
//
// It owns the challenge machine: a flow begins with what waits for the sign-in
// (Ask), takes answers (Password), and ends once (Close). It counts tries, per
// flow, per account and per address, and it is the one place that decides
// between "signed in" and "refused".
//
// Order of events of an answer: the flow is found and belongs to this browser;
// the address may still try; the answers under the same name that came before
// are through; the tries of the flow and of the account are raised; only then
// the password is checked. Raised before, because answers
// given at once would otherwise all be checked before the first is counted. A
// stranger, a wrong password, a disabled and a waiting account are one answer
// after the same work and the same time, so that nobody learns who has an
// account, or which names are one: nothing waits for an account.
//
// It must not know HTTP, pages, tokens, cookies or clients: what waits for the
// sign-in passes through it unread.
package signin
