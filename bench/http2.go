package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// streamsEach is how many requests are under way at once on one connection.
const streamsEach = 8

// askHTTP2 asks over HTTP/2: as many requests at once as t has connections, but
// several of them share a connection, as browsers do.
func askHTTP2(ctx context.Context, t target, duration time.Duration) (load, error) {
	work, cancel := context.WithTimeout(ctx, 20*time.Second+duration)
	defer cancel()
	clients := make([]*http.Client, max(1, t.connections/streamsEach))
	for i := range clients {
		via := transport()
		via.DisableKeepAlives, via.ForceAttemptHTTP2 = false, true
		defer via.CloseIdleConnections()
		clients[i] = &http.Client{Transport: via}
		// The first one alone, or there would be as many connections as requests.
		if err := askOnce(work, clients[i], t); err != nil {
			return load{}, err
		}
	}
	begin := time.Now()
	took, errs := make([][]time.Duration, t.connections), make([]error, t.connections)
	var all sync.WaitGroup
	for i := range t.connections {
		all.Go(func() {
			for errs[i] == nil && time.Since(begin) < duration {
				asked := time.Now()
				errs[i] = askOnce(work, clients[i%len(clients)], t)
				took[i] = append(took[i], time.Since(asked))
			}
		})
	}
	all.Wait()
	// One of them is enough to read.
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return load{}, errs[i]
	}
	return summed(slices.Concat(took...), time.Since(begin)), nil
}

// summed makes a load of what each request took.
func summed(took []time.Duration, in time.Duration) load {
	slices.Sort(took)
	return load{
		requests: len(took), rate: float64(len(took)) / in.Seconds(),
		p50: took[len(took)/2], p99: took[len(took)*99/100],
	}
}

func askOnce(ctx context.Context, client *http.Client, t target) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url(), nil)
	if err != nil {
		return err
	}
	for name, values := range t.header {
		req.Header[name] = values
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		return fmt.Errorf("answered %s over %s, want 200 over HTTP/2", res.Status, res.Proto)
	}
	return nil
}
