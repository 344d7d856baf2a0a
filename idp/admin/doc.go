// Package admin is the provider's REST interface for operators and their
// programs: users, groups, app clients, resource servers and the record of what
// happened, as openapi.yaml in this folder describes them.
//
// It owns who may administer: the rights of a person are those that the
// configuration gives to their groups, and a token carries those of its scopes
// that its person has now.
//
// Order of events of a request: it comes from no other site's page; the bearer
// token holds and belongs to a client that may administer; path and method name
// an operation; the token has its scope and its person that right; the body is
// read, strictly; nobody above the caller is touched and no right given that the
// caller lacks; then one function of the domain is called, which records what it
// changed.
//
// It must not know SQL or pages, and has no rule of its own about users, groups
// or clients.
package admin
