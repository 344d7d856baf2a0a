package mfa_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// The flags of authenticator data (WebAuthn §6.1).
const (
	flagUP = 1 << 0
	flagUV = 1 << 2
	flagBE = 1 << 3
	flagAT = 1 << 6
)

// The algorithms (RFC 9053).
const (
	es256 = -7
	eddsa = -8
	es384 = -35
	rs256 = -257
)

// authenticator is one in software, with a browser around it. Its fields are
// what an attacker may turn.
type authenticator struct {
	*testing.T
	// origin is what the browser says, rpID what the authenticator hashes.
	origin, rpID string
	flags        byte
	// crossOrigin is what the browser says of its frame.
	crossOrigin bool
	alg         int
	// clientType replaces the type of the client data when it is not "".
	clientType string
	// challenge replaces the challenge when it is not "".
	challenge string
	// format and statement are the attestation's.
	format    string
	statement map[string]any
	keys      []*credential
}

// credential is one key in it.
type credential struct {
	id, handle []byte
	alg        int
	signer     crypto.Signer
	counter    uint32
}

func newAuthenticator(t *testing.T) *authenticator {
	return &authenticator{
		T: t, origin: "https://login.test:8443", rpID: "login.test", flags: flagUP | flagUV, alg: es256, format: "none", statement: map[string]any{},
	}
}

// options is what we read of both kinds of options.
type options struct {
	PublicKey struct {
		Challenge string `json:"challenge"`
		RPID      string `json:"rpId"`
		RP        struct {
			ID string `json:"id"`
		} `json:"rp"`
		User struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"user"`
		Params []struct {
			Alg int `json:"alg"`
		} `json:"pubKeyCredParams"`
		Allow            []struct{ ID string } `json:"allowCredentials"`
		Exclude          []struct{ ID string } `json:"excludeCredentials"`
		UserVerification string                `json:"userVerification"`
		Attestation      string                `json:"attestation"`
		Selection        map[string]any        `json:"authenticatorSelection"`
	} `json:"publicKey"`
}

func (a *authenticator) read(text []byte) options {
	a.Helper()
	var o options
	if err := json.Unmarshal(text, &o); err != nil {
		a.Fatal(err)
	}
	return o
}

// make makes a credential and returns the browser's answer.
func (a *authenticator) make(text []byte) []byte {
	a.Helper()
	o := a.read(text)
	handle, err := base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID)
	if err != nil {
		a.Fatal(err)
	}
	c := &credential{id: make([]byte, 16), handle: handle, alg: a.alg}
	rand.Read(c.id)
	a.keys = append(a.keys, c)
	return a.answer(o, c, c.make(a.T))
}

// answer is the answer to a registration with that public key.
func (a *authenticator) answer(o options, c *credential, public map[int]any) []byte {
	a.Helper()
	cose, err := webauthncbor.Marshal(public)
	if err != nil {
		a.Fatal(err)
	}
	data := a.data(a.flags|flagAT, c.counter)
	data = append(data, make([]byte, 16)...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(c.id)))
	data = append(append(data, c.id...), cose...)
	object, err := webauthncbor.Marshal(map[string]any{"fmt": a.format, "attStmt": a.statement, "authData": data})
	if err != nil {
		a.Fatal(err)
	}
	return a.response(c.id, map[string]any{
		"clientDataJSON": b64(a.client("webauthn.create", o)), "attestationObject": b64(object), "transports": []string{"internal"},
	})
}

// sign answers an authentication with c.
func (a *authenticator) sign(text []byte, c *credential) []byte {
	a.Helper()
	o := a.read(text)
	client, data := a.client("webauthn.get", o), a.data(a.flags, c.counter)
	sum := sha256.Sum256(client)
	return a.response(c.id, map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "userHandle": b64(c.handle),
		"signature": b64(c.sign(a.T, append(data, sum[:]...))),
	})
}

func (a *authenticator) response(id []byte, response map[string]any) []byte {
	a.Helper()
	text, err := json.Marshal(map[string]any{
		"id": b64(id), "rawId": b64(id), "type": "public-key", "response": response, "clientExtensionResults": map[string]any{},
	})
	if err != nil {
		a.Fatal(err)
	}
	return text
}

func (a *authenticator) client(kind string, o options) []byte {
	a.Helper()
	challenge := o.PublicKey.Challenge
	if a.clientType != "" {
		kind = a.clientType
	}
	if a.challenge != "" {
		challenge = a.challenge
	}
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": a.crossOrigin})
	if err != nil {
		a.Fatal(err)
	}
	return text
}

func (a *authenticator) data(flags byte, counter uint32) []byte {
	hash := sha256.Sum256([]byte(a.rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), counter)
}

// make makes the key pair and returns the public half in COSE (RFC 9053).
func (c *credential) make(t *testing.T) map[int]any {
	t.Helper()
	var err error
	switch c.alg {
	case es256, es384:
		curve, id := elliptic.P256(), 1
		if c.alg == es384 {
			curve, id = elliptic.P384(), 2
		}
		var key *ecdsa.PrivateKey
		if key, err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
		c.signer = key
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		half := len(point) / 2
		return map[int]any{1: 2, 3: c.alg, -1: id, -2: point[1 : 1+half], -3: point[1+half:]}
	case eddsa:
		public, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c.signer = key
		return map[int]any{1: 1, 3: c.alg, -1: 6, -2: []byte(public)}
	default:
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		c.signer = key
		return map[int]any{1: 3, 3: c.alg, -1: key.N.Bytes(), -2: []byte{1, 0, 1}}
	}
}

func (c *credential) sign(t *testing.T, data []byte) []byte {
	t.Helper()
	digest, how := data, crypto.Hash(0)
	switch c.alg {
	case es256, rs256:
		sum := sha256.Sum256(data)
		digest, how = sum[:], crypto.SHA256
	case es384:
		sum := sha512.Sum384(data)
		digest, how = sum[:], crypto.SHA384
	}
	sig, err := c.signer.Sign(rand.Reader, digest, how)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
