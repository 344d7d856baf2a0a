package signin

import (
	"context"
	"errors"
	"time"
)

// ErrFlowNotFound is returned when there is no such flow, or no longer.
var ErrFlowNotFound = errors.New("sign-in flow not found")

// Flow is something a browser has begun at the provider and not finished: an
// authorize request that waits for a sign-in, a sign-out that waits for a yes.
type Flow struct {
	// ID is 128 random bits, base64url.
	ID string
	// Kind says what Data is, so that a flow of one kind opens nothing else.
	Kind string
	// Data is the flow's state: JSON, sealed by its owner.
	Data []byte
	// BrowserHash is the SHA-256 of the value in the browser's flow cookie.
	BrowserHash []byte
	// Tries counts the answers given so far; only CountTry raises it.
	Tries int
	// Created and Expires bound the flow.
	Created, Expires time.Time
}

// Flows keeps flows. All methods are safe for concurrent use and take part in
// the transaction of their context.
type Flows interface {
	// Insert adds a flow.
	Insert(ctx context.Context, f Flow) error
	// Find returns a flow, expired or not, or ErrFlowNotFound.
	Find(ctx context.Context, id string) (Flow, error)
	// Advance replaces the Data of f by next, if the flow is still there with
	// the Kind and Data of f, in one statement, and reports whether it did: of
	// callers that go on from one Data at once, exactly one is told true.
	Advance(ctx context.Context, f Flow, next []byte) (bool, error)
	// CountTry raises Tries by one in one statement and returns the new count.
	// It is called before an answer is checked, never after, so that answers
	// given at once are all counted. ErrFlowNotFound if the flow is gone.
	CountTry(ctx context.Context, id string) (int, error)
	// Delete ends a flow and reports whether it was there: of callers that
	// finish one flow at once, exactly one is told true.
	Delete(ctx context.Context, id string) (bool, error)
}
