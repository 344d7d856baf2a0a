// Command gatehouse puts a login in front of an application: a reverse proxy,
// an OpenID Connect provider with its own user pool, and a policy engine in
// one process.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // images from scratch have no time zones, and rules name them

	"gatehouse/cmd/gatehouse/cli"
)

func main() {
	profiled := startProfile()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	stop()
	profiled()
	os.Exit(code)
}
