package bundle

import (
	"archive/tar"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"gatehouse/policy"
)

// loadErr loads cfg, whose bundle must be refused with want in the error.
func loadErr(t *testing.T, cfg policy.Custom, want string) error {
	t.Helper()
	s, _ := openSource(t, cfg, "")
	b, err := s.Load(context.Background())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Load = %v, %v, want an error with %q", b.Revision, err, want)
	}
	if s.Current().Modules != nil || s.Status().Err == nil {
		t.Errorf("a bundle that was refused is Current, or Status has no Err")
	}
	return err
}

func TestSignedBundleIsRead(t *testing.T) {
	for _, algorithm := range []string{"HS256", "RS256", "PS256", "ES256"} {
		cfg, how := entry(""), bySecret
		if algorithm != "HS256" {
			file, private := keyPair(t, algorithm)
			how = signing{private, algorithm, "release", ""}
			cfg.Secret, cfg.Key, cfg.KeyID, cfg.Algorithm = "", file, "release", algorithm
		}
		cfg.Bundle = serve(t, orders("r1").packed(t, &how)).URL
		s, _ := openSource(t, cfg, "")
		b, err := s.Load(context.Background())
		if err != nil {
			t.Fatalf("%s: Load: %v", algorithm, err)
		}
		staff := b.Data["acme"].(map[string]any)["staff"].([]any)
		if b.Name != cfg.Bundle || b.Revision != "r1" || len(b.Roots) != 1 || b.Roots[0] != "acme" || len(staff) != 2 ||
			!strings.Contains(b.Modules["/acme/orders.rego"], "allow if") {
			t.Errorf("%s: Load = %+v", algorithm, b)
		}
		if st := s.Status(); st.Revision != "r1" || st.LastOK.IsZero() || st.Err != nil {
			t.Errorf("%s: Status = %+v", algorithm, st)
		}
	}
}

func TestWhatWasChangedAfterSigningIsRefused(t *testing.T) {
	good := orders("r1").packed(t, &bySecret)
	const evil = "package acme.orders\n\nallow := true\n"
	for name, change := range map[string]map[string]string{
		"a module is changed":     {"/acme/orders.rego": evil},
		"a module is added":       {"/acme/more.rego": "package acme.more\n\nx := 1\n"},
		"a module is left out":    {"/acme/orders.rego": ""},
		"data is changed":         {"/data.json": `{"acme": {"staff": ["eve"]}}`},
		"the manifest is":         {"/.manifest": `{"revision": "r9", "roots": [""]}`},
		"the signature is gone":   {"/.signatures.json": ""},
		"there is none in it":     {"/.signatures.json": `{"signatures": []}`},
		"it names a plugin":       {"/.signatures.json": `{"signatures": ["a.b.c"], "plugin": "none"}`},
		"it is null":              {"/.signatures.json": `{"signatures": null}`},
		"it is of algorithm none": {"/.signatures.json": `{"signatures": ["eyJhbGciOiJub25lIiwia2lkIjoiZ2F0ZWhvdXNlIn0.e30."]}`},
	} {
		t.Run(name, func(t *testing.T) {
			loadErr(t, entry(serve(t, repacked(t, good, change)).URL), "")
		})
	}
	// Repacking alone changes nothing.
	if _, err := read(repacked(t, good, map[string]string{}), mustKeys(t, entry("x"))); err != nil {
		t.Errorf("the same files, packed anew: %v", err)
	}
}

func TestWrongSignerIsRefused(t *testing.T) {
	file, private := keyPair(t, "ES256")
	other := signing{strings.Repeat("x", 32), "HS256", "gatehouse", ""}
	url := func(s *signing) string { return serve(t, orders("r1").packed(t, s)).URL }
	loadErr(t, entry(url(&other)), "verify")
	loadErr(t, entry(url(nil)), "missing .signatures.json")
	loadErr(t, entry(url(&signing{private, "ES256", "gatehouse", ""})), "verify")

	byKey := entry(url(&bySecret))
	byKey.Secret, byKey.Key, byKey.Algorithm = "", file, "ES256"
	loadErr(t, byKey, "verify")

	// The public key is no secret: nobody may sign with it as if it were one.
	public, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	byKey.Bundle = url(&signing{string(public), "HS256", "gatehouse", ""})
	loadErr(t, byKey, "verify")
}

