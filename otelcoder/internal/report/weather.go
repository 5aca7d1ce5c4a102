package main

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"

	"github.com/agentuity/coder-go/codertest"
)

// weather makes requests fail. Which ones depends on the seed, and on how many of the same kind came before.
type weather struct {
	hub  *codertest.Hub
	base http.RoundTripper
	seed uint64
	rate float64

	mu               sync.Mutex
	seen             map[string]int
	requests, faults int
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}

// faults are the ways in which a Hub, or what is before it, fails.
var faults = []codertest.Fault{
	{Status: http.StatusServiceUnavailable},
	{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"1"}}},
	{Status: http.StatusBadGateway, Effect: true},
	{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
	{Cut: codertest.CutAfterEffect},
	{Cut: codertest.CutMidBody},
}

// RoundTrip makes a request, or makes it fail.
func (w *weather) RoundTrip(r *http.Request) (*http.Response, error) {
	what := w.fate(r.Method + " " + r.URL.Path)
	switch {
	case what < 0:
		return w.base.RoundTrip(r)
	case what == len(faults):
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	fault := faults[what]
	fault.Method, fault.Route = r.Method, strings.TrimPrefix(r.URL.EscapedPath(), "/api")
	injection := w.hub.Inject(fault)
	defer injection.Remove()
	return w.base.RoundTrip(r)
}

// fate is the fault that the next request of a kind meets, less than 0 for none.
func (w *weather) fate(kind string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.seen = make(map[string]int)
	}
	r := rand.New(rand.NewPCG(w.seed, hash(fmt.Sprint(kind, w.seen[kind]))))
	w.seen[kind]++
	w.requests++
	if r.Float64() >= w.rate {
		return -1
	}
	w.faults++
	return r.IntN(len(faults) + 1)
}

func (w *weather) counts() (requests, faults int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests, w.faults
}
