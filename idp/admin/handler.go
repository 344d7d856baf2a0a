package admin

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/idp/account"
	"gatehouse/idp/client"
	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/idp/sso"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpx"
)

// Prefix is where the interface is, below the issuer.
const Prefix = "/admin/v1"

// Events reads the record of what happened.
type Events interface {
	// EventsSince returns up to limit events with a Seq above seq, in order.
	EventsSince(ctx context.Context, seq int64, limit int) ([]audit.Event, error)
}

// Parts are what a Handler is made of. All are required but ClientIP and Log.
type Parts struct {
	Config  Config
	Mint    *token.Mint
	Pool    *pool.Pool
	Clients *client.Clients
	Factors *mfa.Factors
	// Accounts invite people.
	Accounts *account.Accounts
	// Sessions are the sign-ins at the provider.
	Sessions sso.Sessions
	Events   Events
	// ClientIP returns the address of the caller, the zero Addr if unknown.
	ClientIP func(*http.Request) netip.Addr
	Log      *slog.Logger
}

// Handler answers the interface. It is safe for concurrent use.
type Handler struct {
	has        Parts
	operations []operation
}

// operation is one method of one path.
type operation struct {
	method string
	// path is below Prefix; a segment in braces stands for any one segment.
	path  string
	right string
	takes body
	do    func(*call) (reply, error)
}

// body says whether an operation takes one.
type body bool

const (
	noBody body = false
	aBody  body = true
)

// Operation is what the interface answers to one method of one path, for those
// who hold its description against it.
type Operation struct{ Method, Path, Right string }

// Operations returns all operations.
func Operations() []Operation {
	var all []Operation
	for _, op := range operations() {
		all = append(all, Operation{op.method, op.path, op.right})
	}
	return all
}

func operations() []operation {
	return slices.Concat(userOperations, memberOperations, factorOperations, sessionOperations, groupOperations, clientOperations, serverOperations, eventOperations)
}

// reply is what an operation answers; a nil body is 204.
type reply struct {
	status int
	body   any
}

// call is one request that may do what it asks for.
type call struct {
	*http.Request
	w      http.ResponseWriter
	h      *Handler
	caller caller
	// segments are what stood for the braces of the path, decoded, in order.
	segments []string
	query    httpx.Form
}

// New returns a Handler.
func New(p Parts) *Handler {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if p.ClientIP == nil {
		p.ClientIP = func(*http.Request) netip.Addr { return netip.Addr{} }
	}
	return &Handler{has: p, operations: operations()}
}

// description is the interface in OpenAPI 3.1; a test holds it against what is
// answered.
//
//go:embed openapi.yaml
var description []byte

// ServeHTTP answers a request whose path, as the client sent it, is Prefix and
// what follows, below the issuer.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, path string) {
	httpx.Handle(h.has.Log, func(w http.ResponseWriter, r *http.Request) error {
		return h.answer(w, r, strings.TrimPrefix(path, Prefix))
	}).ServeHTTP(w, r)
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, path string) error {
	if path == "/openapi.yaml" && r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/yaml")
		_, err := w.Write(description)
		return err
	}
	// A page of another site cannot have a token; one that tries is no client.
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "none" && site != "same-origin" {
		return &httpx.Error{Status: http.StatusForbidden, Public: "this is for programs, not for pages of other sites"}
	}
	who, err := h.authenticate(r)
	if err != nil {
		return err
	}
	op, segments, err := h.find(r.Method, path)
	if err != nil {
		return err
	}
	if err := who.may(op.right); err != nil {
		return err
	}
	if op.takes == noBody && sent(r) {
		public := "the body must be empty: " + op.method + " " + op.path + " takes none"
		return &httpx.Error{Status: http.StatusBadRequest, Code: "invalid_request", Public: public}
	}
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if err := op.reads(query); err != nil {
		return err
	}
	ctx := audit.WithActor(r.Context(), h.actor(r, who))
	out, err := op.do(&call{Request: r.WithContext(ctx), w: w, h: h, caller: who, segments: segments, query: query})
	if err != nil {
		return translate(err)
	}
	w.Header().Set("Cache-Control", "no-store")
	if out.body == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	httpx.WriteJSON(w, out.status, out.body)
	return nil
}

// sent reports whether a request has a body: whoever sends one expects something
// of it.
func sent(r *http.Request) bool {
	if r.ContentLength >= 0 {
		return r.ContentLength > 0
	}
	n, _ := io.ReadAtLeast(r.Body, make([]byte, 1), 1)
	return n > 0
}

// parameters are those of the query, by the operations that have any.
var parameters = map[string][]string{
	"GET /users":  {"name", "after", "limit"},
	"GET /events": {"after", "limit"},
}

// reads refuses a query with a parameter that op does not have: whoever filters by
// what nobody reads would take all for some.
func (op operation) reads(query httpx.Form) error {
	what := op.method + " " + op.path
	for _, name := range query.Names() {
		if !slices.Contains(parameters[what], name) {
			return &httpx.Error{Status: http.StatusBadRequest, Code: "invalid_request", Public: what + " has no parameter " + name}
		}
	}
	return nil
}

// find returns the operation for a method and a path, 404 or 405.
func (h *Handler) find(method, path string) (operation, []string, error) {
	known := false
	for _, op := range h.operations {
		segments, ok := match(op.path, path)
		if !ok {
			continue
		}
		if op.method == method {
			return op, segments, nil
		}
		known = true
	}
	if known {
		return operation{}, nil, &httpx.Error{Status: http.StatusMethodNotAllowed, Public: "this path does not take that method"}
	}
	return operation{}, nil, &httpx.Error{Status: http.StatusNotFound, Public: "there is no such path"}
}

// translate makes an answer of what the domain says.
func translate(err error) error {
	var e *httpx.Error
	switch {
	case errors.As(err, &e):
		return err
	case errors.Is(err, pool.ErrNotFound), errors.Is(err, client.ErrNotFound), errors.Is(err, mfa.ErrNotFound):
		return &httpx.Error{Status: http.StatusNotFound, Public: "there is no such thing", Err: err}
	case errors.Is(err, pool.ErrExists), errors.Is(err, client.ErrExists):
		return &httpx.Error{Status: http.StatusConflict, Code: "exists", Public: "the name, address or number is taken", Err: err}
	case errors.Is(err, client.ErrManaged), errors.Is(err, client.ErrTooManySecrets), errors.Is(err, mfa.ErrLastFactor):
		public := reason(err, client.ErrManaged, client.ErrTooManySecrets, mfa.ErrLastFactor)
		return &httpx.Error{Status: http.StatusConflict, Code: "conflict", Public: public, Err: err}
	case errors.Is(err, account.ErrClosed):
		public := "nobody can be invited here: that needs idp.mail, and idp.account.sign_up other than off"
		return &httpx.Error{Status: http.StatusConflict, Code: "conflict", Public: public, Err: err}
	case errors.Is(err, pool.ErrInvalid), errors.Is(err, client.ErrInvalid):
		return &httpx.Error{Status: http.StatusUnprocessableEntity, Code: "invalid_field", Public: err.Error(), Err: err}
	}
	return busy(err)
}

// reason returns the text of the first of known that err is.
func reason(err error, known ...error) string {
	for _, k := range known {
		if errors.Is(err, k) {
			return k.Error()
		}
	}
	return ""
}
