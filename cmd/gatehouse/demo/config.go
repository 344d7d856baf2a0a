package demo

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

// Setup is what differs between two demos.
type Setup struct {
	// Origin is the public URL: http://localhost:8080.
	Origin string
	// Listen are the addresses to listen on.
	Listen []string
	// Upstream is the URL of the application behind the gate.
	Upstream string
	// Dir is the directory for data and secrets.
	Dir string
	// Passwords are the users' passwords by username.
	Passwords map[string]string
	// JobSecret is the client secret of orders-job.
	JobSecret string
}

// The names of the people of the demo, in the order to show.
var usernames = []string{"alice", "bob", "carol"}

//go:embed demo.yaml.tmpl
var configText string

var configTemplate = template.Must(template.New("demo.yaml").Funcs(template.FuncMap{"yaml": quote}).Parse(configText))

// Config returns the demo's configuration file: the same YAML, read by the
// same code, as any other.
func Config(s Setup) ([]byte, error) {
	var b bytes.Buffer
	if err := configTemplate.Execute(&b, s); err != nil {
		return nil, fmt.Errorf("write demo configuration: %w", err)
	}
	return b.Bytes(), nil
}

// quote writes text as a YAML scalar in which nothing is expanded.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`, "$", "$$").Replace(text) + `"`
}
