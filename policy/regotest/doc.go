// Package regotest runs the tests that operators write in Rego beside their
// modules, as OPA's own test runner does.
//
// It answers: which rules whose names begin with test_ are true? It owns
// finding the files that end in _test.rego below the paths of policy.custom. It
// decides about no request, and no such file is ever part of a policy.
//
// Order of events: the operators' modules and data are loaded as for a policy;
// the test files join them; OPA compiles all of it with what modules may use
// here, and evaluates each test by itself.
package regotest
