// Package authenticator is a passkey authenticator in software, with a browser
// around it: what a test answers passkey challenges with; and an authenticator
// app that shows codes. It keeps ES256 keys,
// attests nothing, and verifies its person unless told otherwise.
//
// It must not know who asks: it reads the options as a browser gets them, and
// answers with the JSON that a browser sends.
package authenticator
