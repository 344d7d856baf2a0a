// Command bench measures what a gatehouse costs: CPU per request of the
// gateway, as a ratio to a bare, tuned httputil.ReverseProxy on the same
// machine in the same minute.
//
//	go run ./bench                      # or: make bench
//	go run ./bench -rounds 9 -connections 128
//
// Absolute figures of a shared machine move by half within the hour; ratios of
// neighbours hold. So the bare proxy runs right before and right after every
// other run, the order alternates from round to round, each ratio is taken to
// the mean of the two neighbours, and what is printed is the median of all
// rounds with its quartiles. Differences below a tenth are not resolved, and
// fewer than five rounds show little.
//
// It needs wrk (the load) and nginx (the application), both from Debian, and
// Linux, as it reads /proc. Everything listens on 127.0.0.1, on free ports; it
// ends what it started, by process id, and nothing else.
//
// main.go holds the plan, bare.go the yardstick, process.go programs and their
// CPU time, load.go one run of wrk, world.go the application and the gateway,
// signin.go how to get the credentials, report.go the table.
package main
