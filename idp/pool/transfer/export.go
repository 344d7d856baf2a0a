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

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"
)

// The formats of files of people.
const (
	FormatCSV  = "csv"
	FormatJSON = "jsonl"
)

// ErrSecrets means that secrets of authenticator apps are to be written as CSV.
var ErrSecrets = errors.New("csv has no column for authenticator apps; use jsonl")

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
	Pool    *pool.Pool
	Factors *mfa.Factors
	Rows    Rows
	Journal audit.Journal
	// Format is csv or jsonl. CSV holds no sub, groups, status, and times but
	// the last; and no disabled people, who would come back enabled.
	Format string
	// Hashes writes the hashes of passwords too: whoever reads them can try
	// passwords on them for as long as they like. In CSV only those that count.
	Hashes bool
	// Secrets writes the secrets of authenticator apps too: whoever reads them
	// has everybody's second factor. CSV has no column for them.
	Secrets bool
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
// meanwhile is written as it is when its page is read. The event users.exported
// comes first, so that an export that is cut short is recorded as well. ErrFormat,
// ErrSecrets, and those of the store and of w.
func (e *Exporter) Write(ctx context.Context, w io.Writer) (Written, error) {
	var done Written
	if e.Format != FormatCSV && e.Format != FormatJSON {
		return done, fmt.Errorf("%w: %q", ErrFormat, e.Format)
	}
	if e.Secrets && e.Format == FormatCSV {
		return done, ErrSecrets
	}
	if err := e.record(ctx); err != nil {
		return done, err
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

// record appends the event of an export.
func (e *Exporter) record(ctx context.Context) error {
	err := e.Journal.Append(ctx, audit.Event{Type: "users.exported", Detail: map[string]string{
		"format": e.Format, "hashes": strconv.FormatBool(e.Hashes), "secrets": strconv.FormatBool(e.Secrets),
	}})
	if err != nil {
		return fmt.Errorf("record export: %w", err)
	}
	return nil
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
	var apps map[string]string
	if e.Secrets {
		if apps, err = e.Factors.TOTPSecrets(ctx, ids); err != nil {
			return err
		}
	}
	for _, u := range people {
		if !e.Hashes {
			u.PasswordHash, u.PasswordSet = "", time.Time{}
		}
		line, err := e.line(entry{user: u, groups: groups[u.ID], totp: apps[u.ID]}, header)
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

// entry is one person with what else is written of them.
type entry struct {
	user   pool.User
	groups []string
	totp   string
}

// line returns one person, "" for one that the format cannot hold.
func (e *Exporter) line(of entry, header []string) (string, error) {
	u, groups := of.user, of.groups
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
		PasswordHash: u.PasswordHash, PasswordSet: u.PasswordSet, Created: u.Created, Updated: u.Updated, TOTP: of.totp,
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
