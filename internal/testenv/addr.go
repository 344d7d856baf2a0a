package testenv

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports below those that systems give to outgoing connections (Linux takes
// 32768 to 60999): what was free a moment ago is then still free.
const (
	lowest  = 12000
	highest = 32000
)

// FreeAddr returns an address of the loopback on which nobody listens, as
// host:port, for programs that open their address themselves.
func FreeAddr(ctx context.Context) (string, error) {
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(highest-lowest))
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if err != nil {
			continue
		}
		return addr, ln.Close()
	}
	return "", errors.New("no port of the loopback is free")
}
