package policy

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/conf"
)

// checked parses the text of the key policy, from line 2.
func checked(text string) (*conf.Problems, *file) {
	var f file
	cfg, _ := conf.Parse("/etc/gatehouse.yaml", []byte("policy:\n"+text+"\n"), &f)
	return cfg.Problems(), &f
}

const (
	signed   = `key: keys/bundle.pem`
	byHMAC   = `secret: 0123456789abcdef0123456789abcdef`
	bundled  = "  custom:\n    - bundle: https://bundles.example.com/b.tar.gz\n      "
	fromFile = "  custom:\n    - bundle: b.tar.gz\n      "
	local    = "  custom:\n    - bundle: http://127.0.0.1:8181/b.tar.gz\n      "
)

func TestEntriesThatWork(t *testing.T) {
	for _, text := range []string{
		"  custom: [rego, lib.rego]",
		bundled + signed, bundled + byHMAC, local + byHMAC, fromFile + signed,
		bundled + signed + "\n      algorithm: ES256\n      key_id: release\n      scope: write\n      token: abc\n      ca: ca.pem\n      every: 1s",
		bundled + byHMAC + "\n      algorithm: HS512",
		"  data: {tenants: tenants.yaml, _x1: /srv/x.json, Y: y.yml}",
		"  memory: false",
	} {
		if p, _ := checked(text); len(p.Errors())+len(p.Warnings()) > 0 {
			t.Errorf("%s\n%v", text, p)
		}
	}
	p, f := checked(bundled + signed)
	c := f.Policy.Custom[0]
	if c.KeyID != "gatehouse" || c.Every != time.Minute || c.SignedWith() != "RS256" || c.Problem() != nil || !f.Policy.Memory {
		t.Errorf("defaults are %+v (%v)", c, p)
	}
	if got := c.File(c.Key); got != filepath.Join("/etc", "keys/bundle.pem") {
		t.Errorf("File = %s: paths begin beside the configuration", got)
	}
}

func TestEntriesThatCannotWork(t *testing.T) {
	for text, want := range map[string]string{
		"  custom: [b.tar.gz]":                        `2:12: "b.tar.gz" is a bundle, not a module; write { bundle: b.tar.gz }`,
		"  custom: [b.tgz]":                           "is a bundle",
		"  custom: [{}]":                              "neither a path nor a bundle",
		"  custom: [\"\"]":                            "neither a path nor a bundle",
		"  custom: [{path: x}]":                       "unknown key",
		bundled + "key: k.pem\n      " + byHMAC:       "5:15: key and secret exclude each other",
		bundled + "key: \"\"":                         "key or secret of the bundle is empty",
		bundled + "secret: \"\"":                      "key or secret of the bundle is empty",
		bundled + "secret: short":                     "secret is shorter than 32 bytes",
		bundled + signed + "\n      key_id: \"\"":     "5:15: key_id is empty",
		bundled + signed + "\n      algorithm: HS256": "5:18: algorithm is \"HS256\", want one for a public key",
		bundled + signed + "\n      algorithm: none":  "want one for a public key",
		bundled + byHMAC + "\n      algorithm: RS256": "want one for a shared secret",
		bundled + byHMAC + "\n      every: 999ms":     "every is 999ms",
		bundled + "algorithm: RS256":                  "need a key or a secret",
		bundled + "key_id: release":                   "need a key or a secret",
		bundled + "scope: write":                      "need a key or a secret",
		local + "token: abc":                          "must be signed",
		local + byHMAC + "\n      ca: ca.pem":         "ca is for https",
		fromFile + byHMAC + "\n      token: abc":      "token is for a server",
		fromFile + byHMAC + "\n      ca: ca.pem":      "ca is for a server",
		"  custom: [{bundle: \"http://bundles.example.com/b\", " + byHMAC + "}]":     "must come over https",
		"  custom: [{bundle: \"http://127.0.0.1.example.com/b\", " + byHMAC + "}]":   "must come over https",
		"  custom: [{bundle: \"ftp://127.0.0.1/b\", " + byHMAC + "}]":                "want the https URL",
		"  custom: [{bundle: \"https:///b\", " + byHMAC + "}]":                       "want the https URL",
		"  custom: [{bundle: \"https://%zz/b\", " + byHMAC + "}]":                    "want the https URL",
		"  custom: [{bundle: \"https://a:hunter2@b.example/b\", " + byHMAC + "}]":    "use token",
		"  custom: [{bundle: b.gz, " + byHMAC + "}, {bundle: b.gz, " + byHMAC + "}]": "named twice",
		"  data: {gatehouse: x.json}":                                                "2:9: policy.data: the name gatehouse is reserved",
		"  data: {a.b: x.json}":                                                      "is not one word",
		"  data: {\"1\": x.json}":                                                    "is not one word",
		"  data: {a: x.rego}":                                                        "must end in .json",
		"  data: {a: \"\"}":                                                          "names no file",
	} {
		p, _ := checked(text)
		said := fmt.Sprint(p)
		if len(p.Errors()) == 0 || !strings.Contains(said, want) || strings.Contains(said, "hunter2") {
			t.Errorf("%s\n%v\nwant an error with %q", text, said, want)
		}
	}
}

func TestUnsignedBundlesAreWarnedOf(t *testing.T) {
	for text, want := range map[string]string{
		bundled + "token: abc": "3:15: the bundle need not be signed: whoever controls that server decides",
		fromFile + "every: 5s": "3:15: the bundle need not be signed: whoever can write that file decides",
	} {
		p, f := checked(text)
		if len(p.Errors()) > 0 || len(p.Warnings()) != 1 || !strings.Contains(fmt.Sprint(p), want) {
			t.Errorf("%s\n%v\nwant a warning with %q", text, p, want)
		}
		if c := f.Policy.Custom[0]; c.SignedWith() != "" || c.Problem() != nil {
			t.Errorf("an unsigned bundle is SignedWith %q and has the problem %v", c.SignedWith(), c.Problem())
		}
	}
}

func TestLabelHidesWhatMayBeSecret(t *testing.T) {
	for bundle, want := range map[string]string{
		"https://b.example/x.tar.gz?sig=hunter2": "https://b.example/x.tar.gz",
		"https://a:hunter2@b.example/x":          "https://b.example/x",
		"dir/b.tar.gz":                           "dir/b.tar.gz",
	} {
		if got := (Custom{Bundle: bundle}).Label(); got != want {
			t.Errorf("Label of %s = %s, want %s", bundle, got, want)
		}
	}
}
