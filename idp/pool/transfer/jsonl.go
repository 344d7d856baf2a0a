package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/internal/conf"
)

// maxJSON is how many bytes a line of JSON has at most: more than a person with
// every attribute at its longest.
const maxJSON = 1 << 20

// person is one line of JSON.
type person struct {
	Username      string            `json:"username"`
	ID            string            `json:"sub,omitempty"`
	Email         string            `json:"email,omitempty"`
	EmailVerified bool              `json:"email_verified"`
	Phone         string            `json:"phone_number,omitempty"`
	PhoneVerified bool              `json:"phone_number_verified"`
	Name          string            `json:"name,omitempty"`
	Attributes    map[string]string `json:"attributes,omitempty"`
	Enabled       bool              `json:"enabled"`
	Status        pool.Status       `json:"status,omitempty"`
	Groups        []string          `json:"groups"`
	PasswordHash  string            `json:"password_hash,omitempty"`
	PasswordSet   time.Time         `json:"password_set,omitzero"`
	Created       time.Time         `json:"created,omitzero"`
	Updated       time.Time         `json:"updated,omitzero"`
	// TOTP is the secret of an authenticator app in Base32. What follows says how
	// the app makes codes of it, and is not written: an app of ours is what apps
	// are by default.
	TOTP       string `json:"totp,omitempty"`
	Algorithm  string `json:"-"`
	CodeDigits int    `json:"-"`
	Period     int    `json:"-"`
}

// keys are the keys of a line, in their order.
var keys = []string{
	"username", "sub", "email", "email_verified", "phone_number", "phone_number_verified", "name", "attributes",
	"enabled", "status", "groups", "password_hash", "password_set", "created", "updated",
	keyTOTP, keyTOTP + "_algorithm", keyTOTP + "_digits", keyTOTP + "_period",
}

// keyTOTP is the key of the secret of an authenticator app, and begins those of
// what else an app may differ in.
const keyTOTP = "totp"

// bits are what the keys say that an update may leave alone.
var bits = map[string]said{
	"email": saidEmail, "email_verified": saidEmailVerified, "phone_number": saidPhone,
	"phone_number_verified": saidPhoneVerified, "name": saidName, "groups": saidGroups,
}

// field returns where the value of a key goes; nil for an unknown key.
func (p *person) field(key string) any {
	i := slices.Index(keys, key)
	if i < 0 {
		return nil
	}
	return []any{
		&p.Username, &p.ID, &p.Email, &p.EmailVerified, &p.Phone, &p.PhoneVerified, &p.Name, &p.Attributes,
		&p.Enabled, &p.Status, &p.Groups, &p.PasswordHash, &p.PasswordSet, &p.Created, &p.Updated,
		&p.TOTP, &p.Algorithm, &p.CodeDigits, &p.Period,
	}[i]
}

type jsonReader struct{ lines *lines }

// NewJSON returns a reader of JSON lines: one object a line for each person.
// ErrFile for what is no text.
func NewJSON(r io.Reader) (Reader, error) {
	j := &jsonReader{lines: newLines(r, maxJSON)}
	if err := j.lines.start(); err != nil {
		return nil, err
	}
	return j, nil
}

func (j *jsonReader) Next() (Row, error) {
	for {
		line, err := j.lines.next()
		row := Row{Line: j.lines.n}
		switch {
		case errors.Is(err, errLong):
			return row, &RowError{Line: row.Line, Reason: fmt.Sprintf("it has more than %d bytes", maxJSON)}
		case err != nil:
			return row, err
		case len(bytes.TrimSpace(line)) == 0:
			continue
		}
		if why := refuses(line); why != "" {
			return row, &RowError{Line: row.Line, Reason: why}
		}
		return row, row.parse(line)
	}
}

