package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"sync/atomic"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/session"
)

const (
	// assertionLife is how long an assertion is valid: long enough for clocks
	// that differ and short enough that a stolen one is soon worthless.
	assertionLife = 120 * time.Second
	// assertionReuse is how long the same one is sent; after that a new one is
	// signed, so that an application always has this much time left.
	assertionReuse = assertionLife / 2
	// maxAssertion bounds the header.
	maxAssertion = 8 << 10
)

var (
	// ErrExpired means that the credential has ended, and with it what could
	// be asserted on its account.
	ErrExpired = errors.New("the credential has expired")
	// ErrTooLong means that not even the shortest assertion fits in a header.
	ErrTooLong = errors.New("the assertion is longer than 8 KiB")
	// ErrKey means that a key is no ES256 key named by a UUID.
	ErrKey = errors.New("assertion keys are ES256 with a UUID as key id")
)

// Signer makes the signed statement of who is asking: a compact JWS in the
// shape of the x-amzn-oidc-data of an AWS application load balancer. Header:
// typ, kid, alg, iss, client, signer, exp, in this order. Payload: the claims
// of userinfo with exp, iss and aud. Both are padded with spaces so that their
// base64url needs no "=": readers that demand padding and readers that refuse
// it both accept them.
//
// Its keys sign nothing else, and nothing else signs assertions. It remembers
// none: that is for who knows how long the credential is believed. It is safe for
// concurrent use.
type Signer struct {
	signer string
	keys   atomic.Pointer[published]
}

// Assertion is a signed statement and how long it may be sent.
type Assertion struct {
	// Token is the compact JWS.
	Token string
	// Until is when another one must be made: an application always has a while
	// left of what it gets.
	Until time.Time

	keys *published
}

// published are the keys of one generation; the first signs.
type published struct {
	signing *jose.Key
	pem     map[string][]byte
	jwks    []byte
}

// NewSigner returns a Signer. signer is the ARN of its assertions, see ALB.
// keys are newest first: the first signs, the others are still published for
// what they have signed. It returns ErrKey for any other kind of key.
func NewSigner(signer string, keys []*jose.Key) (*Signer, error) {
	s := &Signer{signer: signer}
	if err := s.SetKeys(keys); err != nil {
		return nil, err
	}
	return s, nil
}

// DefaultSigner returns the ARN that is used where the configuration names
// none: of a region that AWS does not have, and of a load balancer named after
// the public URL, so that no two gateways share it.
func DefaultSigner(public *url.URL) string {
	sum := sha256.Sum256([]byte(public.Scheme + "://" + public.Host))
	return "arn:aws:elasticloadbalancing:xx-gatehouse-1:000000000000:loadbalancer/app/gatehouse/" +
		hex.EncodeToString(sum[:8])
}

// uuid is what aws-jwt-verify takes as the kid of a load balancer.
var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// SetKeys replaces the keys, newest first, after a rotation. Assertions are
// signed with the first from now on.
func (s *Signer) SetKeys(keys []*jose.Key) error {
	if len(keys) == 0 {
		return fmt.Errorf("set assertion keys: none given: %w", ErrKey)
	}
	p := &published{signing: keys[0], pem: map[string][]byte{}}
	var public []*jose.PublicKey
	for _, k := range keys {
		if k.Alg != jose.ES256 || !uuid.MatchString(k.ID) {
			return fmt.Errorf("set assertion key %q: %w", k.ID, ErrKey)
		}
		public = append(public, k.Public())
		p.pem[k.ID] = k.Public().PEM()
	}
	jwks, err := json.Marshal(jose.NewKeySet(public...))
	if err != nil {
		return fmt.Errorf("marshal assertion keys: %w", err)
	}
	p.jwks = jwks
	s.keys.Store(p)
	return nil
}

// PEM returns the public key named kid as SubjectPublicKeyInfo in PEM; false
// when there is none. The bytes are shared: nobody may write to them.
func (s *Signer) PEM(kid string) ([]byte, bool) {
	pem, ok := s.keys.Load().pem[kid]
	return pem, ok
}

// JWKS returns all public keys as a JWK Set (RFC 7517 §5). The bytes are
// shared: nobody may write to them.
func (s *Signer) JWKS() []byte { return s.keys.Load().jwks }

