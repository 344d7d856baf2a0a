package ui

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpx"
)

// PathSecurity is where people see and change their second factors, below the
// issuer's path.
const PathSecurity = "/account/security"

// securityFresh is how long ago somebody may have signed in who sees or changes
// their second factors.
const securityFresh = 10 * time.Minute

// securityStep is the step of the form tokens of that page.
const securityStep = "account security"

type securityPage struct {
	common
	Action, Token, Problem, Username string
	Factors                          []factorRow
	Enrollable                       []way
	Preferable                       []way
	Preferred                        mfa.Kind
	HasCodes, CanHaveCodes           bool
	CodesLeft                        int
	Devices                          []mfa.Device
}

type factorRow struct {
	mfa.Factor
	Label string
	// Last is when it was last used, "" for never.
	Last string
}

// Security shows a person's second factors: GET /account/security.
func (p *Pages) Security(w http.ResponseWriter, r *http.Request) error {
	return p.member(securityFresh, func(w http.ResponseWriter, r *http.Request, user pool.User, _ sso.Session) error {
		return p.security(w, r, user, "")
	})(w, r)
}

// security shows the page, with what was wrong with the last form; "" for none.
func (p *Pages) security(w http.ResponseWriter, r *http.Request, user pool.User, problem string) error {
	who, err := p.person(r.Context(), user)
	if err != nil {
		return err
	}
	set, err := p.deps.Factors.Of(r.Context(), user.ID)
	if err != nil {
		return err
	}
	devices, err := p.deps.Factors.Devices(r.Context(), user.ID)
	if err != nil {
		return err
	}
	title, status := "Sign-in and security", http.StatusOK
	if problem != "" {
		title, status = "Error: "+title, http.StatusUnprocessableEntity
	}
	data := securityPage{
		common: p.common(title), Action: p.base + PathSecurity, Token: p.token(p.deps.SSO.Ticket(r), securityStep),
		Problem: problem, Username: user.Username, Enrollable: ways(p.deps.Factors.Enrollable(set, who), ""),
		Preferred: set.Preferred, HasCodes: set.Has(mfa.Recovery), CanHaveCodes: set.Enrolled(), CodesLeft: set.RecoveryLeft,
		Devices: devices,
	}
	for _, f := range set.Factors {
		if f.Kind == mfa.Recovery {
			continue
		}
		row := factorRow{Factor: f, Label: factorName(f.Kind)}
		if !f.Used.IsZero() {
			row.Last = f.Used.UTC().Format("2 January 2006")
		}
		data.Factors = append(data.Factors, row)
	}
	for _, k := range p.deps.Factors.Offer(set, who) {
		if k != mfa.Recovery {
			data.Preferable = append(data.Preferable, way{Kind: k, Name: factorName(k)})
		}
	}
	return p.show(w, view{status: status, name: "security", data: data})
}

// ChangeSecurity takes a form of that page: POST /account/security.
func (p *Pages) ChangeSecurity(w http.ResponseWriter, r *http.Request) error {
	form, err := p.readForm(w, r)
	if err != nil {
		return err
	}
	user, session, err := p.present(r)
	if err != nil {
		return err
	}
	if session.ID == "" {
		p.goTo(w, r, p.base+PathSecurity)
		return nil
	}
	if err := p.checkToken(form, p.deps.SSO.Ticket(r), securityStep); err != nil {
		return err
	}
	ctx := audit.WithActor(r.Context(), audit.Actor{Name: user.Username, IP: addressText(p.deps.ClientIP(r))})
	c := change{Pages: p, form: form, user: user, session: session}
	err = c.do(ctx, w, r)
	switch {
	case errors.Is(err, errAnswered):
		return nil
	case errors.Is(err, mfa.ErrLastFactor):
		return p.security(w, r, user, "You need a second factor, and this is your last one. Set up another one first.")
	case errors.Is(err, mfa.ErrName):
		return p.security(w, r, user, "A name has 1 to 64 characters, all of them plain text.")
	case errors.Is(err, mfa.ErrNotFound), errors.Is(err, mfa.ErrNotOffered), errors.Is(err, signin.ErrNotAsked):
		// Done already, perhaps in another tab.
	case err != nil:
		return err
	}
	p.goTo(w, r, p.base+PathSecurity)
	return nil
}

