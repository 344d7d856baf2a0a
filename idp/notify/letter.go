package notify

import (
	"fmt"
	"time"
)

// Letter is a message with its text, ready to be sent.
type Letter struct {
	// ID is the same each time the message is tried: receivers drop what they
	// have.
	ID      string
	Kind    Kind
	Channel Channel
	To      string
	// Lang is the language of the texts.
	Lang string
	// Subject is one line; "" for SMS.
	Subject string
	// Text is plain text that ends with a line feed, HTML the same as a page; ""
	// for SMS.
	Text, HTML string
	// Code and Link stand in the text too: for a demo's mailbox.
	Code, Link string
}

// view is what templates see. Every field is safe in one line of plain text.
type view struct {
	Lang, Subject, Preheader string
	App, Name, Username      string
	Code, Link, Binding      string
	Old, New, Factor, Device string
	At, Valid                string
	Label                    string // of the button
	Kind                     Kind
}

func viewOf(m Message, lang string, now time.Time) view {
	d := m.Data
	v := view{
		Kind: m.Kind, Lang: lang, App: word(d.App), Code: d.Code, Link: d.Link,
		Old: d.Old, New: d.New, Factor: word(d.Factor), Device: name(d.Device),
	}
	if !kinds[m.Kind].stranger {
		v.Name, v.Username = name(d.User), word(d.User)
	}
	if d.Code != "" && d.Host != "" {
		v.Binding = "@" + d.Host + " #" + d.Code
	}
	if !d.At.IsZero() {
		v.At = d.At.UTC().Format("2 January 2006, 15:04 UTC")
	}
	if kinds[m.Kind].need != nothing {
		v.Valid = span(m.Expires.Sub(now))
	}
	return v
}

// span says how long is left, to the nearest minute and then rounded down:
// whoever reads it comes in time, and a code that was made a moment ago lives as
// long as it was made for.
func span(left time.Duration) string {
	left = left.Round(time.Minute)
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		// Ninety minutes are not an hour, two days are not 48 hours, and one day is
		// 24 hours, or it might end at midnight.
		n := int(left / unit.size)
		switch {
		case n >= 2:
			return fmt.Sprintf("%d %ss", n, unit.name)
		case n == 1 && unit.name != "day" && (unit.size == time.Minute || left%unit.size < unit.size/10):
			return "1 " + unit.name
		}
	}
	return "less than a minute"
}
