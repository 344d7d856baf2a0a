// Command decide measures what one decision of the policy costs: the time and
// the allocations of policy.Policy.Decide with 10, 100, 1,000 and 10,000 routes,
// evaluated by OPA and remembered, beside OPA's own server answering the same
// question over loopback.
//
//	go run ./bench/decide               # or: make bench
//	go run ./bench/decide -rounds 9
//
// Two ways to ask are measured, for with many routes the processor's caches
// count too: hot asks about the same ten routes in every set, spread about all
// of a set. And two kinds of sets: own, where each route has a rule of its own,
// and shared, where a hundred rules serve all routes. In each round every set
// runs once, in turning order; a ratio compares runs of one round, and the
// median over the rounds is printed.
//
// main.go holds the plan and the rounds, sets.go the routes and questions,
// server.go OPA's server, report.go the table.
package main
