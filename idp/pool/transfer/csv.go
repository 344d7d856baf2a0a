package transfer

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/idp/pool"
	"gatehouse/internal/conf"
)

// The columns of a CSV file that are no attributes.
const (
	columnUsername = "cognito:username"
	columnMFA      = "cognito:mfa_enabled"
	columnHash     = "password_hash"
)

// cognitoColumns are the columns of Cognito's header, in its order.
var cognitoColumns = []string{
	"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
	"website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number",
	"phone_number_verified", "address", "updated_at", columnMFA, columnUsername,
}

// Header returns the columns of a CSV file of people of that schema: Cognito's
// (GetCSVHeader) and the custom attributes, sorted.
func Header(s pool.Schema) []string {
	header := slices.Clone(cognitoColumns)
	for _, name := range s.Names() {
		if strings.HasPrefix(name, pool.CustomPrefix) {
			header = append(header, name)
		}
	}
	return header
}

// HeaderLine returns Header as it stands in a file, without a line break.
func HeaderLine(s pool.Schema) string { return join(Header(s)) }

type csvReader struct {
	lines   *lines
	columns []string
}

// NewCSV reads the header of Cognito's format, in any order, and returns the
// reader of the rows. password_hash is a column besides. ErrFile names what is
// wrong with the header.
func NewCSV(r io.Reader, s pool.Schema) (Reader, error) {
	c := &csvReader{lines: newLines(r, 4*maxCSV)}
	if err := c.lines.start(); err != nil {
		return nil, err
	}
	columns, _, err := c.record()
	var row *RowError
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: it is empty", ErrFile)
	case errors.As(err, &row):
		return nil, fmt.Errorf("%w: %w", ErrFile, row)
	case err != nil:
		return nil, err
	}
	known := append(Header(s), columnHash)
	if !slices.Contains(columns, columnUsername) {
		return nil, fmt.Errorf("%w: the first line is no header: it has no column %s; `gatehouse user csv-header` prints one", ErrFile, columnUsername)
	}
	for _, name := range columns {
		if slices.Contains(known, name) {
			continue
		}
		hint := ""
		if near := conf.Suggest(name, known); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return nil, fmt.Errorf("%w: the header has a column %.64q, which is no attribute here%s", ErrFile, name, hint)
	}
	if name := again(columns); name != "" {
		return nil, fmt.Errorf("%w: the header has column %s twice", ErrFile, name)
	}
	c.columns = columns
	return c, nil
}

func (c *csvReader) Next() (Row, error) {
	cells, line, err := c.record()
	if err != nil {
		return Row{}, err
	}
	row := Row{Line: line}
	if len(cells) != len(c.columns) {
		return row, &RowError{Line: line, Reason: fmt.Sprintf("it has %d columns and the header %d; is a comma not escaped, or the file cut short?", len(cells), len(c.columns))}
	}
	for i, cell := range cells {
		// Nothing in a cell says nothing: there is no other way to say so.
		if cell == "" {
			continue
		}
		if why := row.column(c.columns[i], cell); why != "" {
			return row, &RowError{Line: line, Field: c.columns[i], Reason: why}
		}
	}
	row.finish()
	return row, nil
}

// column takes in one cell, and returns why it cannot.
func (r *Row) column(name, value string) string {
	u := &r.User
	switch name {
	case columnUsername:
		u.Username = value
	case columnHash:
		u.PasswordHash = value
	case columnMFA:
		return noFactor(value)
	case "name":
		u.Name, r.said = value, r.said|saidName
	case "email":
		u.Email, r.said = value, r.said|saidEmail
	case "phone_number":
		u.Phone, r.said = value, r.said|saidPhone
	case "email_verified":
		r.said |= saidEmailVerified
		return boolean(value, &u.EmailVerified)
	case "phone_number_verified":
		r.said |= saidPhoneVerified
		return boolean(value, &u.PhoneVerified)
	case "updated_at":
		return epoch(value, &u.Updated)
	case "birthdate":
		r.setAttribute(name, birthdate(value))
	default:
		r.setAttribute(name, value)
	}
	return ""
}

// noFactor refuses a second factor: the file does not hold its secret, and to
// drop the demand in silence would weaken the account.
func noFactor(value string) string {
	var on bool
	if why := boolean(value, &on); why != "" {
		return why
	}
	if on {
		return "a second factor cannot be brought along; write FALSE, and let the person set one up"
	}
	return ""
}

func boolean(value string, into *bool) string {
	switch {
	case strings.EqualFold(value, "TRUE"):
		*into = true
	case strings.EqualFold(value, "FALSE"):
		*into = false
	default:
		return "it is TRUE or FALSE"
	}
	return ""
}

// epoch reads seconds since 1970; 0 says nothing.
func epoch(value string, into *time.Time) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return "it is a number of seconds since 1970"
	}
	if n > 0 {
		*into = time.Unix(n, 0).UTC()
	}
	return ""
}

// cognitoDate is how Cognito writes a date of birth.
const cognitoDate = "01/02/2006"

// birthdate turns Cognito's mm/dd/yyyy into OpenID Connect's yyyy-mm-dd; anything
// else stays, for the schema to judge.
func birthdate(value string) string {
	if t, err := time.Parse(cognitoDate, value); err == nil {
		return t.Format(time.DateOnly)
	}
	return value
}
