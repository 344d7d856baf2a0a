package transfer_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"gatehouse/idp/pool"
	"gatehouse/idp/pool/transfer"
)

// exhaust reads everything and demands that it ends, that lines never go back,
// and that no refusal holds a value.
func exhaust(t *testing.T, text, secret string, in transfer.Reader) {
	t.Helper()
	last := 0
	for n := 0; ; n++ {
		if n > len(text)+1 {
			t.Fatalf("%d rows of %d bytes", n, len(text))
		}
		row, err := in.Next()
		var refused *transfer.RowError
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, transfer.ErrFile):
			return
		case errors.As(err, &refused):
			row.Line = refused.Line
			if strings.Contains(refused.Reason, secret) {
				t.Fatalf("%q tells a value", refused.Reason)
			}
		case err != nil:
			t.Fatalf("Next = %v", err)
		}
		if row.Line <= last {
			t.Fatalf("line %d after line %d", row.Line, last)
		}
		last = row.Line
	}
}

func FuzzCSV(f *testing.F) {
	const secret = "s3cr3t-value"
	for _, rows := range []string{
		"a,b\n", `"a""b",c` + "\n", `a\,b,c`, "\"open\n", "\r\n\r\n", "a,\x00", strings.Repeat("x", 17000), `"x"y,z`, secret + "," + secret, "\xff,", ",,,,",
	} {
		f.Add("cognito:username,email,password_hash\n" + rows)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := transfer.NewCSV(strings.NewReader(text), pool.NewSchema(pool.Config{}))
		if err != nil {
			if !errors.Is(err, transfer.ErrFile) {
				t.Fatalf("NewCSV = %v, want ErrFile", err)
			}
			return
		}
		exhaust(t, text, secret, in)
	})
}

func FuzzJSON(f *testing.F) {
	const secret = "s3cr3t-value"
	for _, line := range []string{
		`{"username":"a"}`, `{"username":"a","attributes":{"locale":null}}`, `{"totp":"s3cr3t-value"}`, `{"totp":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ","totp_digits":"s3cr3t-value"}`, `{`, `{"a`, `{"username":{"a":1}}`, `[]`, `{"groups":[["s3cr3t-value"]]}`,
		`{"password_hash":"s3cr3t-value"`, `{"enabled":"s3cr3t-value"}`, `{"created":"s3cr3t-value"}`, `null`, `{"username":"\ud800"}`, "\xef\xbb\xbf{}",
	} {
		f.Add(line + "\n" + line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := transfer.NewJSON(strings.NewReader(text))
		if err != nil {
			if !errors.Is(err, transfer.ErrFile) {
				t.Fatalf("NewJSON = %v, want ErrFile", err)
			}
			return
		}
		exhaust(t, text, secret, in)
	})
}
