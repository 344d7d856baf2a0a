package app

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"gatehouse/idp/notify"
	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/proxy/identity"
)

const exampleFile = "../../../config.example.yaml"

func TestExampleLoadsAsItStands(t *testing.T) {
	p, err := Load(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if w := p.Summary().Warnings; len(w) != 0 {
		t.Errorf("warnings = %q, want none", w)
	}
}

func TestEverythingThatIsOffInTheExampleWorks(t *testing.T) {
	for i, text := range exampleForms(t) {
		p, err := Load(placeExample(t, text))
		if err != nil {
			t.Errorf("form %d of the example, all on:\n%v", i, err)
			continue
		}
		for _, w := range p.Summary().Warnings {
			if !strings.Contains(w.Message, "was not fetched") { // its bundles are on servers
				t.Errorf("form %d of the example, all on: it warns of %s", i, w)
			}
		}
	}
}

// TestDefaultsInTheExampleAreTheDefaults holds the values of settings that are
// off against what they are when they are absent.
func TestDefaultsInTheExampleAreTheDefaults(t *testing.T) {
	absent, err := Load(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	given, err := Load(placeExample(t, exampleForms(t)[0]))
	if err != nil {
		t.Fatal(err)
	}
	same := func(key string, given, absent any) {
		t.Helper()
		if diff := cmp.Diff(absent, given); diff != "" {
			t.Errorf("%s in the example is not the default (-default +example):\n%s", key, diff)
		}
	}
	a, g := absent.Config, given.Config
	same("session", g.Session, a.Session)
	same("allow_plain_http", g.AllowPlainHTTP, a.AllowPlainHTTP)
	same("data_dir", filepath.Base(g.DataDir), filepath.Base(a.DataDir))
	same("secrets_dir", filepath.Base(g.SecretsDir), filepath.Base(a.SecretsDir))
	same("idp.insecure_shared_origin", g.IDP.InsecureSharedOrigin, a.IDP.InsecureSharedOrigin)
	same("idp.gateway_token_ttl", g.IDP.GatewayTokenTTL, a.IDP.GatewayTokenTTL)
	kept := g.IDP.Store
	kept.Pos, kept.Postgres = a.IDP.Store.Pos, "" // that is an example
	same("idp.store", kept, a.IDP.Store)
	same("idp.sso", g.IDP.SSO, a.IDP.SSO)
	same("idp.signin", g.IDP.SignIn, a.IDP.SignIn)
	g.IDP.Password.Parallel = a.IDP.Password.Parallel                          // it follows the machine
	g.IDP.Password.Breached.Filter, g.IDP.Password.Breached.RangeURL = "", nil // these are examples
	same("idp.password", g.IDP.Password, a.IDP.Password)
	same("idp.mail.timeout", g.IDP.Mail.Timeout, 10*time.Second)
	same("idp.mail.tls", g.IDP.Mail.TLS, notify.StartTLS)
	same("idp.sms.timeout", g.IDP.SMS.Timeout, 3*time.Second)
	same("idp.bootstrap.prune", g.IDP.Bootstrap.Prune, a.IDP.Bootstrap.Prune)
	sent, plain := *g.Upstreams["orders"], *a.Upstreams["app"]
	sent.Pos, sent.URL, sent.CA, sent.ServerName = plain.Pos, plain.URL, "", "" // these are examples
	same("upstreams", sent, plain)
	same("bearer.issuers.leeway", g.Bearer.Issuers[0].Leeway.String(), "30s")
	same("login.providers.scopes", g.Login.Providers["company"].Scopes, []string{"openid", "profile", "email"})
	off := g.Routes[slices.IndexFunc(g.Routes, func(r *proxy.Route) bool { return r.Name == "every-key" })]
	same("routes.on_unauthenticated", off.OnUnauthenticated, a.Routes[0].OnUnauthenticated)
	same("routes.credentials", off.Credentials, a.Routes[0].Credentials)
	same("routes.pass_authorization", off.PassAuthorization, a.Routes[0].PassAuthorization)
}

func TestExampleHasEveryKey(t *testing.T) {
	want, have := keySet{}, keySet{}
	want.ofType(reflect.TypeFor[Config](), map[reflect.Type]bool{})
	for _, text := range exampleForms(t) {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(text), &n); err != nil {
			t.Fatal(err)
		}
		have.ofNode(n.Content[0], reflect.TypeFor[Config]())
	}
	for key := range want {
		if !have[key] {
			t.Errorf("the example does not have the key %s", key)
		}
	}
	for key := range have {
		if !want[key] {
			t.Errorf("the example has the key %s, which the configuration does not know", key)
		}
	}
}

var (
	off     = regexp.MustCompile(`^( *)#([^ #].*)$`)
	setting = regexp.MustCompile(`^( *)([a-z0-9_]+):`)
)

// exampleForms returns the example with everything switched on, as its head
// says. A key that stands twice in a row has two forms: the first text has the
// first form of each, every further one the second form of one key.
func exampleForms(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	var second []int // lines that are a second form
	for line := range strings.Lines(string(text)) {
		line = off.ReplaceAllString(strings.TrimSuffix(line, "\n"), "$1$2")
		here := setting.FindString(line)
		if n := len(lines); here != "" && n > 0 && setting.FindString(lines[n-1]) == here {
			second = append(second, n)
		}
		lines = append(lines, line)
	}
	if len(second) == 0 {
		t.Fatal("no key of the example has two forms, so this test reads it wrongly")
	}
	var forms []string
	for _, chosen := range append([]int{-1}, second...) {
		var form []string
		for i, line := range lines {
			// Lines stay where they are, so that mistakes name the right one.
			if i == chosen-1 && chosen >= 0 || slices.Contains(second, i) && i != chosen {
				line = "# another form"
			}
			form = append(form, line)
		}
		forms = append(forms, strings.Join(form, "\n"))
	}
	return forms
}

var reference = regexp.MustCompile(`\$\{file:(secrets/[^}]+)\}`)

// placeExample writes a form of the example to a directory that has the files
// it names, and returns its path.
func placeExample(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		write(m[1], "0123456789-0123456789-0123456789\n")
	}
	write("secrets/database.url", "postgres://gatehouse:0123456789@db.example.com:5432/gatehouse?sslmode=verify-full\n")
	write("policy/orders.rego", "package orders\n\nallow if input.request.method == \"GET\"\n")
	write("data/tenants.yaml", "acme: { region: eu }\n")
	write("breach.filter", "looked for, not opened")
	write("secrets/internal-ca.pem", newAuthority(t))
	write("mail/reset_password.subject.txt", "Your new password\n")
	write("next.yaml", "public_url: http://app.localhost\nupstreams: { app: http://127.0.0.1:9 }\nroutes: [{ name: health, match: { path: /healthz }, allow: anyone }]\n")
	write("gatehouse.yaml", text)
	return filepath.Join(dir, "gatehouse.yaml")
}

