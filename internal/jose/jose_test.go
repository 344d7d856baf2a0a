package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwt"
)

var b64 = base64.RawURLEncoding.EncodeToString

func mustKey(t testing.TB, alg Alg, id string) *Key {
	t.Helper()
	k, err := GenerateKey(alg, id)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSign(t testing.TB, k *Key, header, claims map[string]any) string {
	t.Helper()
	token, err := Sign(k, header, claims)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestEachAlgorithmSignsAndVerifies(t *testing.T) {
	for _, alg := range Algs() {
		k := mustKey(t, alg, "k1")
		token := mustSign(t, k, map[string]any{"typ": "at+jwt"}, map[string]any{"sub": "alice", "n": 9007199254740993, "cognito:groups": []string{"a"}})
		got, err := Verify(token, NewKeySet(k.Public()), alg)
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if got.Header["typ"] != "at+jwt" || got.Header["kid"] != "k1" || got.Header["alg"] != string(alg) {
			t.Errorf("%s: header %v", alg, got.Header)
		}
		if got.Claims["n"] != json.Number("9007199254740993") {
			t.Errorf("%s: a large number lost digits: %v", alg, got.Claims["n"])
		}
		der, err := k.MarshalPKCS8()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePKCS8("k1", alg, der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(mustSign(t, again, nil, map[string]any{}), NewKeySet(k.Public()), alg); err != nil {
			t.Errorf("%s: a stored key signs differently: %v", alg, err)
		}
		if s := fmt.Sprintf("%v %+v %#v", k, k, k); strings.Contains(s, "private") || len(s) > 100 {
			t.Errorf("%s: a key prints as %q", alg, s)
		}
	}
}

// TestClaimNameCannotInject holds the reason why no jwx builder is used: first
// that the hole is real, then that it is closed here (GHSA-4cf7-xm37-g63h).
func TestClaimNameCannotInject(t *testing.T) {
	const evil = `x":0,"admin`
	built, err := jwt.NewBuilder().Claim("sub", "u").Claim(evil, true).Build()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(built)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(`"admin":true`)) {
		t.Logf("the builder of jwx no longer injects: %s", text)
	}
	k := mustKey(t, ES256, "k")
	for _, name := range []string{evil, "", " x", "a b", "a\"", "a\\u0022", "ä", "-x", strings.Repeat("x", 129), "x\x00"} {
		_, err := Sign(k, nil, map[string]any{"sub": "u", name: true})
		wantErr(t, fmt.Sprintf("claim %q", name), err, ErrClaimName)
		_, err = Sign(k, map[string]any{name: "v"}, map[string]any{"sub": "u"})
		wantErr(t, fmt.Sprintf("header %q", name), err, ErrClaimName)
	}
	for _, name := range []string{"alg", "kid", "crit", "b64"} {
		_, err := Sign(k, map[string]any{name: "none"}, nil)
		wantErr(t, "header "+name, err, ErrClaimName)
	}
	// A hostile name below the top is a string like any other.
	token := mustSign(t, k, nil, map[string]any{"sub": "u", "nested": map[string]any{evil: true}})
	got, err := Verify(token, NewKeySet(k.Public()), ES256)
	if err != nil {
		t.Fatal(err)
	}
	if _, injected := got.Claims["nested"].(map[string]any)["admin"]; injected || got.Claims["admin"] != nil {
		t.Errorf("claims were injected: %v", got.Claims)
	}
}

// hand builds a token from a raw header and signature function.
func hand(header, payload string, sign func([]byte) []byte) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	var sig []byte
	if sign != nil {
		sig = sign([]byte(input))
	}
	return input + "." + b64(sig)
}

func rs256(k *Key) func([]byte) []byte {
	return func(in []byte) []byte {
		sum := sha256.Sum256(in)
		sig, err := k.private.Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			panic(err)
		}
		return sig
	}
}

