// Package transfer brings many people into a pool and out of it.
//
// It answers what a file of people says (Cognito's CSV and JSON lines), which of
// its rows the pool takes, and how the people of a pool are written down. It owns
// both formats, the report of refused rows, and the mark by which an import that
// was killed goes on.
//
// Order of events of an import: a [Reader] yields one row at a time; pool.Draft
// checks it by the pool's own rules; a batch of rows is compared with what the
// store holds and inserted, in one transaction together with its event and with
// the mark of its last line. A row that is refused never reaches a write, so that
// the rest of its batch goes in. Nothing is hashed, and no list of all rows is
// kept: the store finds what stands in a file twice. There is one event
// users.imported a batch, and none for each person, whose row says when they came.
//
// Authenticator apps come along with the people they belong to, sealed on their way
// into the store; out they go only by the word that asks for them.
//
// It knows no SQL, no HTTP and no command line, and no refusal tells a hash or a
// secret.
package transfer
