package oidc

import (
	"net/http"
	"net/url"
	"slices"

	"gatehouse/idp/client"
)

// OpenCORS lets scripts of every origin read an endpoint that tells everybody
// the same: discovery and keys.
func (h *Handler) OpenCORS(next http.Handler) http.Handler {
	return cors(next, func(*http.Request) string { return "*" })
}

// CORS lets scripts read an endpoint when they come from an origin of a
// redirect URI of some client. Credentials are never allowed: cookies mean
// nothing at these endpoints, and tokens are sent by hand.
func (h *Handler) CORS(next http.Handler) http.Handler {
	return cors(next, h.allowedOrigin)
}

func cors(next http.Handler, allow func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := &granting{ResponseWriter: w, origin: allow(r)}
		if r.Method != http.MethodOptions {
			next.ServeHTTP(g, r)
			return
		}
		if g.origin != "" {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
			w.Header().Set("Access-Control-Max-Age", "600")
		}
		g.WriteHeader(http.StatusNoContent)
	})
}

// allowedOrigin returns the request's Origin if it is registered, else "". An
// origin that cannot be looked up is none.
func (h *Handler) allowedOrigin(r *http.Request) string {
	origins := r.Header.Values("Origin")
	if len(origins) != 1 {
		return ""
	}
	clients, err := h.Clients.List(r.Context())
	if err != nil {
		h.Log.ErrorContext(r.Context(), "origin of a script not looked up", "error", err)
		return ""
	}
	known := slices.ContainsFunc(clients, func(c client.Client) bool {
		return slices.ContainsFunc(c.RedirectURIs, func(uri string) bool { return originOf(uri) == origins[0] })
	})
	if !known {
		return ""
	}
	return origins[0]
}

// originOf returns the web origin of a URI, "" for one of another scheme.
func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// granting puts the grant on whatever answer is written, errors too, which
// begin with a clean header.
type granting struct {
	http.ResponseWriter
	origin string
	done   bool
}

func (g *granting) WriteHeader(status int) {
	if !g.done {
		g.done = true
		h := g.Header()
		if g.origin != "*" {
			h.Add("Vary", "Origin")
		}
		if g.origin != "" {
			h.Set("Access-Control-Allow-Origin", g.origin)
			h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
		}
	}
	g.ResponseWriter.WriteHeader(status)
}

func (g *granting) Write(p []byte) (int, error) {
	if !g.done {
		g.WriteHeader(http.StatusOK)
	}
	return g.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the real writer.
func (g *granting) Unwrap() http.ResponseWriter { return g.ResponseWriter }
