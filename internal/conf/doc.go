// Package conf reads one strict YAML file into Go structs and says everything
// that is wrong with it at once.
//
// It answers: what does the file say, where does each value stand, and what
// must a person change. It owns the YAML dialect of gatehouse: struct tags,
// units (90s, 7d, 64KiB), references (${NAME}, ${NAME:-default},
// ${file:/path}, $$ for a dollar sign), "did you mean", and the rendering of
// mistakes.
//
// Order of events: the text is parsed into YAML nodes; one walk over the nodes
// decodes them into the caller's struct by reflection. On every struct that
// walk calls Defaults before the first key, fills the fields, and calls Check
// after the last key. Each mistake is collected, none ends the walk. At the
// end the mistakes are sorted by position and rendered with the line and a
// caret.
//
// An excerpt shows only text that is known to be harmless: keys and values
// that were decoded into a field which is not a Secret. Values of secrets and
// of unknown keys, comments, and whatever could not be understood are hidden,
// so that a misspelt client_secret reaches no log.
//
// It must not know what any key means: the packages that own a setting export
// a Config and check it themselves.
package conf
