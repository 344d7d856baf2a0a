package transfer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool/transfer"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/testenv/authenticator"
)

// app is the secret of an authenticator app of elsewhere: 20 bytes.
const app = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

// kinds are the kinds of second factors that somebody has.
func (w *world) kinds(name string) (kinds []mfa.Kind) {
	w.t.Helper()
	set, err := w.factors.Of(w.t.Context(), w.find(name).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range set.Factors {
		kinds = append(kinds, f.Kind)
	}
	return kinds
}

func TestAuthenticatorAppGoesOnWorking(t *testing.T) {
	w := newWorld(t)
	clock := storetest.NewClock()
	var cfg mfa.Config
	cfg.Defaults()
	w.factors = factorsAt(t, w.db, cfg, clock.Now)
	out := w.try("jsonl", `{"username":"zoe","totp":"`+strings.ToLower(app)+`","totp_algorithm":"HmacSHA1","totp_digits":6,"totp_period":30}
{"username":"ann","totp":""}
`, transfer.Options{})
	if out.err != nil || out.Added != 2 || out.Authenticators != 1 {
		t.Fatalf("import = %+v, want one authenticator app", out)
	}
	if got := w.kinds("zoe"); !slices.Equal(got, []mfa.Kind{mfa.TOTP}) || len(w.kinds("ann")) > 0 {
		t.Errorf("factors of zoe = %v, of ann = %v; want the app, and none", got, w.kinds("ann"))
	}
	who := mfa.Person{ID: w.find("zoe").ID, Name: "zoe"}
	check := func(steps int64) error {
		code := authenticator.Code([]byte("12345678901234567890"), clock.At, steps)
		_, err := w.factors.Check(t.Context(), mfa.Reply{Who: who, Kind: mfa.TOTP, Code: code})
		return err
	}
	// Both may have been used where the app comes from.
	for _, ahead := range []int64{0, 1} {
		if err := check(ahead); !errors.Is(err, mfa.ErrWrong) {
			t.Errorf("code of %d steps after the import = %v, want ErrWrong", ahead, err)
		}
	}
	clock.Forward(time.Minute)
	if err := check(0); err != nil {
		t.Errorf("code of a minute later = %v, want it taken", err)
	}
	if storetest.Holds(t, w.db, app) || storetest.Holds(t, w.db, "12345678901234567890") {
		t.Error("the database holds the secret in clear")
	}
}

func TestSecretsAreWrittenOnlyWhenAsked(t *testing.T) {
	from, to := newWorld(t), newWorld(t)
	from.bring("jsonl", crowd(600)+`{"username":"zoe","totp":"`+app+`"}`+"\n")
	if text, _ := from.export("jsonl", true); strings.Contains(text, "totp") {
		t.Error("an export that was not asked for secrets holds one")
	}
	e := from.exporter("jsonl")
	e.Secrets = true
	var text strings.Builder
	if _, err := e.Write(t.Context(), &text); err != nil {
		t.Fatal(err)
	}
	if strings.Count(text.String(), "totp") != 1 || !strings.Contains(text.String(), `"totp":"`+app+`"`) {
		t.Errorf("export holds no secret of zoe, or of others:\n%.300s", text.String())
	}
	to.bring("jsonl", text.String())
	if got := to.kinds("zoe"); !slices.Equal(got, []mfa.Kind{mfa.TOTP}) {
		t.Errorf("factors of zoe after a round trip = %v, want the app", got)
	}

	e = from.exporter("csv")
	e.Secrets = true
	if _, err := e.Write(t.Context(), &text); !errors.Is(err, transfer.ErrSecrets) {
		t.Errorf("csv with secrets = %v, want ErrSecrets", err)
	}
	if _, events := from.count("users.exported"); events != 2 {
		t.Errorf("%d events users.exported, want one for each of 2 exports", events)
	}
}

func TestAlgorithmOfAnAppIsTakenInEverySpelling(t *testing.T) {
	w := newWorld(t)
	clock := storetest.NewClock()
	var cfg mfa.Config
	cfg.Defaults()
	w.factors = factorsAt(t, w.db, cfg, clock.Now)
	var text strings.Builder
	for i, name := range []string{"SHA1", "sha1", "SHA-1", "HmacSHA1", "HMACSHA1"} {
		fmt.Fprintf(&text, `{"username":"u%d","totp":"%s","totp_algorithm":"%s"}`+"\n", i, app, name)
	}
	if out := w.try("jsonl", text.String(), transfer.Options{}); out.err != nil || out.Authenticators != 5 {
		t.Errorf("import = %+v, want 5 authenticator apps", out)
	}
}

func TestAppsOfOtherKindsAreRefused(t *testing.T) {
	w := newWorld(t)
	rows := []struct{ row, want string }{
		{`"totp":"` + app + `","totp_algorithm":"SHA256"`, "totp_algorithm: it is SHA1 here; set the app up anew"},
		{`"totp":"` + app + `","totp_digits":8`, "totp_digits: codes have 6 digits here; set the app up anew"},
		{`"totp":"` + app + `","totp_digits":"6"`, "totp_digits: it is a whole number"},
		{`"totp":"` + app + `","totp_period":60`, "totp_period: codes live 30 seconds here; set the app up anew"},
		{`"totp":"s3cr3t!"`, "totp: it is no Base32"},
		{`"totp":"GEZDGNBVGY3TQOJQ\nGEZDGNBVGY3TQOJQ"`, "totp: it is no Base32"},
		{`"totp":"GEZDGNBVGY3TQOJQ"`, "totp: it has 16 to 64 bytes in Base32"},
		{`"totp":"` + strings.Repeat(app, 4) + `"`, "totp: it has 16 to 64 bytes in Base32"},
		{`"totp":{"secret":"` + app + `"}`, "totp: it is a text in quotes"},
	}
	var text strings.Builder
	var want []string
	for i, r := range rows {
		fmt.Fprintf(&text, `{"username":"u%d",%s}`+"\n", i, r.row)
		want = append(want, fmt.Sprintf("line %d: %s", i+1, r.want))
	}
	out := w.try("jsonl", text.String(), transfer.Options{})
	if out.err != nil || !slices.Equal(out.refused, want) {
		t.Errorf("refused = %q, %v; want %q", out.refused, out.err, want)
	}
}

func TestAppIsRefusedWhereThereAreNone(t *testing.T) {
	w := newWorld(t)
	var off mfa.Config
	off.Defaults()
	off.Mode = mfa.Off
	w.factors = factorsOn(t, w.db, off)
	for _, dry := range []bool{true, false} {
		out := w.try("jsonl", `{"username":"zoe","totp":"`+app+`"}`, transfer.Options{DryRun: dry})
		if out.err != nil || out.Refused != 1 || !strings.HasPrefix(out.refused[0], "line 1: totp: authenticator apps are no second factor here") {
			t.Errorf("dry run %v: import = %+v, want totp refused", dry, out)
		}
	}
}
