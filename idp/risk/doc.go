// Package risk answers one question: may this be guessed once more?
//
// It owns the bounds on guessing passwords: how many wrong ones an account takes
// before each further one makes it wait longer (Tries), how many may come from
// one address (Addresses), and how many may come at once under one name.
//
// Order of events of a guess: the address may still guess; the guesses under the
// same name that came before are through; the account's count is raised; only
// then the caller looks. Raised before, because guesses made at once would
// otherwise all be looked at before the first is counted. An account that waits
// is looked at all the same, so that it costs what any other costs, and then
// refused: neither the answer nor the time tells that it waits, or that it is
// there. A device that the person is known to use has a count of its own, so that
// a stranger who makes an account wait does not lock its owner out.
//
// Every way in counts under the same account: the sign-in page, and whatever
// else takes a password.
//
// It must not know passwords, users, HTTP or SQL: an account is a key, and what
// is right the caller says.
package risk
