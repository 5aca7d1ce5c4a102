// Report makes the tables of docs/observability.md: a program that uses coder as a backend service would, while 5 % of its
// requests fail, and what otelcoder tells of it.
//
//	go -C otelcoder run ./internal/report -seed 1 -rate 0.05
//
// The seed decides which requests fail, and how. The counts of two runs differ a little all the same, since how often a session
// is looked at depends on time.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
)

func main() {
	var p program
	flag.Uint64Var(&p.seed, "seed", 1, "decides which requests fail")
	flag.Float64Var(&p.rate, "rate", 0.05, "how many of the requests fail")
	flag.IntVar(&p.sessions, "sessions", 40, "how many sessions are run")
	flag.Parse()
	if err := p.run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}
