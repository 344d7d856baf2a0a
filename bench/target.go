package main

import (
	"fmt"
	"net/http"
	"time"
)

// target is one thing to ask, over and over.
type target struct {
	name   string
	base   string // scheme, host and port
	prefix string // of the route, which the bare proxy does not have
	path   string // the application's
	header http.Header
	proc   *process // whose CPU counts

	connections int   // that the load keeps open; 0 for the plan's
	upload      int   // bytes of the body of a POST; 0 for a GET
	http2       bool  // asked by bench's own load, as wrk speaks HTTP/1.1 only
	feed        *feed // what changes from request to request; nil for nothing
}

func (t target) url() string { return t.base + t.prefix + t.path }

// key tells runs that measure the same from others.
func (t target) key() string {
	return fmt.Sprint(t.url(), t.header, t.connections, t.upload, t.http2, fmt.Sprintf("%p", t.feed))
}

// with returns t under another name, and with what change sets.
func (t target) with(name string, change func(*target)) target {
	t.name = name
	change(&t)
	return t
}

// sample is one run of one target.
type sample struct {
	load
	cpu time.Duration // of the target's process, per request
}

// pairing is one run of a target with the runs of its yardstick next to it.
type pairing struct{ own, before, after sample }

// cpuRatio is the CPU per request, as a multiple of the neighbours' mean.
func (p pairing) cpuRatio() float64 {
	return 2 * float64(p.own.cpu) / float64(p.before.cpu+p.after.cpu)
}

// p50Ratio is the median latency, as a multiple of the neighbours' mean.
func (p pairing) p50Ratio() float64 {
	return 2 * float64(p.own.p50) / float64(p.before.p50+p.after.p50)
}