func TestAlgNoneIsRefused(t *testing.T) {
	k := mustKey(t, RS256, "k")
	set := NewKeySet(k.Public())
	good := rs256(k)
	for _, alg := range []string{`"alg":"none",`, `"alg":"None",`, `"alg":"NONE",`, `"alg":"nOnE",`, `"alg":"",`, ``, `"alg":null,`, `"alg":["RS256"],`, `"alg":"RS256 ",`, `"alg":"rs256",`} {
		for _, sign := range []func([]byte) []byte{nil, good} {
			token := hand(`{`+alg+`"kid":"k"}`, `{"sub":"alice"}`, sign)
			if sign == nil {
				// Both spellings of no signature.
				_, err := Verify(strings.TrimSuffix(token, "."), set, Algs()...)
				wantErr(t, "two parts, "+alg, err, ErrMalformed)
			}
			if _, err := Verify(token, set, Algs()...); err == nil {
				t.Errorf("accepted %s", alg)
			}
		}
	}
}

func TestPublicKeyIsNoHMACSecret(t *testing.T) {
	for _, alg := range Algs() {
		k := mustKey(t, alg, "k")
		pub := k.Public()
		block, _ := pem.Decode(pub.PEM())
		jwkText, _ := json.Marshal(pub.jwk())
		secrets := map[string][]byte{"pem": pub.PEM(), "trimmed pem": bytes.TrimSpace(pub.PEM()), "der": block.Bytes, "jwk": jwkText}
		if r, ok := pub.key.(*rsa.PublicKey); ok {
			secrets["modulus"] = r.N.Bytes()
			secrets["pkcs1"] = x509.MarshalPKCS1PublicKey(r)
		}
		for name, secret := range secrets {
			for _, claimed := range []string{"HS256", "HS384", string(alg)} {
				token := hand(`{"alg":"`+claimed+`","kid":"k"}`, `{"sub":"admin"}`, func(in []byte) []byte {
					m := hmac.New(sha256.New, secret)
					m.Write(in)
					return m.Sum(nil)
				})
				if _, err := Verify(token, NewKeySet(pub), Algs()...); err == nil {
					t.Errorf("%s: accepted an HMAC under the %s as %s", alg, name, claimed)
				}
			}
		}
	}
}

func TestHeaderChoosesNoKey(t *testing.T) {
	k, evil := mustKey(t, RS256, "k"), mustKey(t, RS256, "evil")
	jwkText, _ := json.Marshal(evil.Public().jwk())
	for _, extra := range []string{
		`"jwk":` + string(jwkText), `"jku":"http://127.0.0.1:1/jwks"`, `"x5u":"http://127.0.0.1:1/x"`, `"x5c":["MIIB"]`,
	} {
		for _, kid := range []string{"k", "evil", "../../dev/null", "' OR 1=1"} {
			token := hand(`{"alg":"RS256","kid":"`+kid+`",`+extra+`}`, `{"sub":"admin"}`, rs256(evil))
			if _, err := Verify(token, NewKeySet(k.Public()), RS256); err == nil {
				t.Errorf("accepted a key from the header: %s", extra)
			}
		}
	}
}