// keySet holds keys as "Type.key".
type keySet map[string]bool

// shapeOf is the struct whose tags are the keys of t in YAML; nil for a value
// that has none.
func shapeOf(t reflect.Type) reflect.Type {
	switch t {
	case reflect.TypeFor[proxy.Listen]():
		return reflect.TypeFor[struct {
			Addr string `yaml:"addr"`
			H2C  bool   `yaml:"h2c"`
		}]()
	case reflect.TypeFor[policy.Allow]():
		return reflect.TypeFor[policy.Condition]()
	case reflect.TypeFor[identity.Headers]():
		return nil // the keys are names of headers
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return shapeOf(t.Elem())
	case reflect.Struct:
		return t
	}
	return nil
}

// fieldsOf returns the types of a struct's keys.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case option == "inline":
			for key, t := range fieldsOf(f.Type) {
				fields[key] = t
			}
		case key != "" && key != "-":
			fields[key] = f.Type
		}
	}
	return fields
}

func (s keySet) ofType(t reflect.Type, seen map[reflect.Type]bool) {
	if t = shapeOf(t); t == nil || seen[t] {
		return
	}
	seen[t] = true
	for key, below := range fieldsOf(t) {
		s[t.String()+"."+key] = true
		s.ofType(below, seen)
	}
}

func (s keySet) ofNode(n *yaml.Node, t reflect.Type) {
	shape := shapeOf(t)
	switch {
	case shape == nil:
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			s.ofNode(item, shape)
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 1; i < len(n.Content); i += 2 {
			s.ofNode(n.Content[i], t.Elem())
		}
	case n.Kind == yaml.MappingNode:
		fields := fieldsOf(shape)
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			s[shape.String()+"."+key] = true
			if below := fields[key]; below != nil {
				s.ofNode(n.Content[i+1], below)
			}
		}
	}
}
