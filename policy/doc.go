// Package policy answers one question: may this identity, who asked for this
// route, go on?
//
// It owns the meaning of `allow:` and `require:` in the YAML ([Allow],
// [Condition], [Require]; docs/policy.md is the page about it), the Rego
// that a set of rules becomes ([Policy.Module]), the operators' own Rego modules
// (Config.Custom), the decision ([Policy.Decide]) with its closed list of
// reasons ([Reason]), and the account of a decision ([Policy.Explain]).
//
// # Order of events
//
// Compile, once per configuration: each rule becomes a tree of conditions; the
// trees become one Rego module in which each distinct condition is one rule, and
// equal rules of several routes are one; operators' modules are read, checked and
// compiled with it. Decide, once per request: refuse a body that the route does
// not take; remember, or project the query to the parts of the input that the
// route's rule reads and evaluate data.gatehouse.routes.allow[name], together
// with enough[name] where the route has `require`; and, when the answer is no,
// ask which conditions held in order to name the reason. `anyone` and `nobody`
// are constants and never reach OPA. What OPA is asked is made of terms when the
// configuration loads: no text of a request is ever parsed as Rego.
//
// # Logic
//
// A condition is true, false or unknown (Kleene's strong logic). What an identity
// does not say is unknown, not false; `not unknown` is unknown; only true
// allows. So leaving out a cookie, a header, a claim or a group never turns
// a refusal into an answer, except through a `not` over an attribute that is
// present. In the generated Rego a condition X is a rule `X`, defined where X is
// true, and, where some `not` needs it, a rule `not_X`, defined where X is false;
// when neither is defined, X is unknown.
//
// Every condition needs an identity. `groups`, `users`, `email_domains` and
// `signed-in` need a person whose credential counts (session.Identity.Listed);
// machines enter by `scopes`, `clients` and `claims`. `ip`, `time`, `method` and
// `not` name nobody: where a rule could be satisfied by them alone, it asks for
// `signed-in` too. `require` is judged only where `allow` holds: deny beats
// step-up, and step-up beats allow.
// A rule of an operator (`opa`) sees what its input says: `input.user` is there
// only for a person whose credential counts.
//
// An error, a panic, an input over 256 KiB, a body over 1 MiB, a rule of an
// operator that takes longer than 100 ms or answers with anything but true is a
// refusal.
//
// Package policy knows nothing of HTTP, cookies, tokens, the proxy or the
// provider, and does not know which groups or scopes exist.
package policy
