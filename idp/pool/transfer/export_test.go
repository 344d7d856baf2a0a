package transfer_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/idp/pool"
	"gatehouse/idp/pool/transfer"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
)

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// everybody returns all users with their groups.
func (w *world) everybody() (out []string) {
	w.t.Helper()
	for after := ""; ; {
		page, err := w.pool.List(w.t.Context(), after, 100)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, u := range page {
			groups, err := w.pool.GroupsOf(w.t.Context(), u.ID)
			if err != nil {
				w.t.Fatal(err)
			}
			out, after = append(out, fmt.Sprintf("%+v %v", u, pool.Names(groups))), u.Username
		}
		if len(page) < 100 {
			return out
		}
	}
}

const oddPeople = `{"username":"zoë","email":"zoe@example.com","name":"Zoë \"Z\" \\ <b>","attributes":{"address":"1 Road\nTown, \"X\"\r\nLand","birthdate":"1990-12-31","custom:team":"a\\,b"},"groups":["staff","admins"],"password_hash":"` + hash + `","status":"FORCE_CHANGE_PASSWORD"}
{"username":"+41791234567","phone_number":"+41791234567","phone_number_verified":true,"enabled":false}
{"username":"ann@example.com","email":"Ann@Example.com","email_verified":true,"created":"2020-02-03T04:05:06.789Z","updated":"2021-02-03T04:05:06.789Z","sub":"auth0|1","password_hash":"` + hash + `","password_set":"2020-05-05T00:00:00Z"}
{"username":"reset","password_hash":"` + hash + `","status":"RESET_REQUIRED"}
{"username":"1990","attributes":{"birthdate":"1990","custom:badge":"\\"}}
`

func TestJSONLinesHoldEverything(t *testing.T) {
	from, to := newWorld(t), newWorld(t)
	from.bring("jsonl", oddPeople+crowd(700))
	text, done := from.export("jsonl", true)
	if done.People != 705 || done.LeftOut != 0 {
		t.Errorf("export = %+v, want 705 people", done)
	}
	to.bring("jsonl", text)
	if diff := cmp.Diff(from.everybody(), to.everybody()); diff != "" {
		t.Errorf("people differ after a round trip:\n%s", diff)
	}
	if again, _ := to.export("jsonl", true); again != text {
		t.Error("a second export differs from the first")
	}
}

func TestBothEnginesTakeAndGiveTheSame(t *testing.T) {
	text := oddPeople + crowd(600) + `{"username":"USER7"}` + "\n"
	var first string
	storetest.Each(t, func(t *testing.T, open func(testing.TB, func() time.Time) *store.DB) {
		w := worldOn(t, open(t, nil))
		w.read("jsonl", &pulled{strings.NewReader(text), 90000}, transfer.Options{Key: "k", Batch: 100})
		out := w.try("jsonl", text, transfer.Options{Key: "k", Batch: 100})
		if out.err != nil || out.From == 0 || out.Added != 605 || out.Refused != 1 {
			t.Fatalf("import = %+v", out)
		}
		if out = w.try("jsonl", text, transfer.Options{Update: transfer.Update{Attributes: true, Groups: true, Passwords: true}}); out.err != nil || out.Refused != 0 || out.Updated != 0 || out.Unchanged != 606 {
			t.Fatalf("update to the same = %+v", out)
		}
		got, _ := w.export("csv", true)
		// The time of the import is the only thing that differs.
		got = regexp.MustCompile(`,[0-9]{10},`).ReplaceAllString(got, ",TIME,")
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("export differs from the other engine's:\n%s", cmp.Diff(first, got))
		}
	})
}

func TestCSVHoldsWhatItCan(t *testing.T) {
	from, to := newWorld(t), newWorld(t)
	from.bring("jsonl", oddPeople)
	text, done := from.export("csv", true)
	if done.People != 4 || done.LeftOut != 1 || strings.Contains(text, "+41791234567") {
		t.Errorf("export = %+v, want the disabled one left out", done)
	}
	to.bring("csv", text)
	if again, _ := to.export("csv", true); again != text {
		t.Errorf("a second export differs from the first:\n%s\n%s", text, again)
	}
	for name, want := range map[string]pool.Status{"zoë": pool.ResetRequired, "ann@example.com": pool.Confirmed, "reset": pool.ResetRequired} {
		a, b := from.find(name), to.find(name)
		if b.Status != want || (b.PasswordHash != "") != (want == pool.Confirmed) {
			t.Errorf("%s has status %s and hash %q, want %s: a password that counts no more must not count again", name, b.Status, b.PasswordHash, want)
		}
		if diff := cmp.Diff(a.Attributes, b.Attributes); diff != "" || a.Name != b.Name || a.Email != b.Email || a.EmailVerified != b.EmailVerified {
			t.Errorf("%s differs: %s", name, diff)
		}
	}
}

func TestHashesAreWrittenOnlyWhenAsked(t *testing.T) {
	w := newWorld(t)
	w.bring("jsonl", crowd(3))
	for _, format := range []string{"csv", "jsonl"} {
		if text, _ := w.export(format, false); strings.Contains(text, "argon2") || strings.Contains(text, "password") {
			t.Errorf("%s = %s, want no hash", format, text)
		}
	}
}

func TestExportOfNobody(t *testing.T) {
	w := newWorld(t)
	if text, _ := w.export("csv", false); text != transfer.HeaderLine(w.pool.Schema())+"\n" {
		t.Errorf("csv of nobody = %q", text)
	}
	if text, _ := w.export("jsonl", false); text != "" {
		t.Errorf("jsonl of nobody = %q", text)
	}
}
