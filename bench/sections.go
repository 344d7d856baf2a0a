package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// section is a part of the table.
type section struct {
	name    string
	title   string
	measure func(context.Context, *world) ([]line, error)
}

// sections are all there are, in the order of the table. To add a row, find the
// section's function, in the file of that name, and add it to the list there.
func sections() []section {
	return []section{
		{"small", "a body of 66 bytes, against a bare proxy", small},
		{"cold", "each request with an RS256 token never seen before, against a bare proxy", cold},
		{"many", "many credentials in turn, against one", crowd},
		{"routes", "10,000 routes, against 10", routes},
		{"bodies", "larger bodies both ways, against a bare proxy", bodies},
		{"connections", "1, 32 and 128 connections, against a bare proxy", connections},
		{"tls", "TLS in front, against a bare proxy with TLS", overTLS},
		{"telemetry", "access log and metrics, against neither", telemetry},
		{"transport", "the transport h1", transportH1},
		{"memory", "memory, in a process that has done nothing else", memory},
		{"start", "from exec to the first answer, files in the page cache", starting},
		{"revoke", "how long a session in use outlives its end", revoking},
		{"passwords", "signing in with a password, against the cost of its hash alone", passwords},
		{"refresh", "refresh tokens, each used once, on both kinds of database", refreshing},
		{"import", "bringing people in from a file, JSON lines with hashes", importing},
		{"builds", "this build, against that of -against", builds},
		{"peers", "plain proxies without a login, against a bare proxy", peers},
	}
}

// choose returns the sections that only names, all of them for "".
func choose(all []section, only string) ([]section, error) {
	if only == "" {
		return all, nil
	}
	names := strings.Split(only, ",")
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s section) bool { return s.name == name }) {
			return nil, fmt.Errorf("there is no section %q: -list names them", name)
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(s section) bool { return !slices.Contains(names, s.name) }), nil
}
