// Package breach answers: is this password on a list of passwords that were
// stolen somewhere? It owns the filter file that is built of such a list, the
// question put to a service by the k-anonymity range protocol, and the choice
// between the two.
//
// Order of events in a check: SHA-1 of the password, the first five hexadecimal
// digits of it to the service if one is configured, the rest compared here; when
// the service does not answer properly, the filter file if there is one. A check
// never fails: what could not be asked stands in the Finding, for the audit log.
//
// Who calls it at sign-in does so only after the password was right, or the
// service would learn guesses; and a change that a finding demands needs a second
// factor or a mailed code first, or whoever holds the leaked password would
// choose the next one.
//
// It must not know users, pages or what an action means to them.
package breach
