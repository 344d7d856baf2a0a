// Package whatif asks the gate without a request: what would happen, on which
// rule, and what would change it.
//
// It owns the account of a decision as an operator reads it, tests of the rules
// with what they looked at, and the table of who can what. It decides
// nothing: proxy.Gate and policy.Policy do, exactly as for a real request.
package whatif
