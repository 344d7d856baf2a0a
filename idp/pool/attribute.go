package pool

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// CustomPrefix begins the name of every attribute that an operator has defined.
const CustomPrefix = "custom:"

// Bounds of attributes (Cognito's).
const (
	maxValue      = 2048
	maxCustom     = 50
	maxCustomName = 20
)

// AttributeType says what the text of a custom attribute must be.
type AttributeType string

// The types of custom attributes (Cognito's AttributeDataType). All are kept and
// told as text.
const (
	TypeString   AttributeType = "string"
	TypeNumber   AttributeType = "number"
	TypeDateTime AttributeType = "datetime"
	TypeBoolean  AttributeType = "boolean"
)

// standard are the attributes of OpenID Connect Core §5.1 that a user may have
// besides those with a field of their own.
var standard = []string{
	"address", "birthdate", "family_name", "gender", "given_name", "locale", "middle_name", "nickname",
	"picture", "preferred_username", "profile", "website", "zoneinfo",
}

// fields are the names of attributes that have a field of their own in User.
var fields = []string{"name", "email", "phone_number"}

// Standard returns the names of the standard attributes, sorted; the caller may
// change the slice. email_verified, phone_number_verified, sub and updated_at
// follow from others and are not among them.
func Standard() []string { return slices.Sorted(slices.Values(slices.Concat(standard, fields))) }

// Schema says which attributes users may have; the zero value knows the standard
// ones alone. It is never changed after it was made.
type Schema struct {
	custom   map[string]CustomAttribute
	required []string
}

// NewSchema returns the schema of a checked configuration.
func NewSchema(c Config) Schema {
	s := Schema{custom: map[string]CustomAttribute{}, required: slices.Clone(c.Required)}
	for _, a := range c.Custom {
		s.custom[CustomPrefix+a.Name] = a
	}
	return s
}

// Names returns the names of all attributes, custom ones with their prefix,
// sorted.
func (s Schema) Names() []string {
	return slices.Sorted(slices.Values(slices.Concat(standard, fields, slices.Collect(maps.Keys(s.custom)))))
}

// Required returns the attributes that nobody signs up without.
func (s Schema) Required() []string { return slices.Clone(s.required) }

// Custom returns the custom attribute of that name, prefix included.
func (s Schema) Custom(name string) (CustomAttribute, bool) {
	a, ok := s.custom[name]
	return a, ok
}

// Missing returns the required attributes that u does not have.
func (s Schema) Missing(u User) []string {
	var missing []string
	for _, name := range s.required {
		if u.Attribute(name) == "" {
			missing = append(missing, name)
		}
	}
	return missing
}

// Check returns ErrInvalid with a reason when attributes may not be
// stored as they are.
func (s Schema) Check(attributes map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if err := s.checkValue(name, attributes[name]); err != nil {
			return inField(name, err)
		}
	}
	return nil
}

// checkFrozen returns ErrInvalid when after changes what can be set only once.
func (s Schema) checkFrozen(before, after map[string]string) error {
	for name, a := range s.custom {
		if was, had := before[name]; had && !a.Mutable && after[name] != was {
			return inField(name, fmt.Errorf("%w attribute %s: it cannot be changed once it is set", ErrInvalid, name))
		}
	}
	return nil
}

func (s Schema) checkValue(name, value string) error {
	bad := func(why string) error { return fmt.Errorf("%w attribute %s: %s", ErrInvalid, name, why) }
	if !utf8.ValidString(value) || utf8.RuneCountInString(value) > maxValue {
		return bad("it has at most 2,048 characters")
	}
	if name != "address" && strings.ContainsFunc(value, unicode.IsControl) {
		return bad("control characters are not allowed")
	}
	if a, ok := s.custom[name]; ok {
		if why := a.refuses(value); why != "" {
			return bad(why)
		}
		return nil
	}
	if !slices.Contains(standard, name) {
		return bad("there is no such attribute here")
	}
	if why := refusesStandard(name, value); why != "" {
		return bad(why)
	}
	return nil
}

var localeForm = regexp.MustCompile(`^[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*$`)

// refusesStandard returns why value is not one of a standard attribute, "" if it
// is.
func refusesStandard(name, value string) string {
	switch name {
	case "profile", "picture", "website":
		// Applications make links of these.
		u, err := url.Parse(value)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return "it is a web address that begins with https:// or http://"
		}
	case "birthdate":
		_, err := time.Parse(time.DateOnly, value)
		if _, yearErr := time.Parse("2006", value); err != nil && yearErr != nil {
			return "it is a date such as 1990-12-31, or a year"
		}
	case "locale":
		if !localeForm.MatchString(value) {
			return "it is a language such as en or pt-BR"
		}
	}
	return ""
}

// CustomAttribute is an attribute that the operator has defined.
type CustomAttribute struct {
	// Name is 1 to 20 letters, digits, _ or -; everywhere else it is written
	// with custom: before it. Mandatory.
	Name string `yaml:"name"`
	// Type is string, number, datetime (RFC 3339) or boolean. Default string.
	Type AttributeType `yaml:"type"`
	// Min and Max bound a string's length in characters, or a number. Default
	// none; no value has more than 2,048 characters.
	Min *int64 `yaml:"min"`
	Max *int64 `yaml:"max"`
	// Mutable is false for one that is set once and never changed. Default true.
	Mutable bool `yaml:"mutable"`
}

// Defaults sets what absent keys mean.
func (a *CustomAttribute) Defaults() { *a = CustomAttribute{Type: TypeString, Mutable: true} }

// refuses returns why value is not one of a, "" if it is.
func (a CustomAttribute) refuses(value string) string {
	switch a.Type {
	case TypeNumber:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return "it is a whole number"
		}
		return a.outside(n, "it is")
	case TypeBoolean:
		if value != "true" && value != "false" {
			return "it is true or false"
		}
	case TypeDateTime:
		if _, err := time.Parse(time.RFC3339, value); err != nil {
			return "it is a time such as 2030-01-02T15:04:05Z"
		}
	default:
		return a.outside(int64(utf8.RuneCountInString(value)), "its number of characters is")
	}
	return ""
}

func (a CustomAttribute) outside(n int64, what string) string {
	if a.Min != nil && n < *a.Min {
		return fmt.Sprintf("%s at least %d", what, *a.Min)
	}
	if a.Max != nil && n > *a.Max {
		return fmt.Sprintf("%s at most %d", what, *a.Max)
	}
	return ""
}
