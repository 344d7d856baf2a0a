package upstream

import "time"

// SetSilence shortens for a test how long a client may be silent.
func (u *Upstream) SetSilence(d time.Duration) { u.silence = d }
