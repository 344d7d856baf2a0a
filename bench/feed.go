package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// feed is a file with one line for each request.
type feed struct {
	file  string // its path
	lines int
	where lineIs
	once  bool // no line is asked twice: the load ends with the file
	at    int  // lines asked so far
}

// lineIs says what a line of a feed is.
type lineIs int

const (
	linePath   lineIs = iota // the path of the request
	lineBearer               // its bearer token
	lineCookie               // its cookies
)

// errUsedUp means that a load may not go on without asking twice.
var errUsedUp = errors.New("every line of the feed has been asked once; give -tokens a higher number")

// used notes that about n lines were asked, rather a few more.
func (f *feed) used(n int) {
	if f != nil {
		f.at += n
	}
}

// script is what makes wrk send what t says beside a GET with headers; "" if
// there is nothing.
func (t target) script() (string, error) {
	switch {
	case t.upload > 0:
		return fmt.Sprintf("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", %d)\n", t.upload), nil
	case t.feed == nil:
		return "", nil
	}
	skip := t.feed.at
	if !t.feed.once {
		skip %= t.feed.lines
	} else if skip >= t.feed.lines {
		return "", errUsedUp
	}
	before, after, err := t.around()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(feedScript, t.feed.file, skip, before, after, t.feed.once), nil
}

// around returns what of the request stands before and after the line.
func (t target) around() (before, after string, err error) {
	u, err := url.Parse(t.url())
	if err != nil {
		return "", "", err
	}
	var head strings.Builder
	fmt.Fprintf(&head, "Host: %s\r\n", u.Host)
	for name, values := range t.header {
		fmt.Fprintf(&head, "%s: %s\r\n", name, values[0])
	}
	get := "GET " + u.RequestURI() + " HTTP/1.1\r\n" + head.String()
	switch t.feed.where {
	case lineBearer:
		return get + "Authorization: Bearer ", "\r\n\r\n", nil
	case lineCookie:
		return get + "Cookie: ", "\r\n\r\n", nil
	}
	return "GET ", " HTTP/1.1\r\n" + head.String() + "\r\n", nil
}

// feedScript walks through a file. What Go quotes, Lua reads the same, as long
// as it is ASCII.
const feedScript = `local file = assert(io.open(%q))
for _ = 1, %d do file:read() end
local before, after, once = %q, %q, %t
local last
function request()
  local line = file:read()
  if not line then
    if once then
      -- Connections that are free now repeat the last line: one each.
      if wrk.thread then wrk.thread:stop() end
      return last
    end
    file:seek("set")
    line = file:read()
  end
  last = before .. line .. after
  return last
end
`