// Sign returns an assertion about id for one upstream. It is valid for two
// minutes from now, but never longer than the credential, and may be sent for one
// minute, as long as the same key signs. It returns ErrExpired for an id that has
// ended and ErrTooLong.
func (s *Signer) Sign(id *session.Identity, audience string, now time.Time) (Assertion, error) {
	if !now.Before(id.Expires) {
		return Assertion{}, ErrExpired
	}
	keys := s.keys.Load()
	claims := userinfo(id)
	claims["iss"], claims["aud"] = id.Issuer, audience
	a, err := s.sign(keys.signing, id, claims, now)
	a.keys = keys
	return a, err
}

// albHeader is the protected header; the order of its fields is that of an
// application load balancer.
type albHeader struct {
	Typ    string `json:"typ"`
	Kid    string `json:"kid"`
	Alg    string `json:"alg"`
	Iss    string `json:"iss"`
	Client string `json:"client"`
	Signer string `json:"signer"`
	Exp    int64  `json:"exp"`
}

func (s *Signer) sign(key *jose.Key, id *session.Identity, claims map[string]any, now time.Time) (Assertion, error) {
	expires, until := now.Add(assertionLife), now.Add(assertionReuse)
	if id.Expires.Before(expires) {
		expires = id.Expires
	}
	if expires.Before(until) {
		until = expires
	}
	claims["exp"] = expires.Unix()
	header, err := json.Marshal(albHeader{
		Typ: "JWT", Kid: key.ID, Alg: string(key.Alg), Iss: id.Issuer, Client: id.ClientID,
		Signer: s.signer, Exp: expires.Unix(),
	})
	if err != nil {
		return Assertion{}, fmt.Errorf("marshal header of the assertion: %w", err)
	}
	for _, said := range []map[string]any{claims, core(claims)} {
		payload, err := json.Marshal(said)
		if err != nil {
			return Assertion{}, fmt.Errorf("marshal claims of the assertion: %w", err)
		}
		token, err := jose.SignPayload(key, pad(ascii(header)), pad(payload))
		if err != nil {
			return Assertion{}, fmt.Errorf("sign assertion: %w", err)
		}
		if len(token) <= maxAssertion {
			return Assertion{Token: token, Until: until}, nil
		}
	}
	return Assertion{}, ErrTooLong
}

// protocol are claims that say something about a token and not about a person.
var protocol = map[string]bool{
	"iss": true, "aud": true, "exp": true, "iat": true, "nbf": true, "jti": true, "nonce": true,
	"at_hash": true, "c_hash": true, "s_hash": true, "auth_time": true, "azp": true, "sid": true,
	"acr": true, "amr": true, "typ": true, "token_use": true, "origin_jti": true, "event_id": true,
	"client_id": true, "scope": true, "scp": true, "version": true, "cnf": true, "act": true, "may_act": true,
	"device_key": true,
}

// userinfo returns the claims about a person, as a userinfo endpoint would. An
// e-mail address that nobody verified is left out: applications take it for
// the name of an account.
func userinfo(id *session.Identity) map[string]any {
	claims := maps.Clone(id.Claims)
	if claims == nil {
		claims = map[string]any{}
	}
	maps.DeleteFunc(claims, func(name string, _ any) bool {
		return protocol[name] || !id.Listed && authority[name] || !jose.ValidClaimName(name)
	})
	claims["sub"] = id.Subject
	delete(claims, "email")
	delete(claims, "email_verified")
	if id.Email != "" && id.EmailVerified {
		claims["email"], claims["email_verified"] = id.Email, true
	}
	if id.Username != "" {
		claims["username"] = id.Username
	}
	if id.Name != "" {
		claims["name"] = id.Name
	}
	return claims
}

// core returns the claims without which an assertion says nothing; it is sent
// when all of them do not fit.
func core(claims map[string]any) map[string]any {
	small := map[string]any{}
	for _, name := range []string{"sub", "iss", "aud", "exp", "email", "email_verified", "username", "name"} {
		if v, ok := claims[name]; ok {
			small[name] = v
		}
	}
	return small
}

// pad returns a JSON object with spaces before its closing brace, so that its
// length is a multiple of three.
func pad(object []byte) []byte {
	end := len(object) - 1
	padded := append([]byte{}, object[:end]...)
	for len(padded)%3 != 2 {
		padded = append(padded, ' ')
	}
	return append(padded, '}')
}

// ascii returns JSON text with \u escapes for all that is not ASCII; some
// readers take a token's header for bytes.
func ascii(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch {
		case r < 0x80:
			out = append(out, byte(r))
		case r > 0xffff:
			r -= 0x10000
			out = fmt.Appendf(out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
