package proxy

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"gatehouse/session"
)

// patience is how long the look at one stream waits for an issuer's keys.
const patience = time.Second

// belief is who a lasting exchange is by, as gates come and go. It is safe for
// concurrent use.
type belief struct{ last atomic.Pointer[believed] }

// believed is an identity and the gate that believed its credential.
type believed struct {
	gate *Gate
	id   *session.Identity
}

// by returns the identity as g believes it, nil if g does not: another gate than
// the last may know other issuers, or read other things from their tokens. While
// an issuer cannot be reached, what was believed last goes on; silent remembers
// that.
func (b *belief) by(ctx context.Context, g *Gate, silent look) *session.Identity {
	last := b.last.Load()
	if last.gate == g {
		return last.id
	}
	id := last.id
	switch id.Credential {
	case session.Bearer:
		if silent[id.Issuer] {
			return id
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		fresh, err := g.parts.Tokens.Verify(ctx, id.AccessToken)
		if errors.Is(err, ErrIssuerDown) {
			silent[id.Issuer] = true
			return id
		}
		if err != nil {
			return nil
		}
		id = fresh
	default:
		if !g.parts.SignIn.Knows(id) {
			return nil
		}
	}
	b.last.CompareAndSwap(last, &believed{g, id})
	return id
}
