// Package telemetry holds the figures of a running gateway and answers, on an
// address of its own, what programs around it ask: /metrics in the text format
// of Prometheus, /livez and /readyz.
//
// Every Metrics has a registry of its own; nothing is global. Names and labels
// come from closed lists and from the configuration, never from requests: routes
// are named, paths and people are not. What is counted on the way of a request
// is looked up once and is one or two atomic additions from then on; what other
// parts count themselves is read when somebody asks.
//
// It knows no package of the gate: what it counts is told in its own words.
package telemetry
