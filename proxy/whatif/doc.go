// Package whatif asks the gate without a request: what would happen, on which
// rule, and what would change it.
//
// It owns the account of a decision as an operator reads it. It decides
// nothing: proxy.Gate and policy.Policy do, exactly as for a real request.
package whatif
