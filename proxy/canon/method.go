package canon

import (
	"slices"
	"strings"
)

// methods are the methods that are passed on: RFC 9110 and 5789, WebDAV and its
// children (RFC 3253, 3648, 3744, 4437, 4791, 4918, 5323, 5842), LINK and
// UNLINK (RFC 2068), and QUERY. A method nobody knows cannot be reasoned about
// in a rule, so it is not passed on.
var methods = []string{
	"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS",
	"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "COPY", "LABEL",
	"LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL",
	"MKREDIRECTREF", "MKWORKSPACE", "MOVE", "ORDERPATCH", "PROPFIND",
	"PROPPATCH", "QUERY", "REBIND", "REPORT", "SEARCH", "UNBIND", "UNCHECKOUT",
	"UNLINK", "UNLOCK", "UPDATE", "UPDATEREDIRECTREF", "VERSION-CONTROL",
}

// Methods returns every method that is passed on, the common ones first. The
// caller owns the slice.
func Methods() []string { return slices.Clone(methods) }

// Known reports whether m is one of Methods.
func Known(m string) bool { return slices.Contains(methods, m) }

// checkMethod takes only methods of the list, in upper case: methods are case
// sensitive (RFC 9110 §9.1), and an application that does not care would do for
// "get" what a rule about GET forbids.
func checkMethod(m string) *Error {
	switch m {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return nil
	}
	if slices.Contains(methods, m) {
		return nil
	}
	upper := strings.ToUpper(m)
	switch {
	case upper == "CONNECT" || upper == "TRACE" || upper == "TRACK":
		return errMethod
	case slices.Contains(methods, upper):
		return errMethodCase
	}
	return errMethodNew
}
