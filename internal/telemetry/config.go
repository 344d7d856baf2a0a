package telemetry

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/accesslog"
	"gatehouse/internal/conf"
)

// Config is the `telemetry` section.
type Config struct {
	// Listen is the address, host and port, of /metrics, /livez and /readyz:
	// another one than the gate's, as what is told there is for the operator
	// alone. Default none: nothing is told.
	Listen string `yaml:"listen"`
	// AccessLog is where a line of JSON about each request goes: stdout, stderr,
	// off, or the path of a file, which is made with mode 0600 when there is none
	// and appended to. Relative paths start at the configuration file. Default
	// stdout.
	AccessLog string `yaml:"access_log"`
}

// Off is the AccessLog that is none.
const Off = "off"

// Defaults sets what absent keys mean.
func (c *Config) Defaults() { c.AccessLog = accesslog.Stdout }

// Check reports an address that is none, and a place for the access log that is
// probably not meant.
func (c *Config) Check(r *conf.Report) {
	c.checkListen(r)
	c.checkAccessLog(r)
}

// checkAccessLog makes the path of a file one that is seen from the folder of the
// configuration.
func (c *Config) checkAccessLog(r *conf.Report) {
	switch place := c.AccessLog; {
	case place == accesslog.Stdout || place == accesslog.Stderr || place == Off:
	case place == "":
		r.Errorf(&c.AccessLog, "telemetry.access_log is empty; leave the key out for stdout, or write off for none")
	case strings.HasSuffix(place, "/"):
		r.Errorf(&c.AccessLog, "telemetry.access_log is %q, a folder; want the path of a file", place)
	case slices.Contains(likeWords, strings.ToLower(place)):
		r.Errorf(&c.AccessLog, "telemetry.access_log is %q, want stdout, stderr, off or the path of a file; a file of that name is ./%s", place, place)
	default:
		c.AccessLog = r.Path(place)
	}
}

// likeWords are paths that were meant to be something else, in lower case.
var likeWords = []string{
	"-", "off", "on", "no", "yes", "none", "null", "true", "false", "stdout", "stderr", "stdin", "syslog", "json", "console", "discard",
}

func (c *Config) checkListen(r *conf.Report) {
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
