package transfer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/idp/pool"
	"gatehouse/idp/pool/transfer"
)

func TestCognitoFileGoesIn(t *testing.T) {
	w := newWorld(t)
	header := transfer.HeaderLine(w.pool.Schema())
	if want := "name,given_name,family_name,middle_name,nickname,preferred_username,profile,picture,website,email,email_verified,gender,birthdate,zoneinfo,locale,phone_number,phone_number_verified,address,updated_at,cognito:mfa_enabled,cognito:username,custom:badge,custom:level,custom:team"; header != want {
		t.Fatalf("header = %s\nwant %s", header, want)
	}
	w.bring("csv", "\ufeff"+header+"\r\n"+
		`John,John,Doe,,,,,,,johndoe@example.com,TRUE,,02/01/1985,,,+12345550100,TRUE,123 Any Street\, Apt 4,1700000000,FALSE,John,,3,blue`+"\r\n"+
		"\r\n"+
		`"Jane ""JJ"" Roe",,,,,,,,,jane@example.com,false,,1990,,,,,"12 Long Road`+"\n"+`Town, Land",,,Jane,,,`)
	john := w.find("JOHN")
	want := pool.User{
		ID: john.ID, Username: "John", Email: "johndoe@example.com", EmailVerified: true, Phone: "+12345550100", PhoneVerified: true, Name: "John",
		Attributes: map[string]string{
			"given_name": "John", "family_name": "Doe", "birthdate": "1985-02-01", "address": "123 Any Street, Apt 4", "custom:level": "3", "custom:team": "blue",
		},
		Enabled: true, Status: pool.ResetRequired, Created: john.Created, Updated: john.Updated,
	}
	if diff := cmp.Diff(want, john); diff != "" {
		t.Errorf("John differs (-want +got):\n%s", diff)
	}
	if john.Updated.Unix() != 1700000000 || w.find("johndoe@example.com").ID != john.ID || w.find("+1 234-555-0100").ID != john.ID {
		t.Errorf("John = %+v, found by address and number", john)
	}
	jane := w.find("jane")
	if jane.Name != `Jane "JJ" Roe` || jane.Attributes["address"] != "12 Long Road\nTown, Land" || jane.Attributes["birthdate"] != "1990" {
		t.Errorf("Jane = %+v", jane)
	}
	if users, events := w.count("users.imported"); users != 2 || events != 1 {
		t.Errorf("%d users and %d events, want 2 and 1", users, events)
	}
}

