package ui

import (
	"net/http"
	"strings"
	"time"

	"gatehouse/idp/pool"
	"gatehouse/idp/sso"
	"gatehouse/internal/httpx"
)

type sessionRow struct {
	ID, Device, IP, Since, Seen string
	Here                        bool
}

type sessionsPage struct {
	common
	Action, Token, Note, Back string
	Rows                      []sessionRow
}

// Sessions shows where the person has signed in: GET /account/sessions.
func (p *Pages) Sessions(w http.ResponseWriter, r *http.Request) error {
	return p.member(0, p.listSessions)(w, r)
}

func (p *Pages) listSessions(w http.ResponseWriter, r *http.Request, u pool.User, here sso.Session) error {
	all, err := p.deps.SSO.List(r.Context(), u.ID)
	if err != nil {
		return err
	}
	data := sessionsPage{
		common: p.common("Where you are signed in"), Action: p.base + PathSessions, Back: p.base + PathAccount,
		Token: p.token(p.deps.SSO.Ticket(r), ownStep(PathSessions)),
	}
	data.Head.Wide = true
	if r.URL.Query().Has("ended") {
		data.Note = "Ended."
	}
	for _, s := range all {
		data.Rows = append(data.Rows, sessionRow{
			ID: s.ID, Device: device(s.UserAgent), IP: s.IP, Since: moment(s.AuthTime), Seen: moment(s.Seen), Here: s.ID == here.ID,
		})
	}
	return p.show(w, view{status: http.StatusOK, name: "sessions", data: data})
}

// EndSessions ends one session, or all but this one: POST /account/sessions.
func (p *Pages) EndSessions(w http.ResponseWriter, r *http.Request) error {
	u, here, form, err := p.own(w, r, PathSessions, 0)
	if err != nil {
		return err
	}
	which := form.Get("end")
	all, err := p.deps.SSO.List(r.Context(), u.ID)
	if err != nil {
		return err
	}
	ended := false
	for _, s := range all {
		// Of this person's alone: the id of another's ends nothing.
		if s.ID != which && (which != "others" || s.ID == here.ID) {
			continue
		}
		if err := p.deps.EndSession(p.actor(r, u.Username), s.ID, u.ID); err != nil {
			return &httpx.Error{Status: http.StatusServiceUnavailable, Err: err, Public: "the session could not be ended; it is still there"}
		}
		ended = ended || s.ID == here.ID
	}
	if ended {
		p.deps.SSO.ClearCookie(w)
		return p.SignedOut(w)
	}
	p.goTo(w, r, p.base+PathSessions+"?ended=1")
	return nil
}

func moment(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04") }

// device says in words what a User-Agent names. It is what the browser says of
// itself, and no proof of anything.
func device(agent string) string {
	first := func(from [][2]string, or string) string {
		for _, pair := range from {
			if strings.Contains(agent, pair[0]) {
				return pair[1]
			}
		}
		return or
	}
	// The order matters: Edge and Opera say Chrome, Chrome says Safari, Android
	// says Linux, an iPhone says Mac OS X.
	browser := first([][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}, "A browser")
	system := first([][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	}, "")
	if system == "" {
		return browser
	}
	return browser + " on " + system
}
