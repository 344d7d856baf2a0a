package mfa

import "slices"

// Kind is a kind of second factor, as it stands in configuration and rows.
type Kind string

// The kinds. Recovery codes stand in for a factor that is lost and are never the
// only one.
const (
	TOTP     Kind = "totp"
	Email    Kind = "email"
	SMS      Kind = "sms"
	Passkey  Kind = "passkey"
	Recovery Kind = "recovery"
)

// kinds has every kind, the most resistant to phishing first: the order in which
// they are offered.
var kinds = []Kind{Passkey, TOTP, SMS, Email, Recovery}

// strong reports whether a person with this factor has a second factor.
func (k Kind) strong() bool { return k != Recovery }

// sent reports whether codes of this kind are sent.
func (k Kind) sent() bool { return k == Email || k == SMS }

// ACR is the acr value that says that a second factor was shown: the REFEDS MFA
// profile, which the gateway asks for as well.
const ACR = "https://refeds.org/profile/mfa"

// The amr values of ours (RFC 8176 §2).
const (
	amrPassword = "pwd"
	amrMFA      = "mfa"
)

// AMR returns the RFC 8176 value of the kind by itself:
//
//   - totp, email and recovery are "otp": a one-time password, whatever brought
//     it. A recovery code is none of "kba", which is what a person knows.
//   - sms is "sms".
//   - passkey is "pop", proof of possession of a key: "hwk" and "swk" would say
//     where the key is kept, which nobody knows without attestation.
func (k Kind) AMR() string {
	switch k {
	case SMS:
		return "sms"
	case Passkey:
		return "pop"
	}
	return "otp"
}

// Proof is a factor that was just shown.
type Proof struct {
	// UserID is whose it is.
	UserID string
	Kind   Kind
	// Verified is true when a passkey has verified the person, by PIN, finger or
	// face.
	Verified bool
	// Left is how many recovery codes are left, when Kind is Recovery.
	Left int
}

// AMR returns the amr of a sign-in that began with first ("pwd", or nothing for
// a passkey alone) and then showed proof: the values of both and, if together
// they are more than one factor, "mfa". A remembered device adds nothing: amr
// tells what was done now.
func AMR(first []string, proof Proof) []string {
	amr := slices.Clone(first)
	add := func(v string) {
		if !slices.Contains(amr, v) {
			amr = append(amr, v)
		}
	}
	knows := slices.Contains(first, amrPassword)
	add(proof.Kind.AMR())
	if proof.Verified {
		add("user")
	}
	if knows || proof.Kind == Passkey && proof.Verified {
		add(amrMFA)
	}
	return amr
}

// Satisfies reports whether amr says that more than one factor was shown, and so
// whether [ACR] may stand beside it.
func Satisfies(amr []string) bool { return slices.Contains(amr, amrMFA) }
