package identity

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ErrForwarded means that a trusted proxy said something about the scheme that
// makes no sense; the request should be refused with 400.
var ErrForwarded = errors.New("contradictory X-Forwarded-Proto from a trusted proxy")

// maxHops bounds how many addresses of X-Forwarded-For are looked at.
const maxHops = 32

// Client is where a request came from, as far as it can be believed.
type Client struct {
	// Addr is the address of the client: the peer of the connection, or, when
	// that is a trusted proxy, the right-most address of X-Forwarded-For that
	// is not one. Never an IPv4-mapped IPv6 address; invalid when the peer has
	// no IP address (in process, or a Unix socket).
	Addr netip.Addr
	// Proto is http or https: what the client used.
	Proto string
	// Trusted is true when the peer of the connection is a trusted proxy.
	Trusted bool
}

// ClientOf returns where r came from. Headers count only when the peer is in
// trusted; trusting nobody is the default. An X-Forwarded-For that cannot be
// read counts as none. ErrForwarded is returned for an X-Forwarded-Proto of a
// trusted proxy that is doubled or not one of http, https, ws, wss.
func ClientOf(r *http.Request, trusted []netip.Prefix) (Client, error) {
	c := Client{Addr: peer(r.RemoteAddr), Proto: "http"}
	if r.TLS != nil {
		c.Proto = "https"
	}
	if !within(trusted, c.Addr) {
		return c, nil
	}
	c.Trusted = true
	if addr, ok := rightmost(r.Header["X-Forwarded-For"], trusted); ok {
		c.Addr = addr
	}
	protos := r.Header["X-Forwarded-Proto"]
	if len(protos) == 0 {
		return c, nil
	}
	if len(protos) > 1 {
		return c, ErrForwarded
	}
	switch strings.ToLower(strings.TrimSpace(protos[0])) {
	case "http", "ws":
		c.Proto = "http"
	case "https", "wss":
		c.Proto = "https"
	default:
		return c, ErrForwarded
	}
	return c, nil
}

// Forwarded is what the X-Forwarded-* headers say of one host that is asked for,
// but for who asks. Its values are shared by requests: nobody may write to them.
type Forwarded struct {
	host []string
	// by Proto
	http, https spoken
}

type spoken struct{ proto, port []string }

// NewForwarded prepares the headers for host, host[:port] as it was asked for.
func NewForwarded(host string) Forwarded {
	f := Forwarded{
		host: []string{host},
		http: spoken{[]string{"http"}, []string{"80"}}, https: spoken{[]string{"https"}, []string{"443"}},
	}
	if _, port, err := net.SplitHostPort(host); err == nil && port != "" {
		f.http.port, f.https.port = []string{port}, []string{port}
	}
	return f
}

// SetForwarded sets X-Forwarded-For, -Host, -Proto and -Port on h. What h held
// under these names must have been stripped before. X-Forwarded-For is the one
// address that is believed: a chain would invite the application to pick a link
// of it.
func (c *Client) SetForwarded(h http.Header, to *Forwarded) {
	if c.Addr.IsValid() {
		h["X-Forwarded-For"] = []string{c.Addr.String()}
	}
	said := &to.http
	if c.Proto == "https" {
		said = &to.https
	}
	h["X-Forwarded-Host"], h["X-Forwarded-Proto"], h["X-Forwarded-Port"] = to.host, said.proto, said.port
}

// rightmost returns the last address of the X-Forwarded-For lines that is no
// trusted proxy, or the first of all when every one is. It returns false when
// there is none, too many, or one that cannot be read.
func rightmost(lines []string, trusted []netip.Prefix) (netip.Addr, bool) {
	var addr netip.Addr
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var last string
			if at := strings.LastIndexByte(rest, ','); at >= 0 {
				rest, last = rest[:at], rest[at+1:]
			} else {
				last, more = rest, false
			}
			hop, ok := parseHop(strings.TrimSpace(last))
			if hops++; !ok || hops > maxHops {
				return netip.Addr{}, false
			}
			if addr = hop; !within(trusted, addr) {
				return addr, true
			}
		}
	}
	return addr, addr.IsValid()
}

// parseHop reads an address, with or without a port as some proxies add it.
func parseHop(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = withPort.Addr()
	}
	return addr.Unmap(), addr.Zone() == ""
}

// peer returns the address in RemoteAddr, invalid if there is none.
func peer(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	if !addr.IsValid() {
		return false
	}
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
