package identity

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxValue bounds one header: what is longer breaks servers that read 8 KiB.
const maxValue = 8 << 10

// truncated is added to the name of a list header, with the value true, when
// not all of the list fitted into it.
const truncated = "-Truncated"

// encode returns s as a header value: printable ASCII stays, all else is
// percent-encoded UTF-8. "%" is encoded too, so that decoding always gives s
// back, and so are spaces at the ends, which servers trim. It returns false
// for text with control characters or broken UTF-8: nobody is called that, and
// an application that decodes it might take it for two headers.
func encode(s string) (string, bool) { return escape(s, "") }

// encodeItem is encode for an item of a comma-separated list.
func encodeItem(s string) (string, bool) { return escape(s, ",") }

func escape(s, also string) (string, bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	clean := true
	for i, r := range s {
		if unicode.IsControl(r) {
			return "", false
		}
		clean = clean && !special(s, i, r, also)
	}
	if clean {
		return s, true
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i, r := range s {
		if !special(s, i, r, also) {
			b.WriteRune(r)
			continue
		}
		for _, c := range []byte(string(r)) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String(), true
}

func special(s string, i int, r rune, also string) bool {
	return r > '~' || r == '%' || strings.ContainsRune(also, r) ||
		r == ' ' && (i == 0 || i == len(s)-1)
}

// join returns items as one comma-separated value of at most maxValue bytes,
// cut between two items; whole reports that nothing was cut. It returns false
// as ok when an item cannot be encoded: a list with a hole in it is a lie.
func join(items []string) (value string, whole, ok bool) {
	var b strings.Builder
	whole = true
	for i, item := range items {
		text, ok := encodeItem(item)
		if !ok {
			return "", false, false
		}
		if b.Len()+len(text)+1 > maxValue {
			whole = false
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(text)
	}
	return b.String(), whole, true
}

// texts returns the value of a claim as a list of words: one for a text, a
// number or a boolean, one for each item of a list of these. It returns false
// for anything else.
func texts(claim any) ([]string, bool) {
	if list, ok := claim.([]any); ok {
		words := make([]string, 0, len(list))
		for _, item := range list {
			word, ok := text(item)
			if !ok {
				return nil, false
			}
			words = append(words, word)
		}
		return words, true
	}
	word, ok := text(claim)
	return []string{word}, ok
}

func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}
