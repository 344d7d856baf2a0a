package mfa

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/internal/opaque"
)

const (
	// maxPublicKey fits an RSA key of 4096 bits: a longer one would only cost.
	maxPublicKey = 1024
	// maxCredentialID is from WebAuthn §5.8.3.
	maxCredentialID = 1023
)

// relyingParty returns what verifies passkeys for the issuer; nil at an address
// that can have none.
func relyingParty(issuer *url.URL) *webauthn.WebAuthn {
	if _, err := netip.ParseAddr(issuer.Hostname()); err == nil {
		return nil
	}
	rp, err := webauthn.New(&webauthn.Config{
		RPID:                  issuer.Hostname(),
		RPDisplayName:         issuer.Hostname(),
		RPOrigins:             []string{origin(issuer)},
		AttestationPreference: protocol.PreferNoAttestation,
		// Password managers send outputs that nobody asked for. None is read.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil
	}
	return rp
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// algorithms are those that are taken, the preferred one first: what every
// authenticator has, and what old Windows machines have.
func algorithms() []protocol.CredentialParameter {
	var list []protocol.CredentialParameter
	for _, alg := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256} {
		list = append(list, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg})
	}
	return list
}

// selection asks for a passkey that can be found without a name and verifies the
// person, where people sign in with it alone. It is a wish: a key that can do
// neither is still a second factor.
func (f *Factors) selection() protocol.AuthenticatorSelection {
	rk := protocol.ResidentKeyRequirementDiscouraged
	if f.cfg.PasskeySignIn {
		rk = protocol.ResidentKeyRequirementPreferred
	}
	return protocol.AuthenticatorSelection{ResidentKey: rk, UserVerification: protocol.VerificationPreferred}
}

// holder is a person as the relying party sees one.
type holder struct {
	handle []byte
	name   string
	keys   []webauthn.Credential
	rows   []Credential
}

// WebAuthnID returns the user handle.
func (h *holder) WebAuthnID() []byte { return h.handle }

// WebAuthnName returns what the person signs in with.
func (h *holder) WebAuthnName() string { return h.name }

// WebAuthnDisplayName returns the same.
func (h *holder) WebAuthnDisplayName() string { return h.name }

// WebAuthnCredentials returns the person's passkeys.
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.keys }

// holder reads the passkeys of the person with that state.
func (f *Factors) holder(ctx context.Context, s State, name string) (*holder, error) {
	handle, err := base64.RawURLEncoding.DecodeString(s.Handle)
	if err != nil {
		return nil, fmt.Errorf("read user handle: %w", err)
	}
	h := &holder{handle: handle, name: name}
	if h.rows, err = f.has.Passkeys.List(ctx, s.UserID); err != nil {
		return nil, err
	}
	for _, row := range h.rows {
		var key webauthn.Credential
		if err := json.Unmarshal(row.Data, &key); err != nil {
			return nil, fmt.Errorf("read passkey: %w", err)
		}
		key.Authenticator.SignCount = row.Counter
		h.keys = append(h.keys, key)
	}
	return h, nil
}

// stored returns the row of a credential, without what was only needed once.
func stored(userID string, key *webauthn.Credential) (Credential, error) {
	kept := *key
	kept.Attestation = webauthn.CredentialAttestation{}
	kept.Authenticator.SignCount, kept.Authenticator.CloneWarning = 0, false
	data, err := json.Marshal(kept)
	if err != nil {
		return Credential{}, err
	}
	return Credential{
		ID: opaque.Encode(key.ID), UserID: userID, Data: data, Counter: key.Authenticator.SignCount,
	}, nil
}

// verifyNew verifies the answer to a registration (WebAuthn §7.1).
func (f *Factors) verifyNew(ctx context.Context, c ceremony, response []byte) (*webauthn.Credential, error) {
	if len(response) > MaxResponse {
		return nil, refused("answer is too long")
	}
	state, err := f.has.People.State(ctx, c.UserID)
	if err != nil {
		return nil, fmt.Errorf("verify passkey: %w", err)
	}
	h, err := f.holder(ctx, state, "")
	if err != nil {
		return nil, fmt.Errorf("verify passkey: %w", err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return nil, refused(reason(err))
	}
	data := parsed.Response.AttestationObject.AuthData.AttData
	switch {
	case len(data.CredentialPublicKey) > maxPublicKey:
		return nil, refused("public key is too long")
	case len(data.CredentialID) == 0 || len(data.CredentialID) > maxCredentialID:
		return nil, refused("credential id has a wrong length")
	case parsed.Response.CollectedClientData.Origin != origin(f.has.Issuer):
		return nil, refused("wrong origin")
	}
	key, err := f.rp.CreateCredential(h, c.Session, parsed)
	if err != nil {
		return nil, refused(reason(err))
	}
	return key, nil
}

// verifiedAnswer is a right answer.
type verifiedAnswer struct {
	// row is the passkey as it is stored, key as the answer leaves it.
	row Credential
	key *webauthn.Credential
	// verified is true if the authenticator has verified the person now.
	verified bool
}

// verifyAnswer verifies the answer to an authentication (WebAuthn §7.2).
func (f *Factors) verifyAnswer(ctx context.Context, c ceremony, response []byte) (verifiedAnswer, error) {
	if len(response) > MaxResponse {
		return verifiedAnswer{}, refused("answer is too long")
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return verifiedAnswer{}, refused(reason(err))
	}
	if parsed.Response.CollectedClientData.Origin != origin(f.has.Issuer) {
		return verifiedAnswer{}, refused("wrong origin")
	}
	h, err := f.answering(ctx, c, parsed.Response.UserHandle)
	if err != nil {
		return verifiedAnswer{}, err
	}
	var key *webauthn.Credential
	if c.Kind == ceremonySignIn {
		found := func([]byte, []byte) (webauthn.User, error) { return h, nil }
		_, key, err = f.rp.ValidatePasskeyLogin(found, c.Session, parsed)
	} else {
		key, err = f.rp.ValidateLogin(h, c.Session, parsed)
	}
	if err != nil {
		return verifiedAnswer{}, refused(reason(err))
	}
	a := verifiedAnswer{key: key, verified: parsed.Response.AuthenticatorData.Flags.HasUserVerified()}
	for i, k := range h.keys {
		if bytes.Equal(k.ID, key.ID) {
			a.row = h.rows[i]
		}
	}
	return a, nil
}

// answering returns who answers: the one who was asked, or whoever has the
// handle.
func (f *Factors) answering(ctx context.Context, c ceremony, handle []byte) (*holder, error) {
	var state State
	var err error
	if c.Kind == ceremonySignIn {
		state, err = f.has.People.ByHandle(ctx, opaque.Encode(handle))
	} else {
		state, err = f.has.People.State(ctx, c.UserID)
	}
	if err != nil {
		return nil, unknown(err)
	}
	return f.holder(ctx, state, "")
}
