package notify

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// mailboxSize is how many letters a mailbox keeps.
const mailboxSize = 100

// Kept is a letter in a mailbox.
type Kept struct {
	Letter
	// At is when it came.
	At time.Time
}

// Mailbox is a Sender that keeps the last 100 letters in memory and prints a
// line for each. It is for the demo alone: what it shows lets whoever sees it
// into every account. It is safe for concurrent use.
type Mailbox struct {
	mu   sync.Mutex
	kept []Kept
	out  io.Writer
}

// NewMailbox returns an empty mailbox that prints to out; nil prints nowhere.
func NewMailbox(out io.Writer) *Mailbox {
	if out == nil {
		out = io.Discard
	}
	return &Mailbox{out: out}
}

// Send implements Sender.
func (m *Mailbox) Send(_ context.Context, l Letter) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.kept, func(k Kept) bool { return k.ID == l.ID && l.ID != "" }) {
		return "there already", nil
	}
	m.kept = append(m.kept, Kept{l, time.Now()})
	if over := len(m.kept) - mailboxSize; over > 0 {
		m.kept = slices.Delete(m.kept, 0, over)
	}
	what := l.Subject
	if what == "" {
		what = word(l.Text)
	}
	line := fmt.Sprintf("  %-12s%s: %s", map[Channel]string{Email: "Mail to", SMS: "Text to"}[l.Channel], l.To, what)
	if l.Link != "" {
		line += "  " + l.Link
	}
	_, err := fmt.Fprintln(m.out, line)
	if err != nil {
		return "", &DeliveryError{Step: stepWrite, Err: err}
	}
	return "kept", nil
}

// Rest implements Sender.
func (m *Mailbox) Rest() {}

// Letters returns what is kept, newest first.
func (m *Mailbox) Letters() []Kept {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.kept)
	slices.Reverse(all)
	return all
}
