package idp

import (
	"maps"
	"net/http"

	"gatehouse/idp/ui"
)

// accountTable adds the pages of idp/account to the map of paths.
func (p *Provider) accountTable(routes map[string]route, page func(func(http.ResponseWriter, *http.Request) error) http.Handler) {
	form := func(get, post func(http.ResponseWriter, *http.Request) error) route {
		return route{"GET": page(get), "HEAD": page(get), "POST": page(post)}
	}
	maps.Copy(routes, map[string]route{
		ui.PathSignUp:         form(p.pages.SignUp, p.pages.SignedUp),
		ui.PathConfirm:        form(p.pages.ConfirmSignUp, p.pages.ConfirmedSignUp),
		ui.PathResend:         {"POST": page(p.pages.Resend)},
		ui.PathForgot:         form(p.pages.Forgot, p.pages.Forgotten),
		ui.PathReset:          form(p.pages.Reset, p.pages.ResetPassword),
		ui.PathInvite:         form(p.pages.Invite, p.pages.AcceptInvite),
		ui.PathAccount:        form(p.pages.Account, p.pages.ChangeProfile),
		ui.PathEmail:          form(p.pages.Email, p.pages.ChangeEmail),
		ui.PathPhone:          form(p.pages.Phone, p.pages.ChangePhone),
		ui.PathPassword:       form(p.pages.Password, p.pages.ChangePassword),
		ui.PathSessions:       form(p.pages.Sessions, p.pages.EndSessions),
		ui.PathDelete:         form(p.pages.Leave, p.pages.Left),
		ui.PathChangePassword: {"GET": page(p.pages.ToPassword), "HEAD": page(p.pages.ToPassword)},
		// A look at it, such as a reload, begins again.
		ui.PathForgotCode: form(p.pages.Forgot, p.pages.ResetByCode),
	})
}