// parse reads one object, key by key: encoding/json itself takes a key twice and
// in any spelling.
func (r *Row) parse(line []byte) error {
	bad := func(field, why string) error { return &RowError{Line: r.Line, Field: field, Reason: why} }
	dec := json.NewDecoder(bytes.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return bad("", "it is no JSON object")
	}
	ours := mfa.OurTOTP("")
	p := person{Enabled: true, Algorithm: ours.Algorithm, CodeDigits: ours.Digits, Period: ours.Period}
	var seen []string
	for dec.More() {
		key, err := text(dec)
		if err != nil {
			return bad("", noObject(err))
		}
		into := p.field(key)
		switch {
		case into == nil:
			return bad(unknown(key))
		case slices.Contains(seen, key):
			return bad(key, "it stands there twice")
		}
		seen = append(seen, key)
		if why := decode(dec, into); why != "" {
			return bad(key, why)
		}
	}
	if _, err := dec.Token(); err != nil {
		return bad("", noObject(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return bad("", "there is text after the object")
	}
	r.take(p, seen)
	if p.TOTP == "" {
		return nil
	}
	return r.authenticator(mfa.ForeignTOTP{Secret: p.TOTP, Algorithm: p.Algorithm, Digits: p.CodeDigits, Period: p.Period})
}

// authenticator takes the secret of an app, or says in which key of the row lies
// that it cannot.
func (r *Row) authenticator(app mfa.ForeignTOTP) error {
	key, err := app.Key()
	var wrong *mfa.ForeignError
	if !errors.As(err, &wrong) {
		r.TOTP = key
		return err
	}
	field := keyTOTP
	if wrong.Field != "secret" {
		field += "_" + wrong.Field
	}
	return &RowError{Line: r.Line, Field: field, Reason: wrong.Reason}
}

func noObject(err error) string {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends in the middle of an object; is the file cut short?"
	}
	return "it is no JSON object"
}

// word is what is written into a report as a field without quotes: a key with
// anything else could be a formula to a spreadsheet, or hide what stands beside it.
var word = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_:.-]{0,63}$`)

// unknown returns field and reason for a key that is none.
func unknown(key string) (field, reason string) {
	if !word.MatchString(key) {
		return "", fmt.Sprintf("unknown key %.64q", key)
	}
	return key, "unknown key" + hint(key)
}

// hint says what an unknown key may have meant.
func hint(key string) string {
	if slices.Contains(pool.Standard(), key) {
		return "; it belongs into attributes"
	}
	if near := conf.Suggest(key, keys); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}

// text reads a key of an object.
func text(dec *json.Decoder) (string, error) {
	t, err := dec.Token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", errors.New("not a key")
	}
	return s, nil
}

// decode reads one value, and returns why it cannot. The error of encoding/json
// may quote the value and is not told.
func decode(dec *json.Decoder, into any) string {
	if m, ok := into.(*map[string]string); ok {
		return decodeMap(dec, m)
	}
	err := dec.Decode(into)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return noObject(err)
	}
	switch into.(type) {
	case *bool:
		return "it is true or false"
	case *int:
		return "it is a whole number"
	case *[]string:
		return "it is a list of texts"
	case *time.Time:
		return "it is a time such as 2030-01-02T15:04:05Z"
	}
	return "it is a text in quotes"
}

// decodeMap reads texts by name, each name once.
func decodeMap(dec *json.Decoder, into *map[string]string) string {
	t, err := dec.Token()
	if t == nil && err == nil {
		return "" // null says nothing
	}
	if err != nil || t != json.Delim('{') {
		return "it is an object of texts"
	}
	*into = map[string]string{}
	for dec.More() {
		name, err := text(dec)
		if err != nil {
			return noObject(err)
		}
		if _, there := (*into)[name]; there {
			return fmt.Sprintf("%.64q stands there twice", name)
		}
		var value string
		if why := decode(dec, &value); why != "" {
			return fmt.Sprintf("%.64q: %s", name, why)
		}
		(*into)[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return noObject(err)
	}
	return ""
}

// take makes a row of what was read.
func (r *Row) take(p person, seen []string) {
	r.User = pool.NewUser{
		ID: p.ID, Username: p.Username, Email: p.Email, EmailVerified: p.EmailVerified, Phone: p.Phone, PhoneVerified: p.PhoneVerified,
		Name: p.Name, Attributes: p.Attributes, PasswordHash: p.PasswordHash, PasswordSet: p.PasswordSet, Status: p.Status,
		Disabled: !p.Enabled, Groups: p.Groups, Created: p.Created, Updated: p.Updated,
	}
	for _, key := range seen {
		r.said |= bits[key]
	}
	r.finish()
}
