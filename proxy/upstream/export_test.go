package upstream

import (
	"net/http/httputil"
	"time"
)

// SetSilence shortens for a test how long a client may be silent.
func (u *Upstream) SetSilence(d time.Duration) { u.silence = d }

// SetLarge puts a pool that counts in the place of the one that web sockets
// take their large buffers from.
func (u *Upstream) SetLarge(p httputil.BufferPool) { u.large = p }
