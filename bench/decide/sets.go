package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"gatehouse/policy"
	"gatehouse/session"
)

// hotRoutes is how many routes of a set are asked about when it is hot.
const hotRoutes = 10

// set is a policy of many routes, and the questions asked of it.
type set struct {
	routes int
	// fresh evaluates each time, kept remembers.
	fresh, kept *policy.Policy
	questions   []policy.Query
}

// newSet compiles a policy of n routes.
func newSet(n int, rules func(i int) policy.Allow) (*set, error) {
	list := make([]policy.Rule, n)
	for i := range list {
		list[i] = policy.Rule{Route: fmt.Sprintf("route-%d", i), Allow: rules(i)}
	}
	s := &set{routes: n}
	var err error
	if s.fresh, err = policy.Compile(context.Background(), policy.Config{}, list); err != nil {
		return nil, err
	}
	if s.kept, err = policy.Compile(context.Background(), policy.Config{Memory: true}, list); err != nil {
		return nil, err
	}
	id := asker()
	for i := range n {
		s.questions = append(s.questions, question(i, id))
	}
	return s, nil
}

// ownRule is one that no other route has: a group or a scope, and more.
func ownRule(i int) policy.Allow {
	return policy.Allow{When: &policy.Condition{
		AnyOf: []policy.Condition{
			{Groups: []string{"admins", fmt.Sprintf("team-%d", i)}, EmailDomains: []string{"example.com"}},
			{Scopes: []string{fmt.Sprintf("api-%d.read", i)}},
		},
		Not: &policy.Condition{Clients: []string{"legacy"}},
	}}
}

// sharedRule is one of a hundred.
func sharedRule(i int) policy.Allow { return ownRule(i % 100) }

// question is about route i, asked by a person whom every rule allows. It is the
// same person always: what differs between two sets is the policy alone.
func question(i int, id *session.Identity) policy.Query {
	return policy.Query{
		Route: i, Identity: id,
		Method: "GET", Host: "app.example.com", Path: "/page", ClientIP: netip.MustParseAddr("203.0.113.9"),
	}
}

func asker() *session.Identity {
	now := time.Now()
	return &session.Identity{
		Credential: session.Cookie, Issuer: "https://login.example.com", Subject: "8d0c", Username: "dana",
		Email: "dana@example.com", EmailVerified: true, ClientID: "gatehouse", ClientNamed: true,
		Groups: []string{"staff", "everybody", "night-shift", "admins"},
		Person: true, Listed: true, Claims: map[string]any{}, IssuedAt: now, AuthTime: now, Expires: now.Add(time.Hour),
	}
}
