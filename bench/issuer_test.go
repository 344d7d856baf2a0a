package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	i, err := openIssuer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.close)
	return i
}

func TestTokensAreSignedByThePublishedKey(t *testing.T) {
	i := newIssuer(t)
	token, err := i.accessToken("program-1")
	if err != nil {
		t.Fatal(err)
	}
	a, err := send(t.Context(), http.MethodGet, i.url+"/keys", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []struct{ Kid, N string } }
	if err := json.Unmarshal([]byte(a.body), &set); err != nil || set.Keys[0].Kid != tokenKey {
		t.Fatalf("keys = %s %v", a.body, err)
	}
	n, _ := base64.RawURLEncoding.DecodeString(set.Keys[0].N)
	at := strings.LastIndex(token, ".")
	signature, _ := base64.RawURLEncoding.DecodeString(token[at+1:])
	sum := sha256.Sum256([]byte(token[:at]))
	if err := rsa.VerifyPKCS1v15(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: 65537}, crypto.SHA256, sum[:], signature); err != nil {
		t.Errorf("token %s: %v", token, err)
	}
}

func TestNoTwoTokensAreEqual(t *testing.T) {
	i := newIssuer(t)
	a, err1 := i.accessToken("program-1")
	b, err2 := i.accessToken("program-1")
	if err1 != nil || err2 != nil || a == b {
		t.Errorf("tokens of one subject: equal = %v, %v %v", a == b, err1, err2)
	}
}

func TestTheTokenKeyIsKept(t *testing.T) {
	first := newIssuer(t)
	second, err := openIssuer()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.close)
	if !first.rsa.Equal(second.rsa) {
		t.Error("the next run has another key: kept tokens are worth nothing")
	}
}

func TestACodeWorksOnce(t *testing.T) {
	i := newIssuer(t)
	code := i.approve("person-1", "n1")
	for _, want := range []int{http.StatusOK, http.StatusBadRequest} {
		req := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(url.Values{"code": {code}}.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		i.exchange(rec, req)
		if rec.Code != want {
			t.Errorf("exchange = %d, want %d", rec.Code, want)
		}
	}
}

// The example of RFC 6455 §1.3.
func TestSocketHandshake(t *testing.T) {
	if got := socketAccept("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("socketAccept = %s", got)
	}
}
