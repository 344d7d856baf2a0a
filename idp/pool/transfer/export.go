package transfer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/idp/pool"
)

// The formats of files of people.
const (
	FormatCSV  = "csv"
	FormatJSON = "jsonl"
)

// ErrFormat means a format other than csv and jsonl.
var ErrFormat = errors.New("unknown format, want csv or jsonl")

// NewReader returns the reader of a format.
func NewReader(r io.Reader, format string, s pool.Schema) (Reader, error) {
	switch format {
	case FormatCSV:
		return NewCSV(r, s)
	case FormatJSON:
		return NewJSON(r)
	}
	return nil, fmt.Errorf("%w: %q", ErrFormat, format)
}

// Exporter writes the people of a pool down.
type Exporter struct {
	Pool *pool.Pool
	Rows Rows
	// Format is csv or jsonl. CSV holds no sub, groups, status, and times but
	// the last; and no disabled people, who would come back enabled.
	Format string
	// Hashes writes the hashes of passwords too: whoever reads them can try
	// passwords on them for as long as they like. In CSV only those that count.
	Hashes bool
	// Progress, if any, is told how many people are done.
	Progress func(people int64)
}

// Written counts what an export wrote.
type Written struct {
	People int64 `json:"people"`
	// LeftOut are disabled people that CSV cannot hold as such.
	LeftOut int64 `json:"left_out"`
}

// page is how many people are read at once.
const page = 500

// Write writes everybody to w, ordered by canonical username; what is changed
// meanwhile is written as it is when its page is read. ErrFormat, and those of
// the store and of w.
func (e *Exporter) Write(ctx context.Context, w io.Writer) (Written, error) {
	var done Written
	if e.Format != FormatCSV && e.Format != FormatJSON {
		return done, fmt.Errorf("%w: %q", ErrFormat, e.Format)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	header := e.header()
	if header != nil {
		out.WriteString(join(header) + "\n") // a bufio.Writer keeps its error for Flush
	}
	for after := ""; ; {
		people, err := e.Pool.List(ctx, after, page)
		if err != nil {
			return done, fmt.Errorf("list users: %w", err)
		}
		if err := e.page(ctx, out, header, people, &done); err != nil {
			return done, err
		}
		if e.Progress != nil {
			e.Progress(done.People)
		}
		if len(people) < page {
			return done, out.Flush()
		}
		after = people[len(people)-1].Username
	}
}

func (e *Exporter) header() []string {
	if e.Format == FormatJSON {
		return nil
	}
	header := Header(e.Pool.Schema())
	if e.Hashes {
		header = append(header, columnHash)
	}
	return header
}

func (e *Exporter) page(ctx context.Context, out *bufio.Writer, header []string, people []pool.User, done *Written) error {
	ids := make([]string, len(people))
	for i, u := range people {
		ids[i] = u.ID
	}
	groups, err := e.Rows.Memberships(ctx, ids)
	if err != nil {
		return fmt.Errorf("list memberships: %w", err)
	}
	for _, u := range people {
		if !e.Hashes {
			u.PasswordHash, u.PasswordSet = "", time.Time{}
		}
		line, err := e.line(u, groups[u.ID], header)
		if err != nil {
			return err
		}
		if line == "" {
			done.LeftOut++
			continue
		}
		done.People++
		out.WriteString(line)
		if err := out.WriteByte('\n'); err != nil {
			return fmt.Errorf("write user %s: %w", u.Username, err)
		}
	}
	return nil
}

// line returns one person, "" for one that the format cannot hold.
func (e *Exporter) line(u pool.User, groups, header []string) (string, error) {
	if e.Format == FormatCSV {
		if !u.Enabled {
			return "", nil
		}
		line := join(cells(u, header))
		if utf8.RuneCountInString(line) > maxCSV {
			return "", fmt.Errorf("user %s has more than %d characters, which CSV cannot hold; use %s", u.Username, maxCSV, FormatJSON)
		}
		return line, nil
	}
	if groups == nil {
		groups = []string{}
	}
	raw, err := json.Marshal(person{
		Username: u.Username, ID: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, Phone: u.Phone, PhoneVerified: u.PhoneVerified,
		Name: u.Name, Attributes: u.Attributes, Enabled: u.Enabled, Status: u.Status, Groups: groups,
		PasswordHash: u.PasswordHash, PasswordSet: u.PasswordSet, Created: u.Created, Updated: u.Updated,
	})
	return string(raw), err
}

// cells returns the columns of header for u.
func cells(u pool.User, header []string) []string {
	out := make([]string, len(header))
	for i, name := range header {
		switch name {
		case columnUsername:
			out[i] = u.Username
		case columnMFA:
			out[i] = upper(false)
		case columnHash:
			// A password that counts no more must not count again.
			if u.Status == pool.Confirmed {
				out[i] = u.PasswordHash
			}
		case "email_verified":
			out[i] = upper(u.EmailVerified)
		case "phone_number_verified":
			out[i] = upper(u.PhoneVerified)
		case "updated_at":
			out[i] = strconv.FormatInt(u.Updated.Unix(), 10)
		case "birthdate":
			out[i] = u.Attributes[name]
			if t, err := time.Parse(time.DateOnly, out[i]); err == nil {
				out[i] = t.Format(cognitoDate)
			}
		default:
			out[i] = u.Attribute(name)
		}
	}
	return out
}

func upper(b bool) string { return strings.ToUpper(strconv.FormatBool(b)) }

// quoteAll writes cells as RFC 4180 has it, for spreadsheets: every one in
// quotes.
func quoteAll(cells ...string) string {
	out := slices.Clone(cells)
	for i, cell := range out {
		out[i] = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
	}
	return strings.Join(out, ",")
}
