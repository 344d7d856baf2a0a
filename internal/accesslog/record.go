package accesslog

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/conf"
)

// Longest values, in bytes of the text before it is escaped; what is longer is
// cut before a rune and ends with "…".
const (
	maxPath  = 2048
	maxAgent = 512
	maxValue = 256
)

// Record is one request and its answer. Text may hold any bytes: what is no
// UTF-8 is written as U+FFFD. Strings that are empty are left out of the line.
type Record struct {
	// Time is when the request ended; zero means now. Written in UTC, to the
	// millisecond.
	Time time.Time
	// RequestID is the X-Request-Id of the answer.
	RequestID string
	// TraceParent is the traceparent header as it came (W3C Trace Context §3.2).
	// Its trace id is written; a header that is malformed is left out.
	TraceParent string
	// Method is the request method.
	Method string
	// Path is the canonical path, never with the query. At most 2,048 bytes are
	// written.
	Path string
	// Host is the host asked for, host[:port]. Host and port are written apart, and
	// an IPv6 address without its brackets; a port that is none stays with the host.
	Host string
	// Protocol is what net/http calls Proto, such as "HTTP/1.1"; others than
	// versions 1.0, 1.1, 2 and 3 are left out.
	Protocol string
	// UserAgent is the header as it came. At most 512 bytes are written.
	UserAgent string
	// Client is where the request came from; the zero Addr is left out.
	Client netip.Addr

	// Status is the HTTP status of the answer; 500 and above make the line a
	// warning.
	Status int
	// Route is the name of the route, "" when none matched, and Upstream that of
	// the upstream it was passed on to, "" for none.
	Route, Upstream string
	// Duration is how long the request took, Waited how long its upstream did;
	// Waited below zero means that none answered, and is written as null.
	Duration, Waited time.Duration
	// BytesIn and BytesOut are the sizes of the bodies; below zero means
	// unknown, and is left out.
	BytesIn, BytesOut int64

	// Decision and Reason are words of closed lists: what was done, and why.
	Decision, Reason string
	// Rule is where the rule stands that decided; zero when none did.
	Rule conf.Pos
	// Revision is that of the configuration that decided.
	Revision string
	// Credential is the kind of what proved who asked: session or bearer.
	Credential string
	// UserID is the subject of who asked; never a name or an e-mail address.
	UserID string
}

// The names of a line's fields, in their order. docs/operating.md explains each.
const (
	fieldTime       = "time"
	fieldLevel      = "level"
	fieldMessage    = "msg"
	fieldRequestID  = "request_id"
	fieldTraceID    = "trace_id"
	fieldMethod     = "http.request.method"
	fieldPath       = "url.path"
	fieldHost       = "server.address"
	fieldPort       = "server.port"
	fieldProtocol   = "network.protocol.version"
	fieldStatus     = "http.response.status_code"
	fieldRoute      = "http.route"
	fieldClient     = "client.address"
	fieldAgent      = "user_agent.original"
	fieldDuration   = "duration_ms"
	fieldWaited     = "upstream_ms"
	fieldIn         = "bytes_in"
	fieldOut        = "bytes_out"
	fieldDecision   = "gatehouse.decision"
	fieldReason     = "gatehouse.reason"
	fieldRule       = "gatehouse.rule"
	fieldRevision   = "gatehouse.revision"
	fieldUpstream   = "gatehouse.upstream"
	fieldCredential = "gatehouse.credential"
	fieldUser       = "user.id"
	fieldDropped    = "dropped"
)

// What stands around a member's name, and at the end of a line.
const (
	before = `,"`
	text   = `":"`
	number = `":`
	end    = "}\n"
)

