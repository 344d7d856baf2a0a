package transfer

import (
	"errors"
	"fmt"

	"gatehouse/idp/pool"
)

// ErrFile means that a file as a whole cannot be read as people: the wrong
// header, no text, or a quote without end. The text says what and in which line.
var ErrFile = errors.New("cannot read people from this file")

// said are the fields that a row speaks of; an update leaves the others alone.
type said uint8

const (
	saidEmail said = 1 << iota
	saidEmailVerified
	saidPhone
	saidPhoneVerified
	saidName
	saidGroups
)

// Row is one person of a file.
type Row struct {
	// Line is where the row begins, counted from 1.
	Line int
	// User is what the row says. Its Attributes also hold those that the row
	// sets to "".
	User pool.NewUser
	// TOTP is the raw key of the person's authenticator app, nil for none.
	TOTP []byte
	said said
}

// RowError is a row that is refused; the rows after it are read all the same.
type RowError struct {
	// Line is where the row begins, counted from 1.
	Line int `json:"line"`
	// Field is the column or key, "" for the row as a whole.
	Field string `json:"field"`
	// Reason is a sentence that holds no value of the row.
	Reason string `json:"reason"`
}

func (e *RowError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Field, e.Reason)
}

// Reader reads people one by one.
type Reader interface {
	// Next returns the next row; a *RowError for one that cannot be read, after
	// which Next goes on; io.EOF at the end; any other error ends the reading.
	Next() (Row, error)
}

// finish fills in what follows from the rest of a row: without a hash the person
// chooses a password first.
func (r *Row) finish() {
	if r.User.Status == "" && r.User.PasswordHash == "" {
		r.User.Status = pool.ResetRequired
	}
}

// setAttribute keeps an attribute, also one that is "".
func (r *Row) setAttribute(name, value string) {
	if r.User.Attributes == nil {
		r.User.Attributes = map[string]string{}
	}
	r.User.Attributes[name] = value
}
