package canon

import (
	"net/netip"
	"strings"
)

// Host returns the canonical form of an authority, host[:port], as it stands in
// a Host header: lower case, no trailing dot, no default port (443 when secure,
// else 80). A host is a DNS name of letters, digits, "-" and "_" (an
// international one in its xn-- form) or an IPv6 address in brackets. ok is
// false for anything else: lists, user names, spaces, zones, an empty or bad
// port. Nothing is allocated for a host that is canonical already.
func Host(raw string, secure bool) (host string, ok bool) {
	name, port, ok := splitHost(raw)
	if !ok {
		return "", false
	}
	if name[0] == '[' {
		addr, err := netip.ParseAddr(name[1 : len(name)-1])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", false
		}
		name = "[" + addr.String() + "]"
	} else {
		name = strings.TrimSuffix(name, ".")
		if !validName(name) {
			return "", false
		}
		name = strings.ToLower(name)
	}
	if port == "" || (secure && port == "443") || (!secure && port == "80") {
		return name, true
	}
	if len(name)+1+len(port) == len(raw) && strings.HasPrefix(raw, name) {
		return raw, true
	}
	return name + ":" + port, true
}

// splitHost cuts raw into a name that is not empty and a port, "" if there is
// none. A colon without a port after it is refused.
func splitHost(raw string) (name, port string, ok bool) {
	end := strings.IndexByte(raw, ':')
	if strings.HasPrefix(raw, "[") {
		end = strings.IndexByte(raw, ']') + 1
		if end == 0 {
			return "", "", false
		}
		if end == len(raw) {
			end = -1
		}
	}
	if end < 0 {
		return raw, "", raw != ""
	}
	if end == 0 || raw[end] != ':' {
		return "", "", false
	}
	return raw[:end], raw[end+1:], validPort(raw[end+1:])
}

// validPort takes 1 to 65535 without leading zeros: "0443" would be another
// spelling of a port.
func validPort(port string) bool {
	if len(port) < 1 || len(port) > 5 || port[0] == '0' {
		return false
	}
	n := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return false
		}
		n = n*10 + int(port[i]-'0')
	}
	return n <= 65535
}

// validName takes labels of 1 to 63 characters, 253 in all (RFC 1035 §2.3.4).
func validName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	label := 0
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
			continue
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		default:
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0
}