func TestWrongSignaturesAreRefused(t *testing.T) {
	ec := mustKey(t, ES256, "k")
	set := NewKeySet(ec.Public())
	header, payload := `{"alg":"ES256","kid":"k"}`, `{"sub":"admin"}`
	refuse := func(what string, sign func([]byte) []byte) {
		t.Helper()
		_, err := Verify(hand(header, payload, sign), set, ES256)
		if err == nil {
			t.Errorf("accepted %s", what)
		}
	}
	refuse("r = s = 0", func([]byte) []byte { return make([]byte, 64) })
	n := elliptic.P256().Params().N
	refuse("r = s = n", func([]byte) []byte { return append(n.FillBytes(make([]byte, 32)), n.FillBytes(make([]byte, 32))...) })
	der := func(in []byte) []byte {
		sum := sha256.Sum256(in)
		sig, _ := ecdsa.SignASN1(rand.Reader, ec.private.(*ecdsa.PrivateKey), sum[:])
		return sig
	}
	refuse("a DER signature", der)
	raw := func(in []byte) []byte {
		sum := sha256.Sum256(in)
		r, s, _ := ecdsa.Sign(rand.Reader, ec.private.(*ecdsa.PrivateKey), sum[:])
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	if _, err := Verify(hand(header, payload, raw), set, ES256); err != nil {
		t.Fatalf("the control does not verify: %v", err)
	}
	refuse("one byte too many", func(in []byte) []byte { return append(raw(in), 0) })
	refuse("one byte too few", func(in []byte) []byte { return raw(in)[:63] })

	rk := mustKey(t, RS256, "k")
	pss := hand(`{"alg":"RS256","kid":"k"}`, payload, func(in []byte) []byte {
		sum := sha256.Sum256(in)
		sig, _ := rsa.SignPSS(rand.Reader, rk.private.(*rsa.PrivateKey), crypto.SHA256, sum[:], nil)
		return sig
	})
	if _, err := Verify(pss, NewKeySet(rk.Public()), RS256); err == nil {
		t.Error("accepted a PSS signature as RS256")
	}
	// The algorithm of the key, not of the header.
	swapped := hand(`{"alg":"ES256","kid":"k"}`, payload, rs256(rk))
	_, err := Verify(swapped, NewKeySet(rk.Public()), RS256, ES256)
	wantErr(t, "RSA key under ES256", err, ErrAlg)
	_, err = Verify(hand(`{"alg":"RS256","kid":"k"}`, payload, rs256(rk)), NewKeySet(rk.Public()), ES256)
	wantErr(t, "algorithm not asked for", err, ErrAlg)
}

func TestUnusableKeysAreSkipped(t *testing.T) {
	good := mustKey(t, ES256, "good")
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	num := func(n *big.Int) string { return b64(n.Bytes()) }
	member := func(k *Key, name, value string) string {
		m := map[string]any{}
		for n, v := range k.Public().jwk() {
			m[n] = v
		}
		var v any
		_ = json.Unmarshal([]byte(value), &v)
		m[name], m["kid"] = v, name
		text, _ := json.Marshal(m)
		return string(text)
	}
	goodText, _ := json.Marshal(good.Public().jwk())
	jwks := `{"keys":[` + strings.Join([]string{
		string(goodText),
		`{"kty":"oct","kid":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}`,
		`{"kty":"EC","crv":"P-384","kid":"p384","x":"` + num(p384.X) + `","y":"` + num(p384.Y) + `"}`,
		`{"kty":"EC","crv":"P-256","kid":"off","x":"` + b64(make([]byte, 32)) + `","y":"` + b64(make([]byte, 32)) + `"}`,
		`{"kty":"RSA","kid":"small","n":"` + num(small.N) + `","e":"AQAB"}`,
		`{"kty":"RSA","kid":"e1","n":"` + num(mustKey(t, RS256, "x").private.(*rsa.PrivateKey).N) + `","e":"AQ"}`,
		`{"kty":"RSA","kid":"none"}`, `{"kty":"XXX"}`, `7`, `null`, `{}`,
		member(good, "use", `"enc"`), member(good, "key_ops", `["sign"]`), member(good, "alg", `"ES384"`),
		member(good, "d", `"AAAA"`), member(good, "kty", `"RSA"`),
	}, ",") + `]}`
	set, err := ParseKeySet([]byte(jwks))
	if err != nil {
		t.Fatal(err)
	}
	if set.Len() != 1 || set.Keys()[0].ID != "good" {
		for _, k := range set.Keys() {
			t.Errorf("kept key %q (%s)", k.ID, k.Alg)
		}
	}
	for _, text := range []string{`[]`, `{}`, `{"keys":null}`, `<html>`, ``, `{"keys":{}}`} {
		_, err := ParseKeySet([]byte(text))
		wantErr(t, text, err, ErrKeySet)
	}
	_, err = ParseKeySet([]byte(`{"keys":[` + strings.Repeat(`{},`, 50) + `{}]}`))
	wantErr(t, "51 keys", err, ErrKeySet)
	_, err = ParseKeySet([]byte(`{"keys":[]}` + strings.Repeat(" ", MaxKeySet)))
	wantErr(t, "too long", err, ErrKeySet)
}

func TestKeySetRoundTrip(t *testing.T) {
	a, b, c := mustKey(t, RS256, "a"), mustKey(t, ES256, "b"), mustKey(t, EdDSA, "c")
	text, err := json.Marshal(NewKeySet(a.Public(), b.Public(), c.Public()))
	if err != nil {
		t.Fatal(err)
	}
	set, err := ParseKeySet(text)
	if err != nil || set.Len() != 3 {
		t.Fatalf("%d keys, %v, from %s", set.Len(), err, text)
	}
	for _, k := range []*Key{a, b, c} {
		if _, err := Verify(mustSign(t, k, nil, map[string]any{"sub": "x"}), set, Algs()...); err != nil {
			t.Errorf("%s: %v", k.Alg, err)
		}
	}
}

func TestTokenWithoutKid(t *testing.T) {
	a, b := mustKey(t, ES256, "a"), mustKey(t, ES256, "b")
	noKid := hand(`{"alg":"ES256"}`, `{}`, func(in []byte) []byte {
		sum := sha256.Sum256(in)
		r, s, _ := ecdsa.Sign(rand.Reader, a.private.(*ecdsa.PrivateKey), sum[:])
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	})
	if _, err := Verify(noKid, NewKeySet(a.Public()), ES256); err != nil {
		t.Errorf("the only key: %v", err)
	}
	_, err := Verify(noKid, NewKeySet(a.Public(), b.Public()), ES256)
	wantErr(t, "one of two keys", err, ErrKey)
	_, err = Verify(noKid, nil, ES256)
	wantErr(t, "no key set", err, ErrKey)
}

func TestOneTokenHasOneSpelling(t *testing.T) {
	k := mustKey(t, ES256, "k")
	set := NewKeySet(k.Public())
	token := mustSign(t, k, nil, map[string]any{"sub": "alice", "x": "yz"})
	if _, err := Verify(token, set, ES256); err != nil {
		t.Fatal(err)
	}
	for i := range token {
		for _, c := range []byte{token[i] ^ 1, token[i] ^ 2, '\n', '=', '+', '.'} {
			if c == token[i] {
				continue
			}
			changed := token[:i] + string(c) + token[i+1:]
			if _, err := Verify(changed, set, ES256); err == nil {
				t.Fatalf("accepted byte %d changed to %q", i, c)
			}
		}
		if _, err := Verify(token[:i], set, ES256); err == nil {
			t.Fatalf("accepted the first %d bytes", i)
		}
	}
	for _, variant := range []string{token + "=", token + "\n", token + ".", "." + token, " " + token, strings.Replace(token, ".", ".\n", 1), token + "A"} {
		_, err := Verify(variant, set, ES256)
		if err == nil {
			t.Errorf("accepted another spelling %q", variant)
		}
	}
}

func TestOddShapesAreMalformed(t *testing.T) {
	k := mustKey(t, RS256, "k")
	set, sign := NewKeySet(k.Public()), rs256(k)
	for _, header := range []string{
		`{"alg":"RS256","kid":"k","crit":["exp"]}`, `{"alg":"RS256","kid":"k","crit":[]}`,
		`{"alg":"RS256","kid":"k","b64":false}`, `{"alg":"RS256","kid":"k","b64":false,"crit":["b64"]}`,
		`{"alg":"RS256","kid":"k","zip":"DEF"}`, `{"alg":"RS256","alg":"RS256","kid":"k"}`,
		`{"alg":"RS256","kid":7}`, `{"alg":"RS256","kid":""}`, `["alg"]`, `null`, ``, `{"alg":"RS256","kid":"k"}x`,
	} {
		_, err := Verify(hand(header, `{}`, sign), set, RS256)
		wantErr(t, "header "+header, err, ErrMalformed)
	}
	for _, payload := range []string{`[]`, `"x"`, `null`, ``, `{"sub":"a","sub":"b"}`, `{}{}`, `{} x`, `{"a":1}]`, `{`} {
		_, err := Verify(hand(`{"alg":"RS256","kid":"k"}`, payload, sign), set, RS256)
		wantErr(t, "payload "+payload, err, ErrMalformed)
	}
	long := hand(`{"alg":"RS256","kid":"k"}`, `{"x":"`+strings.Repeat("x", MaxToken)+`"}`, sign)
	_, err := Verify(long, set, RS256)
	wantErr(t, "long token", err, ErrMalformed)

	start := time.Now()
	for _, jwe := range []string{
		b64([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2000000000,"p2s":"AAAA"}`)) + ".AAAA.AAAA.AAAA.AAAA",
		b64([]byte(`{"alg":"dir","enc":"A128GCM","zip":"DEF"}`)) + "..AAAA.AAAA.AAAA",
		`{"payload":"e30","signatures":[]}`, `{"payload":"e30","protected":"e30","signature":""}`, "", ".", "..", "a.b.c",
	} {
		_, err := Verify(jwe, set, Algs()...)
		wantErr(t, jwe, err, ErrMalformed)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("refusing encrypted tokens took %v", took)
	}
}

func TestSignPayloadSignsExactBytes(t *testing.T) {
	k := mustKey(t, ES256, "k")
	header, payload := []byte(`{"typ":"JWT", "kid":"k","alg":"ES256"}`), []byte(`{"b":1,  "a":2}`)
	token, err := SignPayload(k, header, payload)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(token, b64(header)+"."+b64(payload)+".") {
		t.Errorf("the bytes were changed: %s", token)
	}
	if _, err := Verify(token, NewKeySet(k.Public()), ES256); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{`{"kid":"other","alg":"ES256"}`, `{"kid":"k","alg":"none"}`, `{"kid":"k"}`, `x`} {
		if _, err := SignPayload(k, []byte(bad), payload); err == nil {
			t.Errorf("signed under header %s", bad)
		}
	}
	if _, err := SignPayload(k, header, []byte(`{"a":1,"a":2}`)); err == nil {
		t.Error("signed a payload with a doubled member")
	}
}

func TestKeysThatDoNotFitAreRefused(t *testing.T) {
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	der, _ := x509.MarshalPKCS8PrivateKey(small)
	_, err := ParsePKCS8("k", RS256, der)
	wantErr(t, "RSA 1024", err, ErrUnusableKey)
	der, _ = mustKey(t, ES256, "k").MarshalPKCS8()
	_, err = ParsePKCS8("k", RS256, der)
	wantErr(t, "P-256 as RS256", err, ErrUnusableKey)
	if _, err := GenerateKey("HS256", "k"); !errors.Is(err, ErrAlg) {
		t.Errorf("GenerateKey(HS256): %v", err)
	}
	if _, err := GenerateKey(ES256, ""); err == nil {
		t.Error("made a key without an id")
	}
}

func FuzzParse(f *testing.F) {
	k := mustKey(f, ES256, "k")
	set := NewKeySet(k.Public())
	f.Add(mustSign(f, k, nil, map[string]any{"sub": "a"}))
	f.Add("e30.e30.AAAA")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := Parse(s)
		if err != nil {
			return
		}
		// Whatever parses is the only spelling of its bytes.
		if string(u.signed)+"."+b64(u.signature) != s {
			t.Errorf("%q parses as another spelling", s)
		}
		_, _ = u.Verify(set, Algs()...)
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range Algs() {
		k := mustKey(b, alg, "k")
		token := mustSign(b, k, nil, map[string]any{"sub": "7d1b0e1e", "iss": "https://login.example.com", "token_use": "access", "exp": 1900000000, "scope": "openid orders.read"})
		set := NewKeySet(k.Public())
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Verify(token, set, alg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestKeySetsAreEqualOnlyWithTheSameKeys(t *testing.T) {
	key := func(id string) *PublicKey {
		k, err := GenerateKey(EdDSA, id)
		if err != nil {
			t.Fatal(err)
		}
		return k.Public()
	}
	a, b, c, other := key("a"), key("b"), key("c"), key("d")
	c.ID, other.ID = "", "" // as in a set of somebody who names none
	again := *a
	again.ID = "z"
	for name, pair := range map[string]struct {
		one, two *KeySet
		equal    bool
	}{
		"the same":               {NewKeySet(a, b), NewKeySet(a, b), true},
		"another order":          {NewKeySet(a, b), NewKeySet(b, a), true},
		"one more":               {NewKeySet(a), NewKeySet(a, b), false},
		"another":                {NewKeySet(a), NewKeySet(b), false},
		"another name":           {NewKeySet(a), NewKeySet(&again), false},
		"one twice, without kid": {NewKeySet(c, c), NewKeySet(c, other), false},
		"nil":                    {nil, NewKeySet(a), false},
		"both nil":               {nil, nil, true},
	} {
		if got := pair.one.Equal(pair.two); got != pair.equal {
			t.Errorf("%s: %t, want %t", name, got, pair.equal)
		}
		if got := pair.two.Equal(pair.one); got != pair.equal {
			t.Errorf("%s, turned round: %t, want %t", name, got, pair.equal)
		}
	}
}
