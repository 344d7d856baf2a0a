// Package signin answers one question: has this browser proved that it is this
// person?
//
// It owns the challenge machine: a flow begins with what waits for the sign-in
// (Ask), takes one Answer after another, and ends once (Close). What it has come
// to, and so what it waits for, is a state that is sealed in the flow's row:
//
//	password ─┬─ second factor ─┬─ new password ─┬─ set-up ── recovery codes ─┬─ done
//	passkey ──┘                 │                │                           │
//	known session ──────────────┴────────────────┴───────────────────────────┘
//
// Steps that nothing demands are left out; Machine.next decides, from what was
// proved and from the account, and never from what a browser sent. Each answer
// replaces the state it was given to in one statement (Flows.Advance), so that
// of two answers at once one counts, and one to an earlier page none. Somebody
// half signed in has a flow and nothing else: no session, no cookie of one, no
// code.
//
// Order of events of an answer: the flow is found, belongs to this browser, and
// its person may still sign in with the password that was proved; the tries are
// raised; only then the answer is checked. What is checked of a password, and
// how, is the same for a stranger, a wrong password, a disabled and a waiting
// account: one answer after the same work and the same time, so that nobody
// learns who has an account, or which names are one. Whether there is a second
// factor shows only after a right password.
//
// Second factors are mfa's, tries of accounts and addresses risk's.
//
// It must not know HTTP, pages, tokens, cookies or clients: what waits for the
// sign-in passes through it unread.
package signin
