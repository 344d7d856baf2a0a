// Package cli is the command line: a file per noun. A command parses its
// arguments, calls one thing of package app or of a domain package, and prints
// what came back as text or, with --output json, as JSON.
//
// Exit codes are stable: 0 fine, 1 found problems, 2 usage, 3 cannot reach
// what it needs. Secrets come by prompt, standard input (-) or file, never as
// an argument, where every process of the machine could read them.
package cli
