package admin

import (
	"net/http"
	"strconv"

	"gatehouse/internal/httpx"
)

type eventJSON struct {
	Seq     int64             `json:"seq"`
	At      string            `json:"at"`
	Type    string            `json:"type"`
	Actor   string            `json:"actor,omitempty"`
	ActorIP string            `json:"actor_ip,omitempty"`
	Target  string            `json:"target,omitempty"`
	Client  string            `json:"client,omitempty"`
	Detail  map[string]string `json:"detail,omitempty"`
}

type eventsJSON struct {
	Events []eventJSON `json:"events"`
}

var eventOperations = []operation{{"GET", "/events", EventsRead, noBody, listEvents}}

// listEvents answers events after a number, in order: a reader goes on with the
// last seq it was given.
func listEvents(c *call) (reply, error) {
	limit, err := c.limit()
	if err != nil {
		return reply{}, err
	}
	after := int64(0)
	if text := c.query.Get("after"); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return reply{}, httpx.Field("after", "is the seq of an event")
		}
	}
	events, err := c.h.has.Events.EventsSince(c.Context(), after, limit)
	if err != nil {
		return reply{}, err
	}
	out := eventsJSON{Events: []eventJSON{}}
	for _, e := range events {
		out.Events = append(out.Events, eventJSON{
			Seq: e.Seq, At: stamp(e.At), Type: e.Type, Actor: e.Actor, ActorIP: e.ActorIP, Target: e.Target, Client: e.Client, Detail: e.Detail,
		})
	}
	return reply{http.StatusOK, out}, nil
}
