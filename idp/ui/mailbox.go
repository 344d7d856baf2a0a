package ui

import (
	"net/http"
	"slices"
	"time"

	"gatehouse/idp/pool"
	"gatehouse/idp/sso"
	"gatehouse/internal/httpx"
)

// PathDemoMail is where a demo shows the messages that it sends nobody, below
// the issuer's path.
const PathDemoMail = "/demo/mail"

// demoReaders is the group whose members may read them.
const demoReaders = "admins"

// Letter is a message of a demo. What it holds lets whoever reads it into
// somebody's account.
type Letter struct {
	At time.Time
	// Kind is what sort of message it is, such as confirm_sign_up; To an address
	// or a number.
	Kind, To string
	// Subject is "" for a text message.
	Subject, Text string
	// Link is the link of the text, "" if it has none.
	Link string
}

type mailboxPage struct {
	common
	Letters []letterRow
}

type letterRow struct {
	Letter
	Came string
}

// DemoMail shows a demo's messages to a member of the group admins: GET
// /demo/mail, in a demo alone.
func (p *Pages) DemoMail(w http.ResponseWriter, r *http.Request) error {
	if !p.deps.Demo || p.deps.Letters == nil {
		return &httpx.Error{Status: http.StatusNotFound, Public: "the provider has no such page"}
	}
	return p.member(0, func(w http.ResponseWriter, r *http.Request, u pool.User, _ sso.Session) error {
		groups, err := p.deps.Pool.GroupsOf(r.Context(), u.ID)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(groups, func(g pool.Group) bool { return g.Name == demoReaders }) {
			return &httpx.Error{Status: http.StatusForbidden, Public: "these messages are for members of the group " + demoReaders}
		}
		data := mailboxPage{common: p.common("Messages of this demo")}
		for _, l := range p.deps.Letters() {
			data.Letters = append(data.Letters, letterRow{Letter: l, Came: moment(l.At)})
		}
		return p.show(w, view{status: http.StatusOK, name: "mailbox", data: data})
	})(w, r)
}
