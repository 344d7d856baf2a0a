package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/bundle"

	"gatehouse/policy"
)

// maxPacked is how large a tar.gz may be, in bytes.
const maxPacked = 64 << 20

// limits bound what is in the tar.gz.
type limits struct {
	unpacked int64 // bytes of the tar
	file     int64 // bytes of one file in it
	files    int
}

var usual = limits{unpacked: 256 << 20, file: 64 << 20, files: 10_000}

// Errors that read may return, wrapped.
var (
	// ErrTooLarge: more bytes or files than a bundle may have.
	ErrTooLarge = errors.New("the bundle is too large")
	// ErrKeyID: the signature names another key, or none.
	ErrKeyID = errors.New("the signature names another key")
)

// read unpacks raw, a tar.gz, and verifies it with keys; nil keys verify
// nothing.
func read(raw []byte, keys *opa.VerificationConfig) (_ policy.Bundle, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read bundle: panic: %v", p)
		}
	}()
	// OPA's reader unpacks everything before it looks at sizes.
	if err := usual.scan(raw); err != nil {
		return policy.Bundle{}, err
	}
	reader := opa.NewCustomReader(opa.NewTarballLoaderWithBaseURL(bytes.NewReader(raw), "")).
		WithSizeLimitBytes(usual.file).
		WithRegoVersion(ast.RegoV1).
		WithLazyLoadingMode(false)
	if keys == nil {
		reader = reader.WithSkipBundleVerification(true)
	} else {
		reader = reader.WithBundleVerificationConfig(keys)
	}
	b, err := reader.Read()
	if err != nil {
		return policy.Bundle{}, err
	}
	switch {
	case len(b.WasmModules) > 0 || len(b.Manifest.WasmResolvers) > 0:
		return policy.Bundle{}, errors.New("the bundle holds WebAssembly, which is not run here")
	case len(b.PlanModules) > 0:
		return policy.Bundle{}, errors.New("the bundle holds a plan, which is not run here")
	case b.Type() != opa.SnapshotBundleType:
		return policy.Bundle{}, errors.New("the bundle is a patch of another, which is not taken")
	case keys != nil:
		if err := checkKeyID(b.Signatures.Signatures, keys.KeyID); err != nil {
			return policy.Bundle{}, err
		}
	}
	return contentOf(b), nil
}

func contentOf(b opa.Bundle) policy.Bundle {
	content := policy.Bundle{Revision: b.Manifest.Revision, Modules: map[string]string{}, Data: b.Data}
	if b.Manifest.Roots != nil {
		content.Roots = *b.Manifest.Roots
	}
	for _, m := range b.Modules {
		content.Modules[m.Path] = string(m.Raw)
	}
	return content
}

// scan reads raw once to the end without keeping it, and refuses what would
// exhaust memory, what is cut off, and names that stand for two files.
func (l limits) scan(raw []byte) error {
	if len(raw) > maxPacked {
		return fmt.Errorf("%w: more than %d bytes packed", ErrTooLarge, maxPacked)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("unpack bundle: %w", err)
	}
	limited := &io.LimitedReader{R: unzipped, N: l.unpacked + 1}
	err = l.scanTar(tar.NewReader(limited))
	if err == nil {
		// What follows the archive is read for its checksum.
		_, err = io.Copy(io.Discard, limited)
	}
	if limited.N <= 0 {
		return fmt.Errorf("%w: more than %d bytes unpacked", ErrTooLarge, l.unpacked)
	}
	if err != nil {
		return fmt.Errorf("unpack bundle: %w", err)
	}
	return nil
}

func (l limits) scanTar(files *tar.Reader) error {
	seen := map[string]bool{}
	for total := int64(0); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// A sparse file says it is large and takes no room in the archive.
		if total += header.Size; header.Size > l.file || total > l.unpacked || len(seen) >= l.files {
			return fmt.Errorf("%w: more than %d bytes in a file, %d in all, or %d files", ErrTooLarge, l.file, l.unpacked, l.files)
		}
		switch header.Typeflag {
		case tar.TypeDir:
			continue
		case tar.TypeReg:
		default:
			return fmt.Errorf("%q is neither a file nor a folder", header.Name)
		}
		name := path.Clean("/" + header.Name)
		if seen[name] {
			return fmt.Errorf("%q is in the bundle twice", header.Name)
		}
		seen[name] = true
		if path.Base(name) == "patch.json" {
			return errors.New("the bundle is a patch of another, which is not taken")
		}
	}
}

// checkKeyID refuses a verified signature that does not name the key id want:
// by the header kid, or the older claim keyid. OPA's reader verifies with the
// key that it is told and does not look.
func checkKeyID(signatures []string, want string) error {
	if len(signatures) != 1 {
		return errors.New("the bundle must have one signature")
	}
	parts := strings.Split(signatures[0], ".")
	if len(parts) != 3 {
		return errors.New("the signature is not a JWS in compact form")
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	var claims struct {
		KeyID string `json:"keyid"`
	}
	for i, into := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return fmt.Errorf("read signature: %w", err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			return fmt.Errorf("read signature: %w", err)
		}
	}
	named := header.KeyID
	if named == "" {
		named = claims.KeyID
	}
	if named != want || claims.KeyID != "" && claims.KeyID != want {
		return fmt.Errorf("%w: %q, want %q", ErrKeyID, named, want)
	}
	return nil
}
