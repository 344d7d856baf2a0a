package conf

import (
	"fmt"
	"log/slog"
)

// Pos is where a value stands in a configuration file. Line and Column count
// from 1; the zero Pos means "not from a file" (a default).
type Pos struct {
	File   string
	Line   int
	Column int
}

// String returns "file:line", the form used in logs, explanations and
// generated Rego; "" for the zero Pos.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Secret is a value that must never be printed: every formatting verb, JSON,
// YAML and slog show "***". Reveal returns the value itself.
type Secret string

// Reveal returns the secret in clear.
func (s Secret) Reveal() string { return string(s) }

// String returns "***", or "" when the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString keeps %#v from showing the secret.
func (s Secret) GoString() string { return `conf.Secret("` + s.String() + `")` }

// Format keeps every fmt verb, %x and %q among them, from showing the secret.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalText keeps encoding/json and yaml from showing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps slog from showing the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Size is a number of bytes. In YAML it is written 512, 64KiB, 10MiB or 1GiB.
type Size int64
