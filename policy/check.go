package policy

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/conf"
)

// minSecret is how long a shared secret must be, in bytes: no shorter than the
// hash (RFC 7518 §3.2).
const minSecret = 32

// defaultKeyID is what key_id is where it is absent.
const defaultKeyID = reservedRoot

// dataName is what a file of data may be called.
var dataName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Check reports names and files of data that cannot be, and bundles named
// twice.
func (c *Config) Check(r *conf.Report) {
	for _, name := range slices.Sorted(maps.Keys(c.Data)) {
		if problem := dataProblem(name, c.Data[name]); problem != "" {
			r.Errorf(&c.Data, "policy.data: %s", problem)
		}
	}
	seen := map[string]bool{}
	for i := range c.Custom {
		b := &c.Custom[i].Bundle
		if *b != "" && seen[*b] {
			r.Errorf(b, "this bundle is named twice")
		}
		seen[*b] = true
	}
}

// dataProblem tells what is wrong with one entry of policy.data, "" if nothing.
func dataProblem(name, file string) string {
	switch {
	case !dataName.MatchString(name):
		return "the name " + plain(name) + " is not one word of letters, digits and _"
	case name == reservedRoot:
		return "the name " + name + " is reserved for what gatehouse generates"
	case file == "":
		return name + " names no file"
	case !slices.Contains([]string{".json", ".yaml", ".yml"}, filepath.Ext(file)):
		return name + ": the name of the file must end in .json, .yaml or .yml"
	}
	return ""
}

// algorithms are the signatures of bundles that are taken, by family: those with
// a key pair, and those with a shared secret.
var (
	keyAlgorithms    = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"}
	secretAlgorithms = []string{"HS256", "HS384", "HS512"}
)

// SignedWith returns the algorithm that the bundle must be signed with, its
// default if none is given; "" for a bundle that need not be signed.
func (c Custom) SignedWith() string {
	switch {
	case c.Algorithm != "":
		return c.Algorithm
	case c.Secret != "":
		return "HS256"
	case c.Key != "":
		return "RS256"
	}
	return ""
}

// URL returns where the bundle is fetched from, nil where Bundle is a path.
func (c Custom) URL() *url.URL {
	scheme, _, found := strings.Cut(c.Bundle, "://")
	if !found || strings.ContainsAny(scheme, "/\\.") {
		return nil
	}
	u, err := url.Parse(c.Bundle)
	if err != nil {
		return &url.URL{Scheme: scheme}
	}
	return u
}

// Label returns what logs and errors call the bundle: without the query of its
// URL, which may be a secret.
func (c Custom) Label() string {
	u := c.URL()
	if u == nil {
		return c.Bundle
	}
	u.RawQuery, u.ForceQuery, u.Fragment, u.User = "", false, "", nil
	return u.String()
}

// File returns a path of this entry as seen from the folder of its
// configuration file.
func (c Custom) File(path string) string { return beside(c.Pos, path) }

// beside returns path as seen from the folder of the file that pos is in.
func beside(pos conf.Pos, path string) string {
	if path == "" || filepath.IsAbs(path) || pos.File == "" {
		return path
	}
	return filepath.Join(filepath.Dir(pos.File), path)
}

// isArchive tells whether path names a bundle and not a module.
func isArchive(path string) bool {
	return strings.HasSuffix(path, ".tar.gz") || strings.HasSuffix(path, ".tgz")
}

// Check reports an entry that cannot work, and warns of a bundle that nobody
// has to sign.
func (c *Custom) Check(r *conf.Report) {
	given := r.Has(&c.Key) || r.Has(&c.Secret)
	if r.Failed(&c.Bundle) || r.Failed(&c.Key) || r.Failed(&c.Secret) {
		return // what was meant cannot be judged
	}
	if given && c.Key == "" && c.Secret == "" {
		r.Errorf(c, "the key or secret of the bundle is empty")
		return
	}
	for _, f := range c.faults() {
		r.Errorf(f.field, "%s", f.text)
	}
	if c.Bundle == "" || c.Key != "" || c.Secret != "" {
		return
	}
	who := "whoever controls that server"
	if c.URL() == nil {
		who = "whoever can write that file"
	}
	r.Warnf(&c.Bundle, "the bundle need not be signed: %s decides what its rules allow\nSet key or secret.", who)
}

