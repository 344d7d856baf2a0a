package regotest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/policy"
	"gatehouse/policy/regotest"
)

const orders = `package orders

default allow := false

allow if input.user.username == data.owners.orders
`

const ordersTest = `package orders_test

import data.orders

test_owner_may if orders.allow with input as {"user": {"username": "dana"}}

test_others_may if orders.allow with input as {"user": {"username": "bob"}}

test_number if to_number("x") == 1

todo_test_later if false
`

// lay writes files into a new folder and returns the configuration that names it.
func lay(t *testing.T, files map[string]string) policy.Config {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := policy.Config{Custom: []policy.Custom{{Path: filepath.Join(dir, "rego")}}}
	if files["owners.yaml"] != "" {
		cfg.Data = map[string]string{"owners": filepath.Join(dir, "owners.yaml")}
	}
	return cfg
}

func TestTestsInRegoSeeModulesAndData(t *testing.T) {
	cfg := lay(t, map[string]string{
		"rego/orders.rego": orders, "rego/deep/orders_test.rego": ordersTest, "owners.yaml": "orders: dana\n",
		"rego/.hidden/x_test.rego": "not Rego",
	})
	got, err := regotest.Run(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 {
		t.Fatalf("ran %d tests, want the three that are not to do: %+v", len(got), got)
	}
	if r := got[0]; r.Name != "data.orders_test.test_owner_may" || !r.Passed || r.Line != 5 || filepath.Base(r.File) != "orders_test.rego" {
		t.Errorf("first = %+v, want test_owner_may of line 5, passed", r)
	}
	if r := got[1]; r.Passed || r.Error != "" {
		t.Errorf("second = %+v, want a failure without error", r)
	}
	if r := got[2]; r.Passed || !strings.Contains(r.Error, "to_number") {
		t.Errorf("third = %+v, want the error of to_number", r)
	}
}

func TestTestsInRegoAreChosenByName(t *testing.T) {
	cfg := lay(t, map[string]string{"rego/orders.rego": orders, "rego/orders_test.rego": ordersTest, "owners.yaml": "orders: dana\n"})
	got, err := regotest.Run(t.Context(), cfg, regexp.MustCompile("owner"))
	if err != nil || len(got) != 1 || !got[0].Passed {
		t.Errorf("Run(owner) = %+v, %v, want test_owner_may alone", got, err)
	}
}

func TestTestsInRegoCannotReachOut(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "GET", "url": "http://127.0.0.1:9/"})`, `net.lookup_ip_addr("localhost")`, `opa.runtime()`,
	} {
		cfg := lay(t, map[string]string{
			"rego/orders.rego": orders, "rego/x_test.rego": "package x_test\n\ntest_out if " + call + "\n",
		})
		got, err := regotest.Run(t.Context(), cfg, nil)
		if err == nil || !strings.Contains(err.Error(), "undefined function") {
			t.Errorf("%s: %+v, %v, want that the function does not exist", call, got, err)
		}
	}
}

func TestNoTestsAreNoError(t *testing.T) {
	got, err := regotest.Run(t.Context(), lay(t, map[string]string{"rego/orders.rego": orders}), nil)
	if err != nil || got != nil {
		t.Errorf("Run = %+v, %v, want nothing", got, err)
	}
}

func TestBrokenTestsAreAnError(t *testing.T) {
	for what, text := range map[string]string{
		"no Rego": "package x_test\n\ntest_a if {", "unknown name": "package x_test\n\ntest_a if nothing == 1\n",
		"too long": "package x_test\n#" + strings.Repeat("x", 1<<20),
	} {
		cfg := lay(t, map[string]string{"rego/orders.rego": orders, "rego/x_test.rego": text})
		if got, err := regotest.Run(t.Context(), cfg, nil); err == nil {
			t.Errorf("%s: %+v, want an error", what, got)
		}
	}
}