// Append appends the line of r, which ends with a newline, to line and returns
// it. It allocates nothing but a longer line where line has no room.
func (r *Record) Append(line []byte) []byte {
	at := r.Time
	if at.IsZero() {
		at = time.Now()
	}
	line = appendTime(append(line, `{"`+fieldTime+`":"`...), at)
	line = append(line, r.lead()...)
	line = appendText(line, before+fieldRequestID+text, r.RequestID, maxValue)
	line = appendText(line, before+fieldTraceID+text, traceID(r.TraceParent), maxValue)
	line = appendText(line, before+fieldMethod+text, r.Method, maxValue)
	line = appendText(line, before+fieldPath+text, r.Path, maxPath)
	line = appendHost(line, r.Host)
	line = append(line, version(r.Protocol)...)
	line = appendInt(line, before+fieldStatus+number, int64(r.Status))
	line = appendText(line, before+fieldRoute+text, r.Route, maxValue)
	line = appendAddr(line, before+fieldClient+text, r.Client)
	line = appendText(line, before+fieldAgent+text, r.UserAgent, maxAgent)
	line = appendMillis(line, before+fieldDuration+number, max(r.Duration, 0))
	line = appendMillis(line, before+fieldWaited+number, r.Waited)
	if r.BytesIn >= 0 {
		line = appendInt(line, before+fieldIn+number, r.BytesIn)
	}
	if r.BytesOut >= 0 {
		line = appendInt(line, before+fieldOut+number, r.BytesOut)
	}
	line = appendText(line, before+fieldDecision+text, r.Decision, maxValue)
	line = appendText(line, before+fieldReason+text, r.Reason, maxValue)
	line = appendPos(line, before+fieldRule+text, r.Rule)
	line = appendText(line, before+fieldRevision+text, r.Revision, maxValue)
	line = appendText(line, before+fieldUpstream+text, r.Upstream, maxValue)
	line = appendText(line, before+fieldCredential+text, r.Credential, maxValue)
	line = appendText(line, before+fieldUser+text, r.UserID, maxValue)
	return append(line, end...)
}

// lead is what stands between the time of a line and the members of the request.
func (r *Record) lead() string {
	if r.Status >= http.StatusInternalServerError {
		return `","` + fieldLevel + `":"WARN","` + fieldMessage + `":"request"`
	}
	return `","` + fieldLevel + `":"INFO","` + fieldMessage + `":"request"`
}

// appendDropped appends the line that tells how many records are missing.
func appendDropped(line []byte, at time.Time, records uint64) []byte {
	line = appendTime(append(line, `{"`+fieldTime+`":"`...), at)
	line = append(line, `","`+fieldLevel+`":"WARN","`+fieldMessage+`":"access log: records are missing"`...)
	line = appendInt(line, before+fieldDropped+number, int64(records))
	return append(line, end...)
}

// appendHost appends what OpenTelemetry calls address and port of a server.
func appendHost(line []byte, host string) []byte {
	at := strings.LastIndexByte(host, ':')
	port := host[at+1:]
	if at < 0 || !isPort(port) || strings.IndexByte(host[:at], ':') >= 0 && host[at-1] != ']' {
		at, port = len(host), ""
	}
	host = host[:at]
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	line = appendText(line, before+fieldHost+text, host, maxValue)
	if port != "" {
		line = append(append(line, before+fieldPort+number...), port...)
	}
	return line
}

// isPort tells whether s is a port: up to five digits, the first of which is not
// zero, as JSON wants its numbers.
func isPort(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 5 && s[0] != '0'
}

// version is the member with what OpenTelemetry calls the version of an HTTP
// protocol; "" for one that net/http does not speak.
func version(proto string) string {
	switch proto {
	case "HTTP/1.0":
		return before + fieldProtocol + text + `1.0"`
	case "HTTP/1.1":
		return before + fieldProtocol + text + `1.1"`
	case "HTTP/2.0":
		return before + fieldProtocol + text + `2"`
	case "HTTP/3.0":
		return before + fieldProtocol + text + `3"`
	}
	return ""
}

// Lengths of a traceparent of version 00: version, trace id, parent id and flags
// in hexadecimal digits, with dashes between them.
const (
	lengthParent = 55
	beginTrace   = 3
	endTrace     = beginTrace + 32
	beginSpan    = endTrace + 1
	endSpan      = beginSpan + 16
)

// traceID returns the 32 hexadecimal digits of the trace that a traceparent
// header names, "" when the header is not exactly one. Versions to come may say
// more after a further dash (W3C Trace Context §4.2).
func traceID(parent string) string {
	if len(parent) < lengthParent || parent[2] != '-' || parent[endTrace] != '-' || parent[endSpan] != '-' {
		return ""
	}
	if len(parent) > lengthParent && (parent[:2] == "00" || parent[lengthParent] != '-') {
		return ""
	}
	trace, span := parent[beginTrace:endTrace], parent[beginSpan:endSpan]
	if parent[:2] == "ff" || !hex(parent[:2]) || !hex(parent[endSpan+1:lengthParent]) {
		return ""
	}
	if !hex(trace) || !hex(span) || zeros(trace) || zeros(span) {
		return ""
	}
	return trace
}

func hex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zeros(s string) bool {
	for _, c := range []byte(s) {
		if c != '0' {
			return false
		}
	}
	return true
}
