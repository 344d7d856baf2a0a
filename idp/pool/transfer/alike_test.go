package transfer_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/idp/pool/transfer"
)

// TestNobodyIsNamedLikeTheIDOfAnother holds import to what user add and sign-up
// are held to: rules name people by username or id.
func TestNobodyIsNamedLikeTheIDOfAnother(t *testing.T) {
	w := newWorld(t)
	w.bring("jsonl", `{"username":"bob","sub":"b-1"}`+"\n"+`{"username":"eve","email":"eve@example.com","email_verified":true}`)
	const alike = "it is the sub of somebody else"
	rows := []struct{ row, want string }{
		{`{"username":"b-1"}`, "username: " + alike},
		{`{"username":"B-1"}`, "username: " + alike},
		{`{"username":"ｂ-1"}`, "username: " + alike},
		{`{"username":"x1","sub":"bob"}`, "sub: it is the name of somebody else"},
		{`{"username":"x1","sub":"BOB"}`, "sub: it is the name of somebody else"},
		{`{"username":"x1","sub":"eve@example.com"}`, "sub: it is the name of somebody else"},
		{`{"username":"own","sub":"own"}`, ""}, // Cognito's username is often the sub
		{`{"username":"x1","sub":"own"}`, "sub: it is taken, perhaps in another spelling or as another kind of name"},
		// Of two rows of one file the first one goes in.
		{`{"username":"first","sub":"f-1"}`, ""},
		{`{"username":"F-1"}`, "username: " + alike},
		{`{"username":"second"}`, ""},
		{`{"username":"x2","sub":"Second"}`, "sub: it is the name of somebody else"},
	}
	var text strings.Builder
	var want []string
	for i, r := range rows {
		text.WriteString(r.row + "\n")
		if r.want != "" {
			want = append(want, fmt.Sprintf("line %d: %s", i+1, r.want))
		}
	}
	for _, dry := range []bool{true, false} {
		for _, batch := range []int{1, 5, 500} {
			if !dry && batch > 1 {
				continue
			}
			out := w.try("jsonl", text.String(), transfer.Options{DryRun: dry, Batch: batch})
			if out.err != nil || !slices.Equal(out.refused, want) {
				t.Errorf("dry run %v, batches of %d: refused = %q, %v;\nwant %q", dry, batch, out.refused, out.err, want)
			}
		}
	}
	other := newWorld(t)
	other.bring("jsonl", `{"username":"bob","sub":"b-1"}`+"\n"+`{"username":"eve","email":"eve@example.com","email_verified":true}`)
	if out := other.try("jsonl", text.String(), transfer.Options{}); !slices.Equal(out.refused, want) {
		t.Errorf("one batch: refused = %q, %v;\nwant %q", out.refused, out.err, want)
	}
}
