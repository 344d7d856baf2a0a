package bundle

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"gatehouse/policy"
)

const minRSA = 2048 // bits

// keysOf returns what verifies the bundles of cfg, which has no Problem; nil if
// nothing does.
func keysOf(cfg policy.Custom) (*opa.VerificationConfig, error) {
	if cfg.Key == "" && cfg.Secret == "" {
		return nil, nil
	}
	key, algorithm := cfg.Secret.Reveal(), cfg.SignedWith()
	if cfg.Key != "" {
		text, err := os.ReadFile(cfg.File(cfg.Key))
		if err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		if err := checkPublic(text, algorithm); err != nil {
			return nil, fmt.Errorf("read key %s: %w", cfg.File(cfg.Key), err)
		}
		key = string(text)
	}
	keys := map[string]*opa.KeyConfig{cfg.KeyID: {Key: key, Algorithm: algorithm, Scope: cfg.Scope}}
	return opa.NewVerificationConfig(keys, cfg.KeyID, cfg.Scope, nil), nil
}

// checkPublic refuses a PEM file that is not one public key for algorithm.
func checkPublic(text []byte, algorithm string) error {
	block, rest := pem.Decode(text)
	if block == nil || len(strings.TrimSpace(string(rest))) > 0 {
		return errors.New("want one PEM block")
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	default:
		return fmt.Errorf("it holds a %s, want a PUBLIC KEY", strings.ToLower(block.Type))
	}
	if err != nil {
		return err
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		if algorithm[:2] != "RS" && algorithm[:2] != "PS" {
			return fmt.Errorf("it is an RSA key, which does not go with %s", algorithm)
		}
		if key.N.BitLen() < minRSA {
			return fmt.Errorf("the RSA key has fewer than %d bits", minRSA)
		}
		return nil
	case *ecdsa.PublicKey:
		// RFC 7518 §3.4 binds each algorithm to its curve.
		curves := map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
		if curve := key.Curve.Params().Name; curves[algorithm] != curve {
			return fmt.Errorf("it is a key on %s, which does not go with %s", curve, algorithm)
		}
		return nil
	}
	return errors.New("want an RSA or an elliptic curve key")
}
