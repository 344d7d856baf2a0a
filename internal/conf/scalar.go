package conf

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

var (
	secretType   = reflect.TypeFor[Secret]()
	sizeType     = reflect.TypeFor[Size]()
	durationType = reflect.TypeFor[time.Duration]()
	urlType      = reflect.TypeFor[url.URL]()
	addrType     = reflect.TypeFor[netip.Addr]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
)

// isScalarType reports whether t is written as one value though its kind may
// be a struct.
func isScalarType(t reflect.Type) bool {
	switch t {
	case secretType, sizeType, durationType, urlType, addrType, prefixType:
		return true
	}
	return false
}

// scalar decodes one value. The message of a mistake shows the text of the
// file, not what a reference expanded to: that may come from a secret store.
func (f *File) scalar(y *yaml.Node, v reflect.Value, at *path) bool {
	if !f.want(y, Scalar, at) {
		return false
	}
	f.show(y)
	text, ok := f.expand(y, at)
	if !ok {
		return false
	}
	err := setScalar(v, text)
	if err == nil {
		return true
	}
	message := at.lead() + err.Error()
	// What an alias names may be a secret elsewhere.
	if y.Anchor == "" {
		message += ", got " + quote(y.Value)
	}
	f.add(f.at(y), false, message)
	return false
}

// quote renders a value for a message: one line, cut when long, without the
// password and the query of a URL.
func quote(s string) string {
	// The password first: it may have a question mark.
	if hasUserinfo(s) {
		i, j := strings.Index(s, "://"), strings.LastIndexByte(s, '@')
		s = s[:i+3] + "***" + s[j:]
	}
	if hasQuery(s) {
		before, _, _ := strings.Cut(s, "?")
		s = before + "?***"
	}
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}

// hasUserinfo reports whether s may be a URL with a user and a password in it.
func hasUserinfo(s string) bool {
	i := strings.Index(s, "://")
	return i >= 0 && strings.LastIndexByte(s, '@') > i
}

// hasQuery reports whether s may be a URL with a query, which may be signed.
func hasQuery(s string) bool {
	return strings.Contains(s, "://") && strings.Contains(s, "?")
}

// setScalar sets v from text. The error says what is wanted and never quotes
// the text.
func setScalar(v reflect.Value, text string) error {
	switch v.Type() {
	case secretType:
		v.SetString(text)
		return nil
	case durationType:
		d, err := ParseDuration(text)
		v.SetInt(int64(d))
		return err
	case sizeType:
		n, err := ParseSize(text)
		v.SetInt(int64(n))
		return err
	case urlType:
		u, err := parseURL(text)
		if err == nil {
			v.Set(reflect.ValueOf(*u))
		}
		return err
	case addrType:
		a, err := netip.ParseAddr(text)
		v.Set(reflect.ValueOf(a))
		return wantIf(err, "an IP address such as 192.0.2.1 or 2001:db8::1")
	case prefixType:
		p, err := parsePrefix(text)
		v.Set(reflect.ValueOf(p))
		return err
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	return setKind(v, text)
}

func setKind(v reflect.Value, text string) error {
	switch {
	case v.Kind() == reflect.String:
		v.SetString(text)
		return nil
	case v.Kind() == reflect.Bool:
		v.SetBool(text == "true")
		if text != "true" && text != "false" {
			return errors.New("want true or false")
		}
		return nil
	case v.CanInt():
		n, err := parseInt(text, v.Type().Bits())
		v.SetInt(n)
		return err
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return wantIf(err, fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-v.Type().Bits())))
	case v.CanFloat():
		x, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("want a number")
		}
		v.SetFloat(x)
		return nil
	}
	panic(fmt.Sprintf("conf: a field of type %s cannot be read from YAML", v.Type()))
}

// parseInt refuses a leading zero: 0644 would be 420 to one reader and 644 to
// the next.
func parseInt(text string, bits int) (int64, error) {
	digits := strings.TrimPrefix(text, "-")
	n, err := strconv.ParseInt(text, 10, bits)
	if err == nil && (len(digits) > 1 && digits[0] == '0' || text[0] == '+') {
		return 0, errors.New("want a whole number without leading zeros or signs")
	}
	if errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("the number is too large")
	}
	return n, wantIf(err, "a whole number")
}

func wantIf(err error, what string) error {
	if err == nil {
		return nil
	}
	return errors.New("want " + what)
}

// ParseDuration reads what time.ParseDuration reads and days, 24 hours each,
// in front: 90s, 1h30m, 7d, 1d12h. Negative durations are refused.
func ParseDuration(text string) (time.Duration, error) {
	want := errors.New("want a duration such as 90s, 15m, 1h30m or 7d")
	if _, err := strconv.Atoi(text); err == nil && text != "0" {
		return 0, fmt.Errorf("%w (the unit is missing)", want)
	}
	days, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, want
	}
	d := time.Duration(n) * 24 * time.Hour
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || more < 0 || d > math.MaxInt64-more || hasDays && !startsWithDigit(rest) {
			return 0, want
		}
		d += more
	}
	if text == "" {
		return 0, want
	}
	return d, nil
}

func startsWithDigit(s string) bool { return s[0] >= '0' && s[0] <= '9' }

// parseURL demands a scheme and a host, and refuses a password: it would be
// printed with the URL.
func parseURL(text string) (*url.URL, error) {
	const want = "want a URL such as https://app.example.com"
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New(want)
	case u.Scheme == "" || u.Opaque != "":
		return nil, errors.New(want + " (it must begin with https:// or http://)")
	case u.Host == "":
		return nil, errors.New(want + " (the host is missing)")
	case u.User != nil:
		return nil, errors.New(want + " (no user or password in it)")
	}
	return u, nil
}

// parsePrefix takes a bare address as the network of that one address, and
// refuses bits beyond the prefix: 10.0.0.1/8 is more often a typing mistake
// than a way to write 10.0.0.0/8.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errors.New("want a network such as 10.0.0.0/8, or an address")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("want a network; %s is the one that holds this address", p.Masked())
	}
	return p, nil
}