func TestSignatureMustNameItsKey(t *testing.T) {
	for _, named := range []string{"default", ""} {
		how := signing{secret, "HS256", named, ""}
		err := loadErr(t, entry(serve(t, orders("r1").packed(t, &how)).URL), `want "gatehouse"`)
		if !errors.Is(err, ErrKeyID) {
			t.Errorf("Load = %v, want ErrKeyID", err)
		}
	}
	// As `opa sign --claims-file` names it.
	claims := writeFile(t, "claims.json", []byte(`{"keyid": "gatehouse"}`))
	how := signing{secret, "HS256", "", claims}
	load(t, entry(serve(t, orders("r1").packed(t, &how)).URL))
	how = signing{secret, "HS256", "gatehouse", writeFile(t, "claims.json", []byte(`{"keyid": "other"}`))}
	loadErr(t, entry(serve(t, orders("r1").packed(t, &how)).URL), `want "gatehouse"`)
}

func TestScopeMustBeTheSame(t *testing.T) {
	scoped := signing{secret, "HS256", "gatehouse", writeFile(t, "claims.json", []byte(`{"scope": "write"}`))}
	cfg := entry(serve(t, orders("r1").packed(t, &scoped)).URL)
	loadErr(t, cfg, "scope")
	cfg.Scope = "write"
	load(t, cfg)
	cfg.Bundle = serve(t, orders("r1").packed(t, &bySecret)).URL
	loadErr(t, cfg, "scope")
}

func TestReservedRootIsRefused(t *testing.T) {
	for name, c := range map[string]content{
		"a module":            {module: "package gatehouse.routes\n\nallow.admin := true\n"},
		"a module, no roots":  {roots: []string{""}, module: "package gatehouse\n\nx := 1\n"},
		"a module reads ours": {roots: []string{"acme"}, module: "package acme\n\nx if data.gatehouse.routes.allow\n"},
		"data":                {data: map[string]any{"gatehouse": map[string]any{"routes": map[string]any{}}}},
		"data, empty":         {roots: []string{""}, data: map[string]any{"gatehouse": map[string]any{}}},
		"a root":              {roots: []string{"gatehouse"}},
		"a root below":        {roots: []string{"acme", "gatehouse/routes"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := loadErr(t, entry(serve(t, c.packed(t, &bySecret)).URL), "reserved")
			if !errors.Is(err, policy.ErrReserved) {
				t.Errorf("Load = %v, want ErrReserved", err)
			}
		})
	}
}

func TestWhatIsNotRegoIsRefused(t *testing.T) {
	good := orders("r1").packed(t, nil)
	file := func(raw []byte) policy.Custom {
		cfg := entry(writeFile(t, "b.tar.gz", raw))
		cfg.Secret, cfg.KeyID = "", ""
		return cfg
	}
	load(t, file(good))
	add := func(name, text string) policy.Custom { return file(repacked(t, good, map[string]string{name: text})) }
	loadErr(t, add("/acme/bad.rego", "package acme.bad\n\nallow = = 1\n"), "bad.rego:3")
	loadErr(t, add("/acme/old.rego", "package acme.old\n\nallow { true }\n"), "old.rego:3")
	loadErr(t, add("/policy.wasm", "\x00asm"), "WebAssembly")
	loadErr(t, add("/plan.json", "{}"), "plan")
	loadErr(t, add("/patch.json", `{"data": []}`), "patch")
	loadErr(t, add("/acme/data.json", `{`), "data.json")
	loadErr(t, file([]byte("not a bundle")), "unpack")
	loadErr(t, file(nil), "unpack")
	loadErr(t, file(good[:len(good)-10]), "unpack")
	loadErr(t, file(append(good[:len(good):len(good)], "rest"...)), "unpack")

	v0 := orders("r1")
	v0.module = "package acme.orders\n\nallow if true\n"
	old := repacked(t, v0.packed(t, nil), map[string]string{
		"/.manifest": `{"revision": "", "roots": ["acme"], "rego_version": 0}`, "/acme/orders.rego": "package acme.orders\n\nallow { true }\n",
	})
	loadErr(t, file(old), "orders.rego:3")
}