func TestBadRowsAreReportedAndTheRestGoesIn(t *testing.T) {
	w := newWorld(t)
	w.bring("jsonl", `{"username":"bob","email":"bob@example.com","email_verified":true,"sub":"b-1"}`)
	long := strings.Repeat("x", 2<<20)
	rows := []struct{ row, want string }{
		{`{"username":"fine"}`, ""},
		{`{"username":"BOB"}`, "username: it is taken, perhaps in another spelling or as another kind of name"},
		{`{"username":"eve","email":"Bob@Example.com","email_verified":true}`, "email: it is taken, perhaps in another spelling or as another kind of name"},
		{`{"username":"eve","sub":"b-1"}`, "sub: it is taken, perhaps in another spelling or as another kind of name"},
		{`{"username":"Ｆine"}`, "username: it is taken, perhaps in another spelling or as another kind of name"},
		{`{"username":""}`, "username: invalid username: it has 1 to 128 characters"},
		{`{"username":"a@b.example"}`, "username: invalid username: one with @ must be the user's own e-mail address"},
		{`{"username":"eve","email":"nope"}`, "email: invalid e-mail address: it looks like name@example.com"},
		{`{"username":"eve","email_verified":true}`, "email_verified: invalid email_verified: there is no e-mail address to be verified"},
		{`{"username":"eve","phone_number":"079"}`, "phone_number: invalid phone number: it begins with + and the country, such as +41791234567"},
		{`{"username":"eve","attributes":{"custom:level":"high"}}`, "custom:level: invalid attribute custom:level: it is a whole number"},
		{`{"username":"eve","attributes":{"custom:none":"x"}}`, "custom:none: invalid attribute custom:none: there is no such attribute here"},
		{`{"username":"eve","groups":["staff","nobody"]}`, `groups: there is no group "nobody"`},
		{`{"username":"eve","status":"UNCONFIRMED"}`, "status: invalid status: it is CONFIRMED, FORCE_CHANGE_PASSWORD or RESET_REQUIRED"},
		{`{"username":"eve","created":"2999-01-01T00:00:00Z"}`, "created: invalid created: it is a time since 1970 and not to come"},
		{`{"username":"eve","sub":"../x"}`, "sub: invalid sub: it has 1 to 128 letters, digits and . _ : | @ -"},
		{`{"username":"eve","password_hash":"$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZWRpZ2VzdHNvbWVkaWdlc3Q"}`, "password_hash: stored password hash cannot be used: m is 4194304, want 8 to 131072"},
		{`{"username":"eve","password_hash":"hunter2"}`, "password_hash: stored password hash cannot be used: not of the form $kind$parameters$salt$digest"},
		{`{"username":"eve","username":"bob2"}`, "username: it stands there twice"},
		{`{"username":"eve","Username":"bob2"}`, `Username: unknown key; did you mean username?`},
		{`{"username":"eve","given_name":"E"}`, `given_name: unknown key; it belongs into attributes`},
		{`{"username":"eve","totp_secret":"JBSWY3DP"}`, `totp_secret: unknown key`},
		// What is no word could be a formula to a spreadsheet, or hide the rest.
		{`{"username":"eve","=1+1":"x"}`, `unknown key "=1+1"`},
		{`{"username":"eve","a\u001b[2J":"x"}`, `unknown key "a\x1b[2J"`},
		{`{"username":"eve","":"x"}`, `unknown key ""`},
		{`{"username":"eve","attributes":{"locale":"en","locale":"de"}}`, `attributes: "locale" stands there twice`},
		{`{"username":"eve","attributes":["locale"]}`, "attributes: it is an object of texts"},
		{`{"username":"eve","attributes":{"locale":1}}`, `attributes: "locale": it is a text in quotes`},
		{`{"username":"eve","enabled":"yes"}`, "enabled: it is true or false"},
		{`{"username":7}`, "username: it is a text in quotes"},
		{`{"username":"eve","groups":"staff"}`, "groups: it is a list of texts"},
		{`{"username":"eve","created":"now"}`, "created: it is a time such as 2030-01-02T15:04:05Z"},
		{`{"username":"eve"} {}`, "there is text after the object"},
		{`["eve"]`, "it is no JSON object"},
		{`eve`, "it is no JSON object"},
		{"{\"username\":\"e\x00ve\"}", "it holds a NUL byte"},
		{"{\"username\":\"e\xffve\"}", "it is not UTF-8"},
		{`{"username":"` + long + `"}`, "it has more than 1048576 bytes"},
		{`{"username":"fine too","name":"N"}`, "username: invalid username: spaces, control and invisible characters are not allowed"},
		{`{"username":"last"}`, ""},
		{`{"username":"eve","na`, "it ends in the middle of an object; is the file cut short?"},
	}
	var text strings.Builder
	var want []string
	for i, r := range rows {
		text.WriteString(r.row)
		if i < len(rows)-1 {
			text.WriteByte('\n')
		}
		if r.want != "" {
			want = append(want, fmt.Sprintf("line %d: %s", i+1, r.want))
		}
	}
	for _, dry := range []bool{true, false} {
		out := w.try("jsonl", text.String(), transfer.Options{Batch: 5, DryRun: dry})
		if diff := cmp.Diff(want, out.refused); diff != "" || out.err != nil {
			t.Errorf("dry run %v: refused differ (-want +got):\n%s\n%v", dry, diff, out.err)
		}
		if out.Rows != int64(len(rows)) || out.Added != 2 || out.Refused != int64(len(want)) || out.Stranded != 2 {
			t.Errorf("dry run %v: result = %+v", dry, out.Result)
		}
		if users, _ := w.count(""); dry && users != 1 || !dry && users != 3 {
			t.Errorf("dry run %v: %d users", dry, users)
		}
	}
}

