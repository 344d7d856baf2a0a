package notify_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse/idp/notify"
)

// A message without what it is for is a mistake of the caller, and is not sent.
func TestMessagesCarryWhatTheyAreFor(t *testing.T) {
	for _, kind := range []notify.Kind{notify.Invitation, notify.ResetPassword, notify.SignInCode, notify.VerifyPhone} {
		m := notify.Samples(kind)[0]
		if err := m.Check(); err != nil {
			t.Errorf("Check(%s) = %v, want nil", kind, err)
		}
		m.Data.Code, m.Data.Link = "", ""
		if err := m.Check(); !errors.Is(err, notify.ErrInvalid) {
			t.Errorf("Check(%s without code and link) = %v, want ErrInvalid", kind, err)
		}
		m = notify.Samples(kind)[0]
		if m.Expires = (time.Time{}); !errors.Is(m.Check(), notify.ErrInvalid) {
			t.Errorf("Check(%s without an expiry) = nil, want ErrInvalid", kind)
		}
	}
}