// Problem returns what keeps an entry from working, without asking any server or
// reading any file; nil if nothing.
func (c *Custom) Problem() error {
	var errs []error
	for _, f := range c.faults() {
		errs = append(errs, errors.New(f.text))
	}
	return errors.Join(errs...)
}

// entryFault is what is wrong with one field of a Custom.
type entryFault struct {
	field any
	text  string
}

func (c *Custom) faults() []entryFault {
	switch {
	case c.Path != "" && c.Bundle != "":
		return []entryFault{{c, "this entry names both a path and a bundle"}}
	case isArchive(c.Path):
		return []entryFault{{&c.Path, fmt.Sprintf("%q is a bundle, not a module; write { bundle: %s }", c.Path, c.Path)}}
	case c.Path != "":
		return nil
	case c.Bundle == "":
		return []entryFault{{c, "this entry names neither a path nor a bundle"}}
	}
	var found []entryFault
	if field, text := c.sourceFault(); text != "" {
		found = append(found, entryFault{field, text})
	}
	if field, text := c.signatureFault(); text != "" {
		found = append(found, entryFault{field, text})
	}
	if c.Every < time.Second {
		found = append(found, entryFault{&c.Every, fmt.Sprintf("every is %s, want at least 1s", c.Every)})
	}
	return found
}

// sourceFault tells where the bundle cannot or must not come from.
func (c *Custom) sourceFault() (field any, text string) {
	u := c.URL()
	switch {
	case u == nil && c.Token != "":
		return &c.Token, "token is for a server, and the bundle is a file"
	case u == nil && c.CA != "":
		return &c.CA, "ca is for a server, and the bundle is a file"
	case u == nil:
		return nil, ""
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return &c.Bundle, "want the https URL or the path of a bundle"
	case u.User != nil:
		return &c.Bundle, "a password does not belong into the URL; use token"
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return &c.Bundle, "the bundle must come over https; http is for loopback"
	case u.Scheme == "http" && c.CA != "":
		return &c.CA, "ca is for https"
	}
	return nil, ""
}

// signatureFault tells of keys that cannot verify.
func (c *Custom) signatureFault() (field any, text string) {
	algorithm := c.SignedWith()
	switch u := c.URL(); {
	case c.Key != "" && c.Secret != "":
		return &c.Secret, "key and secret exclude each other"
	case c.Key == "" && c.Secret == "" && (algorithm != "" || c.Scope != "" || c.KeyID != "" && c.KeyID != defaultKeyID):
		return c, "algorithm, scope and key_id need a key or a secret to verify with"
	case c.Key == "" && c.Secret == "" && u != nil && u.Scheme == "http":
		return &c.Bundle, "a bundle over http must be signed; set key or secret"
	case c.Key == "" && c.Secret == "":
		return nil, ""
	case c.KeyID == "":
		// An empty one would let the signature choose its key.
		return &c.KeyID, "key_id is empty: every signature must name one"
	case c.Key != "" && !slices.Contains(keyAlgorithms, algorithm):
		return &c.Algorithm, fmt.Sprintf("algorithm is %q, want one for a public key: %s", algorithm, strings.Join(keyAlgorithms, ", "))
	case c.Secret != "" && !slices.Contains(secretAlgorithms, algorithm):
		return &c.Algorithm, fmt.Sprintf("algorithm is %q, want one for a shared secret: %s", algorithm, strings.Join(secretAlgorithms, ", "))
	case c.Secret != "" && len(c.Secret.Reveal()) < minSecret:
		return &c.Secret, fmt.Sprintf("secret is shorter than %d bytes", minSecret)
	}
	return nil, ""
}