func TestBadCSVRows(t *testing.T) {
	w := newWorld(t)
	const header = "cognito:username,email,email_verified,cognito:mfa_enabled,updated_at,custom:team,password_hash\n"
	long := strings.Repeat("x", 16000)
	out := w.try("csv", header+
		"a,a@example.com,TRUE,FALSE,1,t,"+hash+"\n"+ // argon2 has commas in it
		"b,b@example.com,yes,FALSE,1,t,\n"+
		"c,,,TRUE,,,\n"+
		"d,,,FALSE,soon,,\n"+
		"e,,,FALSE,,"+long+",\n"+
		"f,,,FALSE,,"+long+long+long+long+long+",\n"+
		"g,,\n"+
		"h,\"x\"y,,FALSE,,,\n"+
		"i,,,FALSE,,\x00,\n"+
		"j,,,FALSE,,\xff,\n"+
		"k,,,FALSE,,fine\\, really,"+strings.ReplaceAll(hash, ",", `\,`)+"\n"+
		"l,,,FALSE,,fine,\""+hash+"\"\n"+
		"m,,,FAL", transfer.Options{})
	want := []string{
		"line 2: it has 9 columns and the header 7; is a comma not escaped, or the file cut short?",
		"line 3: email_verified: it is TRUE or FALSE",
		"line 4: cognito:mfa_enabled: a second factor cannot be brought along; write FALSE, and let the person set one up",
		"line 5: updated_at: it is a number of seconds since 1970",
		"line 6: it has more than 16000 characters",
		"line 7: it has more than 16000 characters",
		"line 8: it has 3 columns and the header 7; is a comma not escaped, or the file cut short?",
		"line 9: there is text after a closing quote",
		"line 10: it holds a NUL byte",
		"line 11: it is not UTF-8",
		"line 14: it has 4 columns and the header 7; is a comma not escaped, or the file cut short?",
	}
	if diff := cmp.Diff(want, out.refused); diff != "" || out.err != nil {
		t.Errorf("refused differ (-want +got):\n%s\n%v", diff, out.err)
	}
	for _, name := range []string{"k", "l"} {
		if u := w.find(name); u.PasswordHash != hash || u.Status != pool.Confirmed || u.PasswordSet.IsZero() {
			t.Errorf("%s = %+v, want the hash and CONFIRMED", name, u)
		}
	}
}

func TestFilesThatAreNoneAreRefusedAsAWhole(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ format, text, want string }{
		{"csv", "", "it is empty"},
		{"csv", "\n\n", "it is empty"},
		{"jsonl", "", "it is empty"},
		{"csv", "\x7fELF\x02\x01\x01\x00\x00", "it is no text"},
		{"jsonl", "\x1f\x8b\x08rest", "it is compressed; unpack it first"},
		{"csv", "\xff\xfen\x00a\x00", "it is written in UTF-16; save it as UTF-8"},
		{"csv", "alice,bob\n", "no column cognito:username"},
		{"csv", "cognito:username,emial\n", `the header has a column "emial", which is no attribute here; did you mean email?`},
		{"csv", "cognito:username,custom:gone\n", `"custom:gone", which is no attribute here`},
		{"csv", "cognito:username,email,email\n", "the header has column email twice"},
		{"csv", "cognito:username,email\nx,\"y\nz,", "line 2: a quote is not closed"},
		{"csv", "cognito:username,\xff\n", "line 1: it is not UTF-8"},
		{"xml", "<a/>", `unknown format, want csv or jsonl: "xml"`},
	} {
		out := w.try(c.format, c.text, transfer.Options{})
		if out.err == nil || !strings.Contains(out.err.Error(), c.want) {
			t.Errorf("%s of %q = %v, want %q", c.format, c.text, out.err, c.want)
		}
	}
	if users, _ := w.count(""); users != 0 {
		t.Errorf("%d users, want none", users)
	}
}

