package app

import (
	"testing"
	"time"

	"gatehouse/idp/notify"
)

// The command line enqueues on its own connection; the server sends.
func TestServerSendsWhatTheCommandLineEnqueues(t *testing.T) {
	w := newWorld(t)
	st, err := OpenStore(t.Context(), w.plan)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	m := notify.Message{Kind: notify.PasswordChanged, Channel: notify.Email, To: "alice@example.com"}
	if err := st.Outbox.Enqueue(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if w.app.provider.Outbox.Stats()[notify.Email].Sent == 1 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the message is not sent after 20s")
		}
	}
}
