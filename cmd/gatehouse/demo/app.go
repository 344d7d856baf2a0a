package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Limits of the demo application. They bound what one visitor can hold open or
// make it remember; none of them is meant to be configured.
const (
	maxMessage  = 32 << 10        // bytes of one web socket message
	socketIdle  = 5 * time.Minute // a socket without a message ends
	eventPeriod = time.Second     // one event a second
)

// Seen is a request as the application received it, which is what the JSON
// paths answer with.
type Seen struct {
	// Method is the HTTP method.
	Method string `json:"method"`
	// Path is the path of the request line, percent-encoded as it arrived.
	Path string `json:"path"`
	// Query is the raw query without "?"; "" when there was none.
	Query string `json:"query"`
	// Host is the Host header, which net/http keeps apart from the others.
	Host string `json:"host"`
	// Headers are all other header fields: canonical name to the values in the
	// order of arrival, one item a line, so that a doubled header is visible.
	Headers map[string][]string `json:"headers"`
}

// Order is what /api/orders/{id} answers with: an invented order that depends
// on ID only, and the request that asked for it.
type Order struct {
	// ID is the last part of the path, as text.
	ID string `json:"id"`
	// Item names the thing ordered.
	Item string `json:"item"`
	// Quantity is between 1 and 9.
	Quantity int `json:"quantity"`
	// Cents is the total in hundredths of Currency.
	Cents int `json:"cents"`
	// Currency is an ISO 4217 code.
	Currency string `json:"currency"`
	// Status is one of "open", "packed", "shipped".
	Status string `json:"status"`
	Seen
}

// App is the demo application. It is safe for concurrent use and keeps nothing
// between requests.
//
//	/healthz          200 "ok"
//	/headers          JSON: Seen
//	/api/orders/{id}  JSON: Order
//	/ws               web socket that sends every message back
//	/events           server-sent events, one a second, until the client leaves
//	everything else   an HTML page that shows the request
//
// Dispatch is by hand: http.ServeMux redirects paths that are not clean, and
// then nobody would see what the gateway really passed on.
func App() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		// Pages differ by who is asking, so no cache may keep them.
		h.Set("Cache-Control", "no-store")
		id, isOrder := orderID(r.URL.Path)
		switch {
		case r.URL.Path == "/healthz":
			h.Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprintln(w, "ok")
		case r.URL.Path == "/headers":
			writeJSON(w, see(r))
		case r.URL.Path == "/ws":
			echo(w, r)
		case r.URL.Path == "/events":
			events(w, r)
		case isOrder:
			writeJSON(w, order(id, r))
		default:
			page(w, r)
		}
	})
}

// orderID finds the id in /api/orders/{id}.
func orderID(path string) (string, bool) {
	id, ok := strings.CutPrefix(path, "/api/orders/")
	return id, ok && id != "" && !strings.Contains(id, "/")
}

func see(r *http.Request) Seen {
	return Seen{
		Method:  r.Method,
		Path:    r.URL.EscapedPath(),
		Query:   r.URL.RawQuery,
		Host:    r.Host,
		Headers: r.Header,
	}
}

// order invents an order out of its id, the same one each time.
func order(id string, r *http.Request) Order {
	items := [...]string{"lantern", "door bell", "garden gate", "brass key", "signpost"}
	states := [...]string{"open", "packed", "shipped"}
	hash := fnv.New32a()
	hash.Write([]byte(id))
	n := int(hash.Sum32() & 0xffff)
	quantity := 1 + n%9
	return Order{
		ID:       id,
		Item:     items[n%len(items)],
		Quantity: quantity,
		Cents:    quantity * (250 + n%1000),
		Currency: "EUR",
		Status:   states[n%len(states)],
		Seen:     see(r),
	}
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	out := json.NewEncoder(w)
	// Readable in a terminal; escaping stays on, as a browser may sniff.
	out.SetIndent("", "  ")
	// An error here is a client that went away: there is nobody to tell.
	_ = out.Encode(body)
}

// echo sends every web socket message back, of the kind it came in.
func echo(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this is a web socket: send Upgrade: websocket", http.StatusUpgradeRequired)
		return
	}
	// Accept itself refuses a browser whose Origin is not this host.
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	c.SetReadLimit(maxMessage)
	for {
		if err := echoOne(r, c); err != nil {
			return
		}
	}
}

// echoOne has its own deadline, so that a socket nobody speaks on is given up.
func echoOne(r *http.Request, c *websocket.Conn) error {
	ctx, cancel := context.WithTimeout(r.Context(), socketIdle)
	defer cancel()
	kind, message, err := c.Read(ctx)
	if err != nil {
		return err
	}
	return c.Write(ctx, kind, message)
}

// events sends one event a second, each at once, until the client leaves.
func events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	tick := time.NewTicker(eventPeriod)
	defer tick.Stop()
	for n := 1; ; n++ {
		at := time.Now().UTC().Format(time.RFC3339)
		if _, err := fmt.Fprintf(w, "id: %d\ndata: {\"n\":%d,\"at\":%q}\n\n", n, n, at); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