func TestAnImportThatWasCutShortGoesOn(t *testing.T) {
	text := crowd(100) + `{"username":"user7"}` + "\n" + crowd(230)
	whole := newWorld(t)
	wantReport := reportFile(t)
	report := func(path string) *transfer.Report {
		r, err := transfer.OpenReport(path, "csv")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	want := whole.try("jsonl", text, transfer.Options{Key: "k", Batch: 10, Report: report(wantReport)})
	if want.err != nil || want.Added != 230 || want.Refused != 101 {
		t.Fatalf("import = %+v", want)
	}
	w := newWorld(t)
	path := reportFile(t)
	cuts, from := 0, 0
	for at := 5000; ; at += 9000 {
		out := w.read("jsonl", &pulled{strings.NewReader(text), at}, transfer.Options{Key: "k", Batch: 10, Report: report(path)})
		if out.From < from {
			t.Errorf("went on after line %d, before that after %d", out.From, from)
		}
		if from = out.From; out.err == nil {
			out.From, out.refused, want.refused = 0, nil, nil
			if out.Result != want.Result {
				t.Errorf("result = %+v, want %+v", out.Result, want.Result)
			}
			break
		}
		if cuts++; !errors.Is(out.err, errPulled) {
			t.Fatal(out.err)
		}
	}
	if cuts < 3 || from == 0 {
		t.Errorf("%d cuts, went on after line %d", cuts, from)
	}
	if got, want := content(t, path), content(t, wantReport); got != want {
		t.Errorf("report = %s\nwant %s", got, want)
	}
	if users, _ := w.count(""); users != 230 {
		t.Errorf("%d users, want 230", users)
	}
	// It is over: the same file is read from the start again.
	if out := w.try("jsonl", text, transfer.Options{Key: "k"}); out.From != 0 || out.Refused != 331 {
		t.Errorf("again = %+v, want all refused", out.Result)
	}
}

func TestAReportNamesAnUnknownKeyAsItIs(t *testing.T) {
	w := newWorld(t)
	path := reportFile(t)
	r, err := transfer.OpenReport(path, "csv")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.try("jsonl", `{"username":"eve","requiredActions":[]}`, transfer.Options{Report: r})
	if got, want := content(t, path), "line,field,reason\n\"1\",\"requiredActions\",\"unknown key\"\n"; got != want {
		t.Errorf("report = %s, want %s", got, want)
	}
}

func TestGoingOnNeedsItsReport(t *testing.T) {
	w := newWorld(t)
	text := strings.Repeat("nonsense\n", 300)
	path := reportFile(t)
	r, err := transfer.OpenReport(path, "csv")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.read("jsonl", &pulled{strings.NewReader(text), 1200}, transfer.Options{Key: "k", Batch: 10, Report: r})
	other, err := transfer.OpenReport(reportFile(t), "csv")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if out := w.try("jsonl", text, transfer.Options{Key: "k", Batch: 10, Report: other}); !errors.Is(out.err, transfer.ErrReport) {
		t.Errorf("with another report = %v, want ErrReport", out.err)
	}
	if out := w.try("jsonl", text, transfer.Options{Key: "k", Batch: 10, Report: other, FromStart: true}); out.err != nil || out.Refused != 300 {
		t.Errorf("from the start = %+v", out)
	}
}

func TestAFileThatIsNoReportIsKept(t *testing.T) {
	w := newWorld(t)
	path := reportFile(t)
	r, err := transfer.OpenReport(path, "csv")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	writeFile(t, path, "cognito:username\nx\n")
	out := w.try("jsonl", `{"username":"x"}`, transfer.Options{Report: r})
	if !errors.Is(out.err, transfer.ErrReport) || content(t, path) != "cognito:username\nx\n" {
		t.Errorf("import = %v, file %q", out.err, content(t, path))
	}
}

func TestTheSameFileTwiceAtOnceDoublesNobody(t *testing.T) {
	w := newWorld(t)
	text := crowd(300)
	outs := make([]outcome, 4)
	var wg sync.WaitGroup
	for i := range outs {
		wg.Go(func() { outs[i] = w.try("jsonl", text, transfer.Options{Key: "k", Batch: 7}) })
	}
	wg.Wait()
	done := 0
	for _, out := range outs {
		if out.err == nil {
			done++
		} else if !errors.Is(out.err, transfer.ErrTwice) {
			t.Error(out.err)
		}
	}
	if users, _ := w.count(""); users != 300 || done == 0 {
		t.Errorf("%d users of %d imports, want 300 of at least one", users, done)
	}
}

func TestUpdateChangesWhatTheRowSays(t *testing.T) {
	w := newWorld(t)
	w.bring("jsonl", `{"username":"ann","sub":"a-1","email":"ann@example.com","email_verified":true,"name":"Ann","attributes":{"custom:team":"red","custom:badge":"1","locale":"en"},"groups":["staff"],"password_hash":"`+hash+`"}
{"username":"bob","email":"bob@example.com","email_verified":true}`)
	ann := w.find("ann")
	attributes := transfer.Options{Update: transfer.Update{Attributes: true}}
	out := w.try("jsonl", `{"username":"ANN","name":"Ann B","attributes":{"custom:team":"blue","locale":""},"groups":["admins"],"password_hash":"`+twin+`","enabled":false}
{"username":"ann","attributes":{"custom:badge":"2"}}
{"username":"ann","email":"bob@example.com","email_verified":true}
{"username":"ann","sub":"other"}
{"username":"bob@example.com","email":"bob@example.com"}
{"username":"ann","name":"Ann B"}
{"username":"cat","name":"C"}
{"username":"cat","name":"Cat"}`, attributes)
	want := []string{
		"line 2: custom:badge: invalid attribute custom:badge: it cannot be changed once it is set",
		"line 3: a name of it is taken, perhaps in another spelling or as another kind of name",
		"line 4: sub: the user of that name has another one",
		"line 5: username: it is the e-mail address or phone number of somebody else",
	}
	if diff := cmp.Diff(want, out.refused); diff != "" || out.err != nil {
		t.Errorf("refused differ (-want +got):\n%s\n%v", diff, out.err)
	}
	if out.Updated != 2 || out.Unchanged != 1 || out.Added != 1 {
		t.Errorf("result = %+v, want 2 updated, 1 unchanged, 1 added", out.Result)
	}
	got := w.find("ann")
	ann.Name, ann.Attributes, ann.Updated = "Ann B", map[string]string{"custom:team": "blue", "custom:badge": "1"}, got.Updated
	if diff := cmp.Diff(ann, got); diff != "" {
		t.Errorf("ann differs (-want +got):\n%s", diff)
	}
	if w.find("cat").Name != "Cat" {
		t.Errorf("cat = %+v, want the later row's name", w.find("cat"))
	}
	groups, _ := w.pool.GroupsOf(t.Context(), ann.ID)
	if names := pool.Names(groups); !slices.Equal(names, []string{"staff"}) {
		t.Errorf("groups = %v, want them left alone", names)
	}
	all := transfer.Options{Update: transfer.Update{Groups: true, Passwords: true}}
	row := `{"username":"ann","groups":["admins"],"password_hash":"` + twin + `"}`
	if out = w.try("jsonl", row, all); out.Updated != 1 {
		t.Errorf("with groups and passwords = %+v", out)
	}
	if out = w.try("jsonl", row, all); out.Unchanged != 1 {
		t.Errorf("the same again = %+v", out)
	}
	groups, _ = w.pool.GroupsOf(t.Context(), ann.ID)
	if names := pool.Names(groups); !slices.Equal(names, []string{"admins"}) || w.find("ann").PasswordHash != twin {
		t.Errorf("groups = %v, hash changed %v", names, w.find("ann").PasswordHash == twin)
	}
	// Who lost something is signed out.
	if _, revoked := w.count("user.group_removed"); revoked != 1 {
		t.Errorf("%d events user.group_removed, want 1", revoked)
	}
}