func TestArchivesThatExhaustAreRefused(t *testing.T) {
	regular := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600} }
	small := limits{unpacked: 20 << 10, file: 4 << 10, files: 3}
	four := []tar.Header{regular("/a"), regular("/b"), regular("/c"), regular("/d")}
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	for name, c := range map[string]struct {
		raw []byte
		fit bool
	}{
		"as much as may be": {archive(t, zeros(4<<10), four[:3]...), true},
		"too many files":    {archive(t, "", four...), false},
		"a file too large":  {archive(t, zeros(4<<10+1), four[0]), false},
		"too much in all":   {archive(t, zeros(4<<10), regular("/a"), regular("/b"), regular("/c"), tar.Header{Name: "/x", Typeflag: tar.TypeDir}, tar.Header{Name: "/" + strings.Repeat("y", 9<<10), Typeflag: tar.TypeDir}), false},
		"a bomb":            {archive(t, zeros(1<<20), four[0]), false},
	} {
		err := small.scan(c.raw)
		if (err == nil) != c.fit || err != nil && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s (%d bytes): %v, want it to fit: %t", name, len(c.raw), err, c.fit)
		}
	}
	if err := usual.scan(make([]byte, maxPacked+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too much packed: %v, want ErrTooLarge", err)
	}
	if err := usual.scan(archive(t, "x", tar.Header{Name: "/l", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink})); err == nil {
		t.Error("a symbolic link is taken")
	}
	if err := usual.scan(archive(t, "x", regular("/a/b.rego"), regular("a//b.rego"))); err == nil {
		t.Error("two files of one name are taken")
	}
}

func mustKeys(t *testing.T, cfg policy.Custom) *opa.VerificationConfig {
	t.Helper()
	keys, err := keysOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestKeysThatCannotVerifyAreRefused(t *testing.T) {
	ec, private := keyPair(t, "ES256")
	rsa, _ := keyPair(t, "RS256")
	for name, change := range map[string]func(*policy.Custom){
		"empty key id":                  func(c *policy.Custom) { c.KeyID = "" },
		"both":                          func(c *policy.Custom) { c.Key = rsa },
		"algorithm of the other family": func(c *policy.Custom) { c.Algorithm = "RS256" },
		"unknown algorithm":             func(c *policy.Custom) { c.Algorithm = "none" },
		"short secret":                  func(c *policy.Custom) { c.Secret = "short" },
		"HS with a key":                 func(c *policy.Custom) { c.Secret, c.Key, c.Algorithm = "", rsa, "HS256" },
		"another curve":                 func(c *policy.Custom) { c.Secret, c.Key, c.Algorithm = "", ec, "ES384" },
		"RSA for ES":                    func(c *policy.Custom) { c.Secret, c.Key, c.Algorithm = "", rsa, "ES256" },
		"EC for RS":                     func(c *policy.Custom) { c.Secret, c.Key = "", ec },
		"private key":                   func(c *policy.Custom) { c.Secret, c.Key = "", writeFile(t, "k.pem", []byte(private)) },
		"no key there":                  func(c *policy.Custom) { c.Secret, c.Key = "", "nowhere.pem" },
		"not PEM":                       func(c *policy.Custom) { c.Secret, c.Key = "", writeFile(t, "k.pem", []byte("hello")) },
		"http beyond loopback":          func(c *policy.Custom) { c.Bundle = "http://bundles.example.com/b.tar.gz" },
		"unsigned over http":            func(c *policy.Custom) { c.Secret = "" },
		"another scheme":                func(c *policy.Custom) { c.Bundle = "ftp://bundles.example.com/b.tar.gz" },
		"password in the URL":           func(c *policy.Custom) { c.Bundle = "https://a:b@bundles.example.com/b.tar.gz" },
		"asked too often":               func(c *policy.Custom) { c.Every = 0 },
		"no bundle":                     func(c *policy.Custom) { c.Bundle = "" },
		"ca without certificate":        func(c *policy.Custom) { c.Bundle, c.CA = "https://b.example.com/", rsa },
	} {
		cfg := entry("http://127.0.0.1/b.tar.gz")
		change(&cfg)
		if _, err := New(cfg, Options{}); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: New = %v, want an error without the secret", name, err)
		}
	}
	if _, err := New(entry("http://127.0.0.1/b.tar.gz"), Options{}); err != nil {
		t.Errorf("New: %v", err)
	}
}
