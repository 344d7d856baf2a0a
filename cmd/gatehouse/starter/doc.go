// Package starter writes the files that a gateway begins with: a configuration
// with comments, tests of its rules that pass, and what version control shall
// leave out.
//
// It owns the templates and what their values default to. It writes text, and
// knows nothing of what the configuration means: whoever calls it compiles what
// came out before it is written.
package starter
