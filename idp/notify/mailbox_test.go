package notify_test

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/idp/notify"
)

func TestMailboxKeepsTheNewestHundredAndPrintsALineEach(t *testing.T) {
	var out strings.Builder
	box := notify.NewMailbox(&out)
	for i := range 120 {
		l := letter(t)
		l.ID = fmt.Sprint(i)
		if _, err := box.Send(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	again := letter(t)
	again.ID = "119"
	if _, err := box.Send(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	kept := box.Letters()
	if len(kept) != 100 || kept[0].ID != "119" || kept[99].ID != "20" {
		t.Errorf("%d letters, want the newest 100, newest first", len(kept))
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	want := "  Mail to     dana@example.com: 482913 is your code to sign up  https://login.example.com/confirm?ticket="
	if len(lines) != 120 || !strings.HasPrefix(lines[0], want) {
		t.Errorf("%d lines, the first %q, want 120 like %q", len(lines), lines[0], want)
	}
}
