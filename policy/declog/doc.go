// Package declog records decisions of the policy in the format of OPA's
// decision log (https://www.openpolicyagent.org/docs/management-decision-logs):
// to a file, to a service over HTTP, and to an OpenTelemetry collector. It also
// reads that format back ([Scan], [Parse]), for replays.
//
// It owns the shape of one event ([Event]), what is left out of it, and the
// queues behind which the three sinks write. What of a decision is there to be
// recorded is policy.Record's to say; it never holds a token or a cookie.
//
// # Order of events
//
// Record, on the goroutine of the request: a refusal, a step-up, or the sampled
// share of what was allowed goes into the queue of each sink. A queue that is
// full drops what was allowed; anything else waits for up to 100 ms. A sink that
// gave no room in that time is not waited for again until it has taken
// something, so that a collector that is down does not slow each refusal.
//
// Run, one goroutine a sink: take a batch, encode what no other sink has encoded
// yet, write it, and try again later what failed for a passing reason. One sink
// that hangs does not stop the others. When ctx ends, what is queued is written
// for up to five seconds.
//
// # Masking
//
// What a mask names is erased and listed under erased, if it was there. With a
// value goes what repeats it: the subject of the user and of the credential,
// path variables and the path, the client's address and requested_by, the route
// in the result, and each claim that holds a value erased from the user or the
// credential. With the e-mail address go names and subjects that contain an @.
// The domain of an e-mail address stays.
//
// An event that is longer than [MaxLine] loses parts of its input, which are
// listed under erased like masked ones: first the body, then claims and query,
// then all but subject, method, path and client address, each cut to 4 KiB.
//
// # What is not as OPA has it
//
// req_id is OPA's own count and stays absent; the id of the request in our logs
// is custom.request_id. result is an object and not a boolean. bundles has one
// entry, gatehouse, whose revision is that of the compiled policy.
package declog
