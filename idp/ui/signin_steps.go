package ui

import (
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/internal/httpx"
)

// stepPage is what the pages of all steps are given.
type stepPage struct {
	common
	// Heading is the <h1>; App what one signs in to.
	Heading, App string
	// Action is where the form goes, Token its form token.
	Action, Token string
	// Username is who signs in; Problem what was wrong with the last answer.
	Username, Problem string
	// Restart begins anew, perhaps as somebody else.
	Restart string
	// SignUp and Forgot are where the links of the first page lead; "" for none.
	SignUp, Forgot string
	// Options is what a browser is asked for a passkey, Script what asks it; ""
	// for none.
	Options, Script string
	// Kind is the factor of the page; Hint says what to do; Others are the ways
	// besides.
	Kind   mfa.Kind
	Hint   string
	Others []way
	// Sent tells that a code was sent or may be.
	Sent bool
	// Secret and QR set up an authenticator app.
	Secret string
	QR     template.HTML
	Codes  []string
	// Leaked tells why a new password is asked for.
	Leaked bool
	// Trust offers to remember the browser.
	Trust bool
}

// way is a factor that can be chosen.
type way struct {
	Kind mfa.Kind
	Name string
}

// step shows the page of the step that f waits in.
func (p *Pages) step(w http.ResponseWriter, f flow) error {
	data := stepPage{
		App: f.App, Action: p.SignInPath(f.ID), Token: p.token(f.secret, signInStep(f.ID, f.Serial)), Username: f.username,
		Problem: f.problem, Restart: f.Restart, Kind: f.Kind, Codes: f.Codes, Trust: f.MayTrust, Leaked: f.Leaked,
	}
	if len(f.Options) > 0 {
		data.Options, data.Script = string(f.Options), p.base+PathPasskeyScript
	}
	if f.Step != signin.StepPassword {
		data.Username = f.Pending.Username
	}
	name := "sign_in"
	switch f.Step {
	case signin.StepPassword:
		data.Heading = "Sign in"
		data.SignUp, data.Forgot = p.link(p.deps.SignUp, "/signup", f.ID), p.link(p.deps.Recovery, "/forgot", f.ID)
	case signin.StepFactor:
		name = p.factor(f, &data)
	case signin.StepSetUp:
		name = p.setUp(f, &data)
	case signin.StepNewPassword:
		name, data.Heading = "new_password", "Choose a new password"
	case signin.StepCodes:
		name, data.Heading = "recovery_codes", "Keep your recovery codes"
	}
	title := data.Heading + " – " + f.App
	if f.Step == signin.StepPassword {
		title = "Sign in to " + f.App
	}
	if f.problem != "" {
		title = "Error: " + title
	}
	data.common = p.common(title)
	return p.show(w, view{status: f.status, name: name, destination: f.Destination, data: data})
}

// factor fills in the page that asks for a second factor, and returns its name.
func (p *Pages) factor(f flow, data *stepPage) string {
	data.Others = ways(f.Kinds, f.Kind)
	switch f.Kind {
	case mfa.Passkey:
		data.Heading = "Use your passkey"
		return "factor_passkey"
	case mfa.TOTP:
		data.Heading, data.Hint = "Enter your code", "Open your authenticator app and type the six digits it shows."
	case mfa.Recovery:
		data.Heading, data.Hint = "Enter a recovery code", "Type one of the codes you kept when you set up your second factor. Each works once."
	default:
		data.Heading = "Enter your code"
		p.sent(f, data)
	}
	return "factor_code"
}

// sent fills in where a code went.
func (p *Pages) sent(f flow, data *stepPage) {
	data.Sent = true
	by := map[mfa.Kind]string{mfa.Email: "by e-mail", mfa.SMS: "by text message"}[f.Kind]
	wait := 0
	if f.Sent != nil {
		wait = int(f.Sent.Again.Sub(p.deps.Now()).Seconds())
	}
	switch {
	case f.Sent == nil:
		data.Hint = "We send you a code " + by + "."
	case f.Sent.To != "":
		data.Hint = "We sent a code of six digits to " + f.Sent.To + "."
	default:
		data.Hint = "Codes were sent to you " + by + " a moment ago."
	}
	if wait > 0 {
		data.Hint += " You can ask for another in " + strconv.Itoa(wait) + " s."
	}
}

// setUp fills in the page on which a factor is set up, and returns its name.
func (p *Pages) setUp(f flow, data *stepPage) string {
	data.Others = ways(f.Kinds, f.Kind)
	switch f.Kind {
	case "":
		data.Heading = "Set up a second factor"
		return "set_up"
	case mfa.TOTP:
		data.Heading = "Set up an authenticator app"
		if f.TOTP != nil {
			// Made by mfa of nothing but modules and a path.
			data.Secret, data.QR = spaced(f.TOTP.Secret), template.HTML(f.TOTP.QR) //nolint:gosec // see above
		}
		return "set_up_totp"
	case mfa.Passkey:
		data.Heading = "Set up a passkey"
		return "set_up_passkey"
	}
	data.Heading = "Confirm that a code reaches you"
	p.sent(f, data)
	return "factor_code"
}

// ways returns what can be chosen besides k.
func ways(kinds []mfa.Kind, k mfa.Kind) []way {
	var list []way
	for _, other := range kinds {
		if other != k {
			list = append(list, way{Kind: other, Name: factorName(other)})
		}
	}
	return list
}

// factorName is what people call a kind of factor.
func factorName(k mfa.Kind) string {
	return map[mfa.Kind]string{
		mfa.TOTP: "Authenticator app", mfa.Passkey: "Passkey", mfa.Email: "Code by e-mail",
		mfa.SMS: "Code by text message", mfa.Recovery: "Recovery code",
	}[k]
}

// spaced writes a secret in groups of four, as it is easier to type.
func spaced(secret string) string {
	var b strings.Builder
	for i, r := range secret {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// passwordProblem says what is wrong with a new password.
func passwordProblem(err error) string {
	text := strings.TrimPrefix(err.Error(), signin.ErrPassword.Error()+": ")
	if errors.Is(err, pool.ErrInvalid) {
		text = strings.TrimPrefix(text, pool.ErrInvalid.Error()+" ")
	}
	return sentence(text)
}

// signInStep is the step of the form tokens of a flow's page.
func signInStep(flow string, serial int) string {
	return "sign-in " + flow + " " + strconv.Itoa(serial)
}

// checkStep checks the form token of a flow's page. It reports false for one of
// an earlier page of the same flow, whose answer has been given already.
func (p *Pages) checkStep(form httpx.Form, f flow) (latest bool, err error) {
	for serial := f.Serial; serial >= 0; serial-- {
		err = p.checkToken(form, f.secret, signInStep(f.ID, serial))
		if err == nil {
			return serial == f.Serial, nil
		}
	}
	return false, err
}
