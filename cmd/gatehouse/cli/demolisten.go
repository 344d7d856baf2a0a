package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/proxy"
)

// demoPlace is where a demo listens.
type demoPlace struct {
	listeners []net.Listener
	host      string // host:port of the public URL
	loopback  bool   // nobody but this machine gets there
	moved     bool   // the usual port was taken
}

func (p demoPlace) addrs() []string {
	var all []string
	for _, ln := range p.listeners {
		all = append(all, ln.Addr().String())
	}
	return all
}

const (
	demoPort  = 8080
	demoPorts = 100 // how many ports are tried after it
)

// listenDemo opens the demo's listeners. Without an address it takes port 8080
// or the next free one; a port counts as free only if both loopbacks have it,
// or somebody else on the machine could answer for "localhost".
func listenDemo(ctx context.Context, given string) (demoPlace, error) {
	if given != "" {
		return listenGiven(ctx, given)
	}
	for port := demoPort; port < demoPort+demoPorts; port++ {
		lns, err := listenLoopbacks(ctx, strconv.Itoa(port))
		if errors.Is(err, app.ErrTaken) {
			continue
		}
		if err != nil {
			return demoPlace{}, err
		}
		return demoPlace{listeners: lns, host: hostOf("localhost", lns), loopback: true, moved: port != demoPort}, nil
	}
	return demoPlace{}, fmt.Errorf("ports %d to %d are all taken: choose one with --listen", demoPort, demoPort+demoPorts-1)
}

func listenGiven(ctx context.Context, given string) (demoPlace, error) {
	if _, err := strconv.Atoi(given); err == nil {
		given = "localhost:" + given
	}
	host, port, err := net.SplitHostPort(given)
	if err != nil {
		return demoPlace{}, fmt.Errorf("--listen is %q, want a port (9000) or host:port (127.0.0.1:9000)", given)
	}
	if host == "localhost" {
		lns, err := listenLoopbacks(ctx, port)
		if err != nil {
			return demoPlace{}, err
		}
		return demoPlace{listeners: lns, host: hostOf("localhost", lns), loopback: true}, nil
	}
	lns, err := app.Listen(ctx, []string{given})
	if err != nil {
		return demoPlace{}, err
	}
	if proxy.Loopback(host) {
		return demoPlace{listeners: lns, host: hostOf(host, lns), loopback: true}, nil
	}
	// Beyond loopback, as in a container, people still come by localhost.
	return demoPlace{listeners: lns, host: hostOf("localhost", lns)}, nil
}

// listenLoopbacks listens on both loopbacks, or on IPv4's alone where the
// machine has no other.
func listenLoopbacks(ctx context.Context, port string) ([]net.Listener, error) {
	four, err := app.Listen(ctx, []string{"127.0.0.1:" + port})
	if err != nil {
		return nil, err
	}
	_, port, _ = net.SplitHostPort(four[0].Addr().String()) // port 0 has become one
	six, err := app.Listen(ctx, []string{"[::1]:" + port})
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		return four, nil
	}
	if err != nil {
		return nil, errors.Join(err, four[0].Close())
	}
	return append(four, six...), nil
}

func hostOf(name string, lns []net.Listener) string {
	_, port, _ := net.SplitHostPort(lns[0].Addr().String())
	return net.JoinHostPort(name, port)
}
