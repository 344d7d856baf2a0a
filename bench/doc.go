// Command bench measures what a gatehouse costs, as ratios to a bare, tuned
// httputil.ReverseProxy on the same machine in the same minute, and its memory
// and start. One table holds all of it, with the goals; the last line names
// those that are not met.
//
//	go run ./bench                      # or: make bench
//	go run ./bench -quick               # shows that everything works
//	go run ./bench -only small,cold -rounds 9
//	go run ./bench -list                # names the sections
//	go run ./bench -only builds -against ./gatehouse.before
//	go run ./bench -profile cpu.prof -target session
//
// Absolute figures of a shared machine move by half within the hour; ratios of
// neighbours hold. So the yardstick runs right before and right after every
// other run, the order alternates from round to round, each ratio is taken to
// the mean of the two neighbours, and what is printed is the median of all
// rounds with its quartiles. The yardstick is the bare proxy, or where two ways
// of gatehouse are compared, the other way. Differences below a tenth are not
// resolved, and fewer than five rounds show little.
//
// It needs wrk (the load) and nginx (the application), both from Debian, and
// Linux, as it reads /proc. Everything listens on 127.0.0.1, on free ports; it
// ends what it started, by process id, and nothing else. It imports no package
// of gatehouse but one that starts a private PostgreSQL: whatever binary takes the
// configuration can be measured, and keys that one does not know make rows that
// are skipped.
//
// main.go holds the plan, sections.go the parts of the table, and for each of
// them there is a file of that name with its rows. paired.go runs rows in rounds
// and says what a figure is, report.go prints. world.go holds what runs
// meanwhile, bare.go the yardstick, application.go what stands behind it,
// gateway.go and config.go the gateway, users.go one with people in it,
// process.go programs with their CPU time and memory. target.go, load.go, feed.go and http2.go ask; signin.go, people.go,
// issuer.go and tokens.go get the credentials to ask with.
package main
