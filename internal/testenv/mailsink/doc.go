// Package mailsink is a mail server for tests: it speaks SMTP with STARTTLS or
// implicit TLS and AUTH, keeps what it is given, and fails as told. Only
// tests import it.
package mailsink
