package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/bundle"

	"gatehouse/policy"
)

const secret = "0123456789abcdef0123456789abcdef"

// content is what a test puts into a bundle.
type content struct {
	revision string
	roots    []string
	module   string // of /acme/orders.rego
	data     map[string]any
}

func orders(revision string) content {
	return content{
		revision: revision, roots: []string{"acme"},
		module: "package acme.orders\n\nallow if input.user.username in data.acme.staff\n",
		data:   map[string]any{"acme": map[string]any{"staff": []any{"bob", revision}}},
	}
}

func (c content) bundle(t testing.TB) opa.Bundle {
	t.Helper()
	b := opa.Bundle{Manifest: opa.Manifest{Revision: c.revision}, Data: c.data}
	if c.roots != nil {
		b.Manifest.Roots = &c.roots
	}
	if b.Data == nil {
		b.Data = map[string]any{}
	}
	if c.module != "" {
		m, err := ast.ParseModuleWithOpts("/acme/orders.rego", c.module, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatal(err)
		}
		b.Modules = []opa.ModuleFile{{URL: "/acme/orders.rego", Path: "/acme/orders.rego", Raw: []byte(c.module), Parsed: m}}
	}
	return b
}

// signing is how a test signs.
type signing struct{ key, algorithm, keyID, claims string }

var bySecret = signing{key: secret, algorithm: "HS256", keyID: "gatehouse"}

// packed returns the tar.gz of c, signed by OPA's signer unless s is nil.
func (c content) packed(t testing.TB, s *signing) []byte {
	t.Helper()
	b := c.bundle(t)
	if s != nil {
		if err := b.GenerateSignature(opa.NewSigningConfig(s.key, s.algorithm, s.claims), s.keyID, false); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := opa.NewWriter(&out).DisableFormat(true).Write(b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// archive makes a tar.gz of headers, whose files hold text.
func archive(t testing.TB, text string, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	files := tar.NewWriter(zip)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(text))
		}
		if err := files.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := files.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := files.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// repacked changes the files of a bundle, by name, without signing it again; an
// empty text leaves the file out.
func repacked(t testing.TB, raw []byte, change map[string]string) []byte {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	to := tar.NewWriter(packed)
	write := func(name, text string) {
		if err := to.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for from := tar.NewReader(zip); ; {
		h, err := from.Next()
		if err != nil {
			break
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(from); err != nil {
			t.Fatal(err)
		}
		name := "/" + strings.TrimPrefix(h.Name, "/")
		if new, ok := change[name]; !ok {
			write(name, text.String())
		} else if new != "" {
			write(name, new)
		}
		delete(change, name)
	}
	for name, text := range change {
		write(name, text)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// server is a real one that answers with what the test sets.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	body    []byte
	etag    string
	answer  http.HandlerFunc // instead of body, if not nil
	headers []http.Header
	sent    int // bodies
}

func serve(t testing.TB, body []byte) *server {
	s := &server{body: body}
	s.Server = httptest.NewServer(http.HandlerFunc(s.handle))
	t.Cleanup(s.Close)
	return s
}

func (s *server) handle(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer, body, etag := s.answer, s.body, s.etag
	s.headers = append(s.headers, r.Header)
	if answer == nil && (etag == "" || r.Header.Get("If-None-Match") != etag) {
		s.sent++
	}
	s.mu.Unlock()
	switch {
	case answer != nil:
		answer(w, r)
	case etag != "" && r.Header.Get("If-None-Match") == etag:
		w.WriteHeader(http.StatusNotModified)
	default:
		if etag != "" {
			w.Header().Set("ETag", etag)
		}
		_, _ = w.Write(body)
	}
}

func (s *server) set(body []byte, etag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.etag, s.answer = body, etag, nil
}

func (s *server) answers(f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// entry is a configured bundle that is signed by bySecret.
func entry(bundle string) policy.Custom {
	return policy.Custom{Bundle: bundle, Secret: secret, KeyID: "gatehouse", Every: time.Minute}
}

// journal collects what is logged.
type journal struct {
	mu sync.Mutex
	bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.Buffer.Write(p)
}

func (j *journal) lines() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.String(), "\n")
}

func openSource(t testing.TB, cfg policy.Custom, dir string) (*Source, *journal) {
	t.Helper()
	j := &journal{}
	s, err := New(cfg, Options{Dir: dir, Log: slog.New(slog.NewTextHandler(j, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return s, j
}

// load makes a source that has loaded its bundle.
func load(t testing.TB, cfg policy.Custom) *Source {
	t.Helper()
	s, _ := openSource(t, cfg, "")
	if _, err := s.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

// keyPair writes a public key to a file and returns it with the private one.
func keyPair(t testing.TB, algorithm string) (file, private string) {
	t.Helper()
	var public any
	var der []byte
	var err error
	if algorithm[0] == 'E' {
		key, keyErr := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if keyErr != nil {
			t.Fatal(keyErr)
		}
		public = &key.PublicKey
		der, err = x509.MarshalPKCS8PrivateKey(key)
	} else {
		key, keyErr := rsa.GenerateKey(rand.Reader, 2048)
		if keyErr != nil {
			t.Fatal(keyErr)
		}
		public = &key.PublicKey
		der, err = x509.MarshalPKCS8PrivateKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return writePublic(t, public), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func writePublic(t testing.TB, public any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func writeFile(t testing.TB, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
