package identity

import (
	"fmt"
	"maps"
	"net/textproto"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/conf"
)

// Headers says what an application is told about who is asking. In YAML it is
// a preset or a map from header to source:
//
//	identity_headers: default
//	identity_headers: { X-WEBAUTH-USER: username, X-Team: "claim:team", X-Via: "static:gatehouse" }
//
// Presets: default sets X-Forwarded-User, -Email (a verified one only),
// -Groups and -Preferred-Username; alb sets X-Amzn-Oidc-Data, -Identity and
// -Accesstoken as an AWS application load balancer does; none sets nothing.
// Sources: username, email (verified only), name, groups, sub, assertion (a
// signed JWT), claim:NAME, static:TEXT.
//
// The zero value is the preset default.
type Headers struct {
	// Pos is where it stands in the file.
	Pos conf.Pos `yaml:"-"`

	preset string
	fields []field
}

// The presets.
const (
	presetDefault = "default"
	presetALB     = "alb"
	presetNone    = "none"
)

// Preset returns the headers of a preset by its name: default, alb or none.
func Preset(name string) (Headers, error) {
	if !slices.Contains([]string{presetDefault, presetALB, presetNone}, name) {
		return Headers{}, fmt.Errorf("unknown preset %q of identity headers", name)
	}
	return Headers{preset: name}, nil
}

// UnmarshalConf reads both forms.
func (h *Headers) UnmarshalConf(n *conf.Node) {
	pos := h.Pos
	*h = Headers{Pos: pos}
	switch n.Kind() {
	case conf.Scalar:
		p, err := Preset(n.Scalar())
		if err != nil {
			n.Errorf("identity_headers is default, alb, none, or a map from header to source")
			return
		}
		h.preset = p.preset
	case conf.Map:
		h.fromMap(n)
	default:
		n.Errorf("identity_headers is default, alb, none, or a map from header to source")
	}
}

// entry keeps the node of one header, so that mistakes are shown where they
// stand. A map is read through it because conf.Node.Keys leaves out keys that
// begin with "x-", and most names of headers do.
type entry struct{ node *conf.Node }

// UnmarshalConf keeps n.
func (e *entry) UnmarshalConf(n *conf.Node) { e.node = n }

func (h *Headers) fromMap(n *conf.Node) {
	entries := map[string]*entry{}
	n.Decode(&entries)
	seen := map[string]string{}
	h.fields = []field{}
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		value := entries[name].node
		if value == nil {
			continue // a mistake that was told
		}
		f, err := parseField(name, value.Scalar())
		if err != nil {
			value.Errorf("%v", err)
			continue
		}
		if other, ok := seen[fold(name)]; ok {
			value.Errorf("applications take %s and %s for one header", name, other)
			continue
		}
		seen[fold(name)] = name
		h.fields = append(h.fields, f)
	}
}

var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,63}$`)

// checkName refuses names that servers drop or confuse, and those that mean
// something else.
func checkName(name string) error {
	if !headerName.MatchString(name) {
		return fmt.Errorf("a header name is letters, digits and dashes, at most 64 of them; many servers drop all others")
	}
	if slices.Contains(reserved, fold(name)) || strings.HasPrefix(fold(name), "sec-") {
		return fmt.Errorf("%s cannot carry an identity: it means something else", name)
	}
	return nil
}

// plain are the sources that are one word.
var plain = []source{fromUsername, fromEmail, fromName, fromGroups, fromSubject, fromAssertion}

// parseField reads the source of one header.
func parseField(name, text string) (field, error) {
	if err := checkName(name); err != nil {
		return field{}, err
	}
	f := field{name: textproto.CanonicalMIMEHeaderKey(name)}
	if slices.Contains(plain, source(text)) {
		f.source = source(text)
		return f, nil
	}
	word, arg, _ := strings.Cut(text, ":")
	if arg == "" || word != string(fromClaim) && word != string(fromStatic) {
		return field{}, fmt.Errorf("%q is no source: username, email, name, groups, sub, assertion, claim:NAME or static:TEXT", text)
	}
	f.source, f.arg = source(word), arg
	if f.source == fromClaim && arg == "email" {
		// An address nobody has verified is no identity, however it is asked for.
		f.source, f.arg = fromEmail, ""
	}
	if value, ok := encode(arg); f.source == fromStatic && (!ok || value != arg) {
		return field{}, fmt.Errorf("static text is printable ASCII without %% and without spaces at its ends")
	}
	return f, nil
}

// ALB is what the alb preset adds.
type ALB struct {
	// Signer is the ARN in the signer field of assertions, which verifiers
	// compare with the load balancer they expect. Default: DefaultSigner.
	Signer string `yaml:"signer"`
}

// arn is the shape that aws-jwt-verify demands of a load balancer.
var arn = regexp.MustCompile(`^arn:(?:aws|aws-cn|aws-us-gov):elasticloadbalancing:[a-z]{2}-(?:gov-)?[a-z]+-\d:[\x21-\x7e]{1,256}$`)

// Check refuses an ARN that no verifier would accept.
func (a *ALB) Check(r *conf.Report) {
	if a.Signer != "" && !arn.MatchString(a.Signer) {
		r.Errorf(&a.Signer, "signer is the ARN of a load balancer: arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID")
	}
}
