package policy

import (
	"fmt"

	"gatehouse/internal/conf"
)

// Config is the key `policy` of the configuration.
type Config struct {
	// Pos is where the key stands; its file's folder is where relative paths
	// of Custom begin.
	Pos conf.Pos `yaml:"-"`
	// Custom are files and directories of Rego (version 1) written by the
	// operator, for conditions of the form opa: {rule: data.orders.allow}. Of a
	// directory every file below it counts that ends in .rego and not in
	// _test.rego, names that begin with a dot aside. Modules are compiled in
	// strict mode; package gatehouse and what lies below it is reserved, and
	// http.send, net.lookup_ip_addr and opa.runtime do not exist. At most
	// 1 MiB a file and 1,000 files. Default none.
	Custom []string `yaml:"custom"`
}

// Error is something wrong with a rule or a module, and where.
type Error struct {
	// Pos is where the rule stands in the configuration; zero for a module,
	// whose own file and line are in Err.
	Pos conf.Pos
	Err error
}

// Error returns "file:line:col: what is wrong".
func (e *Error) Error() string {
	if e.Pos.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s:%d:%d: %v", e.Pos.File, e.Pos.Line, e.Pos.Column, e.Err)
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
