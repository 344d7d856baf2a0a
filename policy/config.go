package policy

import (
	"fmt"
	"net/url"
	"time"

	"gatehouse/internal/conf"
)

// Config is the key `policy` of the configuration. What is under Custom and Data
// must not overlap: each package and each part of data has one source.
type Config struct {
	// Pos is where the key stands; its file's folder is where relative paths
	// begin.
	Pos conf.Pos `yaml:"-"`
	// Custom is Rego written by the operator, for conditions of the form
	// opa: {rule: data.orders.allow}: files, directories and OPA bundles.
	// Default none.
	Custom []Custom `yaml:"custom"`
	// Data are files of JSON or YAML, by the name under which rules of the
	// operator find them: tenants: data/tenants.yaml is data.tenants. The name is
	// one word of letters, digits and _; gatehouse is reserved. The files end in
	// .json, .yaml or .yml, and are read as strictly as this one: one document, no
	// key twice. At most 16 MiB a file. Default none.
	Data map[string]string `yaml:"data"`
	// Memory remembers decisions for up to five seconds where everything that a
	// rule reads is part of the key. Default true.
	Memory bool `yaml:"memory"`
	// Shadow is another configuration file whose routes and policy decide beside
	// the live ones; differences are logged and have no other effect. Default
	// none.
	Shadow string `yaml:"shadow"`
	// Log says where decisions are recorded. Default nowhere.
	Log *LogConfig `yaml:"log"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() { c.Memory = true }

// Custom is one entry of policy.custom: a path, or a bundle. In YAML a path is
// written alone.
//
// A path is a file or a directory of Rego (version 1). Of a directory every
// file below it counts that ends in .rego and not in _test.rego, names that
// begin with a dot aside. Modules are compiled in strict mode; package
// gatehouse and what lies below it is reserved, and http.send,
// net.lookup_ip_addr, opa.runtime and bits.lsh do not exist. At most 1 MiB a file
// and 1,000 files.
type Custom struct {
	Pos conf.Pos `yaml:"-"`
	// Path is a file or a directory; "" for a bundle.
	Path string `yaml:"-"`
	// Bundle is the https URL (http on loopback) or the path of an OPA bundle, a
	// tar.gz of Rego and data (https://www.openpolicyagent.org/docs/management-bundles)
	// of at most 64 MiB. WebAssembly, plans and patches in it are refused.
	Bundle string `yaml:"bundle"`
	// Key is the PEM file of the public key (RSA of at least 2048 bits, or an
	// elliptic curve), or Secret the shared secret of at least 32 bytes, that
	// signed the bundle; with either an unsigned bundle is refused. Without both
	// anything is accepted that the server sends, over https, or that the file
	// holds.
	Key    string      `yaml:"key"`
	Secret conf.Secret `yaml:"secret"`
	// KeyID is the key id that the signature must name, in its header kid or its
	// claim keyid. Default "gatehouse".
	KeyID string `yaml:"key_id"`
	// Algorithm of the signature: RS256, ES256, PS256, HS256 and their longer
	// forms. Default RS256, HS256 with Secret.
	Algorithm string `yaml:"algorithm"`
	// Scope is the scope the signature must name. Default none.
	Scope string `yaml:"scope"`
	// Token is sent as a bearer token to the server. Default none.
	Token conf.Secret `yaml:"token"`
	// CA is a PEM file; the server's certificate must be signed by one of its
	// certificates instead of one the system trusts.
	CA string `yaml:"ca"`
	// Every is how often a URL is asked for a newer bundle (by ETag, RFC 9110
	// §8.8.3), or a file is read again, at least 1s. Default 60s.
	Every time.Duration `yaml:"every"`
}

// UnmarshalConf reads both forms.
func (c *Custom) UnmarshalConf(n *conf.Node) {
	c.KeyID, c.Every = defaultKeyID, time.Minute
	if n.Kind() == conf.Map {
		n.Decode(c)
		return
	}
	n.Decode(&c.Path)
}

// LogConfig is the key `policy.log`: where decisions are recorded, in the
// format of OPA's decision log. At least one of File, URL and OTLP is given.
type LogConfig struct {
	Pos conf.Pos `yaml:"-"`
	// File gets one JSON object a line; "-" is standard output. Default none.
	File string `yaml:"file"`
	// URL gets gzipped JSON arrays by POST, as OPA sends them to its service;
	// Token is sent as a bearer token. Default none.
	URL   *url.URL    `yaml:"url"`
	Token conf.Secret `yaml:"token"`
	// OTLP is the endpoint of an OpenTelemetry collector for logs over HTTP, such
	// as http://127.0.0.1:4318/v1/logs. Default none.
	OTLP *url.URL `yaml:"otlp"`
	// Allows is the share of allowed requests that is recorded, 0 to 1; refusals
	// and step-ups are recorded all. Default 0.1.
	Allows float64 `yaml:"allows"`
	// Mask lists what is left out of the input, as JSON pointers (RFC 6901) such
	// as /input/credential/claims. Default: e-mail address, name, claims, query
	// and body.
	Mask []string `yaml:"mask"`
	// Queue is how many decisions may wait to be written. Default 10000.
	Queue int `yaml:"queue"`
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
