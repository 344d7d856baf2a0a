package authenticator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// The flags of authenticator data (WebAuthn §6.1).
const (
	present  = 1 << 0
	verified = 1 << 2
	attested = 1 << 6
)

// Authenticator makes and uses passkeys at one origin.
type Authenticator struct {
	// Origin is what the browser says, such as "https://login.test"; RPID is its
	// host.
	Origin, RPID string
	// Unverified answers without PIN, finger or face.
	Unverified bool

	id, handle []byte
	key        *ecdsa.PrivateKey
}

type options struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		User      struct {
			ID string `json:"id"`
		} `json:"user"`
	} `json:"publicKey"`
}

// Create answers navigator.credentials.create for options in JSON.
func (a *Authenticator) Create(text []byte) ([]byte, error) {
	var o options
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	handle, err := base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID)
	if err != nil {
		return nil, fmt.Errorf("read user handle: %w", err)
	}
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	a.id, a.handle = make([]byte, 16), handle
	rand.Read(a.id)
	data := append(a.data(attested), make([]byte, 16)...)
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(a.id))), a.id...)
	// COSE: {1: 2, 3: -7, -1: 1, -2: x, -3: y} (RFC 9053 §7.1.1).
	data = append(data, 0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21)
	data = append(append(data, bytesOf(point[1:33])...), 0x22)
	data = append(data, bytesOf(point[33:65])...)
	object := append([]byte{0xa3}, textOf("fmt")...)
	object = append(append(object, textOf("none")...), textOf("attStmt")...)
	object = append(append(append(object, 0xa0), textOf("authData")...), bytesOf(data)...)
	return a.answer(map[string]any{
		"clientDataJSON": b64(a.client("webauthn.create", o)), "attestationObject": b64(object), "transports": []string{"internal"},
	})
}

// Get answers navigator.credentials.get for options in JSON, with the passkey
// that Create made last.
func (a *Authenticator) Get(text []byte) ([]byte, error) {
	var o options
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	client, data := a.client("webauthn.get", o), a.data(0)
	sum := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), sum[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		return nil, err
	}
	return a.answer(map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "userHandle": b64(a.handle), "signature": b64(signature),
	})
}

func (a *Authenticator) answer(response map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{
		"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{},
	})
}

func (a *Authenticator) client(kind string, o options) []byte {
	return fmt.Appendf(nil, `{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":false}`, kind, o.PublicKey.Challenge, a.Origin)
}

// data is authenticator data without a signature counter, as synced passkeys
// have none.
func (a *Authenticator) data(flags byte) []byte {
	hash := sha256.Sum256([]byte(a.RPID))
	flags |= present
	if !a.Unverified {
		flags |= verified
	}
	return append(append(hash[:], flags), 0, 0, 0, 0)
}

// bytesOf and textOf write CBOR strings of fewer than 65,536 bytes (RFC 8949 §3).
func bytesOf(b []byte) []byte { return append(head(0x40, len(b)), b...) }
func textOf(s string) []byte  { return append(head(0x60, len(s)), s...) }

func head(major byte, n int) []byte {
	switch {
	case n < 24:
		return []byte{major | byte(n)}
	case n < 256:
		return []byte{major | 24, byte(n)}
	}
	return []byte{major | 25, byte(n >> 8), byte(n)}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
