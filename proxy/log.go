package proxy

import (
	"log/slog"
	"net/http"
)

// levelOf is how loud a refusal is: what the operator can mend is a warning.
func levelOf(status int) slog.Level {
	if status >= http.StatusInternalServerError {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// attrs describes a verdict with the names of OpenTelemetry's semantic
// conventions. No query, no credential and no e-mail address is among them.
func attrs(g *Gate, v *Verdict, id string) []slog.Attr {
	a := []slog.Attr{
		slog.String("request_id", id),
		slog.String("http.request.method", v.Request.Method),
		slog.String("server.address", v.Request.Host),
		slog.Int("http.response.status_code", v.Status),
		slog.String("gatehouse.reason", string(v.Reason)),
	}
	if v.Request.Path != "" {
		a = append(a, slog.String("url.path", v.Request.Path))
	}
	if v.Client.Addr.IsValid() {
		a = append(a, slog.String("client.address", v.Client.Addr.String()))
	}
	if v.Route >= 0 && v.Route < len(g.routes) {
		a = append(a, slog.String("http.route", g.routes[v.Route].Name), slog.String("gatehouse.rule", v.Rule.String()))
	}
	if v.Identity != nil {
		a = append(a, slog.String("user.id", v.Identity.Subject), slog.String("gatehouse.credential", string(v.Identity.Credential)))
	}
	return a
}

func errorAttr(err error) slog.Attr { return slog.String("error", err.Error()) }
