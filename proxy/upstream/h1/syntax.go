package h1

import "strings"

// isTokenByte reports whether c may be in a token (RFC 9110 §5.6.2).
func isTokenByte(c byte) bool {
	const (
		low = (1<<10-1)<<'0' |
			1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'\'' | 1<<'*' | 1<<'+' | 1<<'-' | 1<<'.'
		high = (1<<26-1)<<('A'-64) | (1<<26-1)<<('a'-64) |
			1<<('^'-64) | 1<<('_'-64) | 1<<('`'-64) | 1<<('|'-64) | 1<<('~'-64)
	)
	return (uint64(1)<<c)&low|(uint64(1)<<(c-64))&high != 0
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s may be the value of a field: no control bytes but
// the tab (RFC 9110 §5.5).
func isValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHost reports whether the bytes of s may be in a host with or without a
// port. Whether it is one is for the server to say.
func isHost(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alnum && strings.IndexByte("-.:[]_~!$&'()*+,;=", c) < 0 {
			return false
		}
	}
	return true
}

// trim removes spaces and tabs from both ends.
func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// hasToken reports whether one of the comma-separated lists holds token.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for more := true; more; {
			var part string
			part, v, more = strings.Cut(v, ",")
			if strings.EqualFold(trim(part), token) {
				return true
			}
		}
	}
	return false
}

// bindsConnection reports whether one of the values, credentials or
// challenges, is of a scheme that authenticates the connection and not the
// request (RFC 4559 §6).
func bindsConnection(values []string) bool {
	for _, v := range values {
		for more := true; more; {
			var part string
			part, v, more = strings.Cut(v, ",")
			scheme, _, _ := strings.Cut(trim(part), " ")
			for _, s := range [...]string{"ntlm", "negotiate", "kerberos"} {
				if strings.EqualFold(scheme, s) {
					return true
				}
			}
		}
	}
	return false
}
