package jose

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// ErrClaimName means that a claim or header name is not one this package
// writes.
var ErrClaimName = errors.New("claim or header name not allowed")

// claimName is what a name may look like. Quotes, backslashes and control
// characters cannot occur, so that no encoder downstream can be talked into
// ending a JSON string early.
var claimName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_:./-]{0,127}$`)

// ValidClaimName tells whether Sign accepts the name. Whoever takes names from
// a configuration or another issuer asks before storing them.
func ValidClaimName(name string) bool { return claimName.MatchString(name) }

// Sign returns a compact JWS over claims, which are marshalled by
// encoding/json. alg and kid are the key's and may not be given in header;
// typ is whatever header says, absent when it says nothing. It returns
// ErrClaimName for a name outside ^[A-Za-z0-9][A-Za-z0-9_:./-]{0,127}$.
func Sign(k *Key, header, claims map[string]any) (string, error) {
	protected := jws.NewHeaders()
	if err := protected.Set("kid", k.ID); err != nil {
		return "", fmt.Errorf("sign with key %q: %w", k.ID, err)
	}
	for name, value := range header {
		if !ValidClaimName(name) || name == "alg" || name == "kid" || name == "crit" || name == "b64" {
			return "", fmt.Errorf("sign: header %q: %w", name, ErrClaimName)
		}
		if err := protected.Set(name, value); err != nil {
			return "", fmt.Errorf("sign: set header %q: %w", name, err)
		}
	}
	for name := range claims {
		if !ValidClaimName(name) {
			return "", fmt.Errorf("sign: claim %q: %w", name, ErrClaimName)
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign: marshal claims: %w", err)
	}
	token, err := jws.Sign(payload, jws.WithKey(jwa.SignatureAlgorithm(k.Alg), k.private, jws.WithProtectedHeaders(protected)))
	if err != nil {
		return "", fmt.Errorf("sign with key %q: %w", k.ID, err)
	}
	return string(token), nil
}

// SignPayload signs exactly these bytes, for tokens whose reader cares about
// their order and length. protectedHeaderJSON must be an object whose alg and
// kid are the key's; payloadJSON must be an object. Neither may repeat a
// member.
func SignPayload(k *Key, protectedHeaderJSON, payloadJSON []byte) (string, error) {
	header, err := object(protectedHeaderJSON)
	if err != nil {
		return "", fmt.Errorf("sign: protected header: %w", err)
	}
	if header["alg"] != string(k.Alg) || header["kid"] != k.ID {
		return "", fmt.Errorf("sign with key %q: the header names another key or algorithm", k.ID)
	}
	if _, err := object(payloadJSON); err != nil {
		return "", fmt.Errorf("sign: payload: %w", err)
	}
	signer, err := jws.NewSigner(jwa.SignatureAlgorithm(k.Alg))
	if err != nil {
		return "", fmt.Errorf("sign with key %q: %w", k.ID, err)
	}
	enc := base64.RawURLEncoding
	token := make([]byte, 0, enc.EncodedLen(len(protectedHeaderJSON)+len(payloadJSON))+700)
	token = enc.AppendEncode(token, protectedHeaderJSON)
	token = append(token, '.')
	token = enc.AppendEncode(token, payloadJSON)
	signature, err := signer.Sign(token, k.private)
	if err != nil {
		return "", fmt.Errorf("sign with key %q: %w", k.ID, err)
	}
	token = append(token, '.')
	return string(enc.AppendEncode(token, signature)), nil
}
