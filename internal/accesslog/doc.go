// Package accesslog writes what became of each request, one line of JSON a
// request, to standard output, standard error or a file.
//
// A request pays for its own line and no more: [Log.Write] encodes into a buffer
// that is used again and again, copies the line to the batch that is being
// filled, and returns. One goroutine, [Log.Run], writes a batch when it is full
// or 200 ms old. Nobody waits for a slow disk or a reader that has stopped: past
// 1 MiB of waiting lines further ones are dropped and counted, and once writing
// works again a line says how many are missing. No error of the disk, and no pipe
// that is closed, ends the process.
//
// Names of fields are those of OpenTelemetry's semantic conventions where there
// is one. There is no place for a query, a token, a cookie or an e-mail address
// in a [Record].
//
// It knows no request and no package of the gate: what is logged is told in its
// own words.
package accesslog
