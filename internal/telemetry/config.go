package telemetry

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"gatehouse/internal/conf"
)

// Config is the `telemetry` section.
type Config struct {
	// Listen is the address, host and port, of /metrics, /livez and /readyz:
	// another one than the gate's, as what is told there is for the operator
	// alone. Default none: nothing is told.
	Listen string `yaml:"listen"`
}

// Check reports an address that is none.
func (c *Config) Check(r *conf.Report) {
	if c.Listen == "" {
		if r.Has(&c.Listen) {
			r.Errorf(&c.Listen, "telemetry.listen is empty; leave the key out to tell nothing")
		}
		return
	}
	if _, _, ok := split(c.Listen); !ok {
		r.Errorf(&c.Listen, "telemetry.listen is %q, want host and port, such as 127.0.0.1:9464", c.Listen)
	}
}

// Meets tells whether listening on addr, host and port, would take the same
// port of the same machine. Port 0 is any free one, and meets none.
func (c *Config) Meets(addr string) bool {
	host, port, ok := split(c.Listen)
	other, otherPort, known := split(addr)
	if !ok || !known || port != otherPort || port == 0 {
		return false
	}
	return host == other || everywhere(host) || everywhere(other) || loopback(host) && loopback(other)
}

func split(addr string) (host string, port int, ok bool) {
	host, number, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, false
	}
	port, err = strconv.Atoi(number)
	return strings.ToLower(host), port, err == nil && port >= 0 && port <= 65535
}

func everywhere(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

// loopback takes all names of this machine for one: which of its addresses
// localhost is, is for the system to say.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