// change is one form of the security page on its way.
type change struct {
	*Pages
	form    httpx.Form
	user    pool.User
	session sso.Session
}

// do makes the change that the form asks for. Every one needs a sign-in of a
// moment ago; what takes something away needs a second factor as well.
func (c change) do(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	kind, id := mfa.Kind(c.form.Get("kind")), c.form.Get("id")
	what := c.form.Get("do")
	if c.deps.Now().Sub(c.session.AuthTime) > securityFresh {
		return c.begin(w, r, signin.Ask{For: signin.ForAccount, App: accountApp, Restart: c.base + PathSecurity, Hint: c.user.Username})
	}
	if (what == "remove" || what == "codes") && !signin.Satisfies(c.session.AMR) {
		return c.begin(w, r, signin.Ask{
			For: signin.ForAccount, App: accountApp, Restart: c.base + PathSecurity, Strong: true, Known: known(c.session),
		})
	}
	switch what {
	case "add":
		return c.add(w, r, kind)
	case "remove":
		return c.remove(ctx, kind, id)
	case "codes":
		return c.codes(ctx, w)
	case "prefer":
		return c.deps.Factors.Prefer(ctx, c.user.ID, kind)
	case "rename":
		return c.deps.Factors.Rename(ctx, c.user.ID, id, c.form.Get("name"))
	case "forget":
		return c.deps.Factors.Forget(ctx, c.user.ID, id)
	}
	return &httpx.Error{Status: http.StatusBadRequest, Public: "the form asks for nothing that is known here"}
}

// known is what a flow goes on from that asks for no more than is missing.
func known(s sso.Session) *signin.Known {
	return &signin.Known{Session: s.ID, UserID: s.UserID, AuthTime: s.AuthTime, AMR: s.AMR}
}

// add leads to the set-up of a factor that the page offers.
func (c change) add(w http.ResponseWriter, r *http.Request, k mfa.Kind) error {
	who, err := c.person(r.Context(), c.user)
	if err != nil {
		return err
	}
	set, err := c.deps.Factors.Of(r.Context(), c.user.ID)
	if err != nil {
		return err
	}
	if !slices.Contains(c.deps.Factors.Enrollable(set, who), k) {
		return mfa.ErrNotOffered
	}
	return c.begin(w, r, signin.Ask{
		For: signin.ForAccount, App: accountApp, Restart: c.base + PathSecurity, Enrol: k, Known: known(c.session),
	})
}

// remove takes a factor away, which ends every session of the person.
func (c change) remove(ctx context.Context, k mfa.Kind, id string) error {
	who, err := c.person(ctx, c.user)
	if err != nil {
		return err
	}
	if err := c.deps.Factors.Remove(ctx, who, k, id); err != nil {
		return err
	}
	c.deps.Machine.Tell(ctx, c.user, signin.Notice{What: signin.FactorRemoved, Factor: k})
	return nil
}

// codes makes new recovery codes and shows them, once.
func (c change) codes(ctx context.Context, w http.ResponseWriter) error {
	codes, err := c.deps.Factors.NewRecoveryCodes(ctx, c.user.ID)
	if err != nil {
		return err
	}
	c.deps.Machine.Tell(ctx, c.user, signin.Notice{What: signin.FactorAdded, Factor: mfa.Recovery})
	data := struct {
		common
		Codes  []string
		Return string
	}{c.common("Keep your recovery codes"), codes, c.base + PathSecurity}
	if err := c.show(w, view{status: http.StatusOK, name: "new_codes", data: data}); err != nil {
		return err
	}
	return errAnswered
}

// person is how the second factors know a user.
func (p *Pages) person(ctx context.Context, user pool.User) (mfa.Person, error) {
	groups, err := p.deps.Pool.GroupsOf(ctx, user.ID)
	return signin.Person(user, groups), err
}

// addressText is an address for the record, "" if it is not known.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
