package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// starting measures how long a program takes from exec to its first answer, and
// what is then in RAM.
func starting(ctx context.Context, w *world) ([]line, error) {
	var lines []line
	for _, s := range []struct {
		name         string
		setup        setup
		within, size goal
	}{
		{"100 routes", setup{routes: 100}, 30, 0},
		{"5,000 routes", setup{routes: 5000}, 150, 0},
		{"with provider and its database", setup{idp: true}, 150, 45},
	} {
		took, mib, err := w.starts(ctx, s.setup)
		lines = append(lines,
			line{name: s.name, unit: "ms", values: took, goal: s.within, err: err},
			line{name: s.name + ", memory", unit: "MiB", values: mib, goal: s.size, err: err})
	}
	return lines, nil
}

// starts starts the same gateway over and over, and returns how long it took
// each time, in ms, and its memory, in MiB.
func (w *world) starts(ctx context.Context, s setup) (took, mib []float64, err error) {
	c, err := w.configure(s)
	if err != nil {
		return nil, nil, err
	}
	for n := range w.plan.starts + 1 {
		p, passed, err := w.startOnce(ctx, c)
		if err != nil {
			return nil, nil, err
		}
		time.Sleep(settled)
		size, err := p.memory()
		p.end()
		if err != nil {
			return nil, nil, err
		}
		// The first one makes keys and the database, and reads the disk.
		if n > 0 {
			took, mib = append(took, float64(passed)/float64(time.Millisecond)), append(mib, size)
		}
	}
	return took, mib, nil
}

// startOnce starts a gateway and asks until it answers.
func (w *world) startOnce(ctx context.Context, c *configured) (*process, time.Duration, error) {
	u, err := url.Parse(c.public + "/public" + page)
	if err != nil {
		return nil, 0, err
	}
	text := target{}.question(u, http.StatusOK)
	begin := time.Now()
	p, err := w.start(c.program(w))
	if err != nil {
		return nil, 0, err
	}
	for time.Since(begin) < 20*time.Second && ctx.Err() == nil {
		if answered(u.Port(), text) {
			return p, time.Since(begin), nil
		}
		time.Sleep(time.Millisecond)
	}
	p.end()
	return nil, 0, fmt.Errorf("gatehouse does not answer within 20 s:\n%s", p.printed())
}

// answered asks once, and tells whether the answer is 200.
func answered(port, question string) bool {
	conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second)) // only a closed one refuses, which Write tells
	if _, err := conn.Write([]byte(question)); err != nil {
		return false
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	return err == nil && res.StatusCode == http.StatusOK
}
